"""Laws that internal coordinates keep for every molecule, in both precisions."""

import math

import numpy as np
import pytest
import torch

from tests.molecules import FIXED, NAMES, chart_of, frames_of, internal_of, labellings, superposed_deviation, system_of

PRECISIONS = [(torch.float64, 1e-10), (torch.float32, 1e-5)]


def zyz(angles: torch.Tensor) -> torch.Tensor:
    """R_z(alpha) R_y(beta) R_z(gamma), whose Haar measure of volume 8 pi^2 is sin(beta) d alpha d beta d gamma."""
    alpha, beta, gamma = angles
    zero, one = torch.zeros_like(alpha), torch.ones_like(alpha)

    def about_z(a: torch.Tensor) -> torch.Tensor:
        return torch.stack([a.cos(), -a.sin(), zero, a.sin(), a.cos(), zero, zero, zero, one]).view(3, 3)

    tilt = torch.stack([beta.cos(), zero, beta.sin(), zero, one, zero, -beta.sin(), zero, beta.cos()]).view(3, 3)
    return about_z(alpha) @ tilt @ about_z(gamma)


def test_there_are_at_least_twenty_molecules() -> None:
    assert len(NAMES) >= 20


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
def test_positions_come_back(name: str, dtype: torch.dtype, tolerance: float) -> None:
    internal = internal_of(name)
    frames = frames_of(name, 50)
    frames = (frames - frames.mean(1, keepdim=True)).to(dtype)
    back, log_volume = internal.to_positions(internal.from_positions(frames))
    assert back.dtype == dtype
    assert torch.isfinite(log_volume).all()
    assert superposed_deviation(back, frames) < tolerance


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_handedness_and_cis_trans_are_kept(name: str, dtype: torch.dtype) -> None:
    chart = chart_of(name)
    frames = chart.canonical(frames_of(name, 50).to(dtype))
    back = chart.decode(chart.encode(frames))[0]
    before = chart.domain.violations(frames.double().numpy())
    after = chart.domain.violations(back.double().numpy())
    for kind, rows in before.items():
        np.testing.assert_array_equal(after[kind], rows)
    structure = torch.as_tensor(system_of(name).positions)[None].to(dtype)
    placed = chart.decode(chart.encode(chart.canonical(structure)))[0].double().numpy()
    assert chart.domain.contains(placed).all()
    if chart.domain.centres:
        assert not chart.domain.contains(placed * np.array([1.0, 1.0, -1.0])).any()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 2e-3)])
def test_coordinates_come_back(name: str, dtype: torch.dtype, tolerance: float) -> None:
    """In single precision an azimuth beside an axis loses digits; positions do not (see above)."""
    internal = internal_of(name)
    y = internal.from_positions(frames_of(name, 50, 5)).to(dtype)
    difference = internal.from_positions(internal.to_positions(y)[0]) - y
    difference[:, internal.n_bonds :] = torch.remainder(difference[:, internal.n_bonds :] + math.pi, 2 * math.pi)
    difference[:, internal.n_bonds :] -= math.pi
    assert difference.abs().max() < tolerance


@pytest.mark.parametrize("name", NAMES)
def test_log_jacobian_is_that_of_the_full_map(name: str) -> None:
    """All 3N variables: translation, rotation (Haar) and every bond, a fixed one too."""
    internal = internal_of(name)
    y = internal.from_positions(frames_of(name, 1, 8))[0]
    rigid = torch.tensor([0.3, -0.2, 0.1, 0.7, 1.1, -2.0], dtype=torch.float64)

    def full(variables: torch.Tensor) -> torch.Tensor:
        shape, shift, angles = variables[:-6], variables[-6:-3], variables[-3:]
        return (internal.to_positions(shape[None])[0][0] @ zyz(angles).T + shift).reshape(-1)

    jacobian = torch.autograd.functional.jacobian(full, torch.cat([y, rigid]))
    expected = torch.linalg.slogdet(jacobian).logabsdet - math.log(math.sin(float(rigid[4])))
    assert abs(float(internal.to_positions(y[None])[1] - expected)) < 1e-8
    single = internal.to_positions(y[None].float())[1]
    assert abs(float(single - expected)) < 1e-3


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_gradients_are_finite_both_ways(name: str, dtype: torch.dtype) -> None:
    internal = internal_of(name)
    structure = torch.as_tensor(system_of(name).positions)[None]  # lines of atoms are straight here
    frames = torch.cat([frames_of(name, 20, 9), structure]).to(dtype)
    y = internal.from_positions(frames).requires_grad_()
    positions, log_volume = internal.to_positions(y)
    (gradient,) = torch.autograd.grad(positions.square().sum() + log_volume.sum(), y)
    x = positions.detach().requires_grad_()
    (back,) = torch.autograd.grad(internal.from_positions(x).square().sum(), x)
    for values in (gradient, back):
        assert torch.isfinite(values).all()
        assert values.abs().max() > 0


@pytest.mark.parametrize("name", NAMES)
def test_shape_does_not_depend_on_place_or_orientation_and_sees_the_mirror(name: str) -> None:
    internal = internal_of(name)
    frames = frames_of(name, 20)
    moved = internal.to_positions(internal.from_positions(frames))[0]
    assert (internal.from_positions(moved) - internal.from_positions(frames)).cos().min() > 1 - 1e-12
    mirrored = internal.from_positions(frames * torch.tensor([1.0, 1.0, -1.0], dtype=frames.dtype))
    y = internal.from_positions(frames)
    displaced = set(internal.displacement_columns)
    start = internal.n_bonds + internal.n_angles
    torsions = [k for k in range(start, internal.dimension) if k not in displaced]
    assert (mirrored[:, torsions] + y[:, torsions]).cos().min() > 1 - 1e-9
    assert (mirrored[:, :start] - y[:, :start]).abs().max() < 1e-11
    v = [k for k in range(start, internal.dimension) if k in displaced]
    assert np.allclose(mirrored[:, v], -y[:, v], atol=1e-11)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_folding_maps_every_labelling_to_one_frame(name: str, dtype: torch.dtype) -> None:
    chart = chart_of(name)
    folding = chart.folding
    frames = frames_of(name, 10).to(dtype)
    canonical = folding.canonical(frames)
    seen = []
    for shifts in labellings(folding.orders):
        labelled = folding.permute(frames, torch.tensor(shifts, dtype=torch.long).expand(len(frames), -1))
        assert torch.equal(folding.canonical(labelled), canonical)
        seen.append(labelled)
    different = {frame.numpy().tobytes() for labelled in seen for frame in labelled[:1]}
    assert len(different) == round(math.exp(folding.log_order)) == len(seen)
    phases = chart.encode(canonical)[:, chart.circular]
    assert (phases.abs() <= 0.5 * torch.tensor(chart.periods, dtype=dtype) + 1e-6).all()


@pytest.mark.parametrize("name", NAMES)
def test_a_labelling_keeps_bonds_elements_and_the_domain(name: str) -> None:
    system, folding = system_of(name), chart_of(name).folding
    bonds = set(system.topology.bonds)
    elements = [atom.element for atom in system.topology.atoms]
    for rotor in folding.rotors:
        image = rotor.permutation
        assert {(min(image[i], image[j]), max(image[i], image[j])) for i, j in bonds} == bonds
        assert [elements[i] for i in image] == elements
        assert chart_of(name).domain.contains(system.positions[None, image]).all()


@pytest.mark.parametrize("name", NAMES)
def test_a_labelling_moves_the_phase_by_its_share_of_a_turn(name: str) -> None:
    internal, folding = internal_of(name), chart_of(name).folding
    frames = frames_of(name, 10)
    y = internal.from_positions(frames)
    for g, (leader, rotor) in enumerate(internal.zmatrix.rotors.items()):
        shifts = torch.zeros(len(frames), folding.n_groups, dtype=torch.long)
        shifts[:, g] = 1
        turned = internal.from_positions(folding.permute(frames, shifts))
        column = internal.torsion_column(leader)
        turns = (turned[:, column] - y[:, column]) * rotor.order / (2.0 * math.pi)
        assert (turns - turns.round()).abs().max() < 1e-9
        assert (turns.round() % rotor.order != 0).all()


@pytest.mark.parametrize("name", FIXED)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-14), (torch.float32, 1e-6)])
def test_fixed_bonds_are_exact(name: str, dtype: torch.dtype, tolerance: float) -> None:
    system, chart = system_of(name), chart_of(name)
    assert chart.dimension == 3 * system.n_particles - 6 - len(system.constraints)
    frames = chart.canonical(frames_of(name, 20).to(dtype))
    y = chart.encode(frames * 1.01)  # whatever the frames' own bonds are
    assert y.shape[1] == chart.dimension
    placed = chart.decode(y)[0]
    for i, j, length in system.constraints:
        assert (torch.linalg.vector_norm(placed[:, i] - placed[:, j], dim=-1) - length).abs().max() < tolerance
