"""Laws that internal coordinates keep for every molecule, in both precisions."""

import math

import numpy as np
import pytest
import torch

from molgen.coordinates.folding import THIRD, HydrogenFolding
from molgen.coordinates.internal import InternalCoordinates
from tests.molecules import NAMES, cyclic_shifts, frames_of, internal_of, random_y, superposed_deviation

PRECISIONS = [(torch.float64, 1e-10), (torch.float32, 1e-5)]


def zyz(angles: torch.Tensor) -> torch.Tensor:
    """R_z(alpha) R_y(beta) R_z(gamma), whose Haar measure of volume 8 pi^2 is sin(beta) d alpha d beta d gamma."""
    alpha, beta, gamma = angles
    zero, one = torch.zeros_like(alpha), torch.ones_like(alpha)

    def about_z(a: torch.Tensor) -> torch.Tensor:
        return torch.stack([a.cos(), -a.sin(), zero, a.sin(), a.cos(), zero, zero, zero, one]).view(3, 3)

    tilt = torch.stack([beta.cos(), zero, beta.sin(), zero, one, zero, -beta.sin(), zero, beta.cos()]).view(3, 3)
    return about_z(alpha) @ tilt @ about_z(gamma)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
def test_positions_come_back(name: str, dtype: torch.dtype, tolerance: float) -> None:
    internal = internal_of(name)
    frames = frames_of(name, 100)
    frames = (frames - frames.mean(1, keepdim=True)).to(dtype)
    back, log_volume = internal.to_positions(internal.from_positions(frames))
    assert back.dtype == dtype
    assert torch.isfinite(log_volume).all()
    assert superposed_deviation(back, frames) < tolerance


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-4)])
def test_coordinates_come_back(name: str, dtype: torch.dtype, tolerance: float) -> None:
    internal = internal_of(name)
    y = random_y(internal, 100, 5).to(dtype)
    difference = internal.from_positions(internal.to_positions(y)[0]) - y
    difference[:, internal.n_bonds :] = torch.remainder(difference[:, internal.n_bonds :] + math.pi, 2 * math.pi)
    difference[:, internal.n_bonds :] -= math.pi
    assert difference.abs().max() < tolerance


@pytest.mark.parametrize("name", NAMES)
def test_log_jacobian_is_that_of_the_full_map(name: str) -> None:
    internal = internal_of(name)
    y = random_y(internal, 1, 8)[0]
    rigid = torch.tensor([0.3, -0.2, 0.1, 0.7, 1.1, -2.0], dtype=torch.float64)

    def full(variables: torch.Tensor) -> torch.Tensor:
        shape, shift, angles = variables[:-6], variables[-6:-3], variables[-3:]
        return (internal.to_positions(shape[None])[0][0] @ zyz(angles).T + shift).reshape(-1)

    jacobian = torch.autograd.functional.jacobian(full, torch.cat([y, rigid]))
    expected = torch.linalg.slogdet(jacobian).logabsdet - math.log(math.sin(float(rigid[4])))
    assert abs(float(internal.to_positions(y[None])[1] - expected)) < 1e-9
    single = internal.to_positions(y[None].float())[1]
    assert abs(float(single - expected)) < 1e-4


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_gradients_are_finite_both_ways(name: str, dtype: torch.dtype) -> None:
    internal = internal_of(name)
    y = random_y(internal, 20, 9).to(dtype).requires_grad_()
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
    start = internal.n_bonds + internal.n_angles
    torsions = internal.from_positions(frames)[:, start:]
    assert (mirrored[:, start:] + torsions).cos().min() > 1 - 1e-9
    assert (mirrored[:, :start] - internal.from_positions(frames)[:, :start]).abs().max() < 1e-12


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("swapped", [False, True])
def test_folding_maps_every_labelling_to_one_frame(name: str, dtype: torch.dtype, swapped: bool) -> None:
    internal = internal_of(name)
    folding = HydrogenFolding(internal)
    frames = frames_of(name, 25).to(dtype)
    if swapped:  # the other handedness of each group: outside the domain, folded all the same
        for _, second, third in internal.zmatrix.triples.values():
            frames[:, [second, third]] = frames[:, [third, second]]
    canonical = folding.canonical(frames)
    for shifts in cyclic_shifts(folding.n_groups):
        labelled = folding.permute(frames, torch.tensor(shifts).expand(len(frames), -1))
        assert torch.equal(folding.canonical(labelled), canonical)
    columns = [internal.torsion_column(leader) for leader in internal.zmatrix.triples]
    phases = internal.from_positions(canonical)[:, columns]
    assert (phases.abs() <= 0.5 * THIRD).all()


@pytest.mark.parametrize("name", NAMES)
def test_a_labelling_leaves_every_other_coordinate_and_moves_the_phase_by_a_third(name: str) -> None:
    internal = internal_of(name)
    folding = HydrogenFolding(internal)
    frames = frames_of(name, 25)
    y = internal.from_positions(frames)
    for shifts in cyclic_shifts(folding.n_groups):
        turned = internal.from_positions(folding.permute(frames, torch.tensor(shifts).expand(len(frames), -1)))
        for g, (leader, group) in enumerate(internal.zmatrix.triples.items()):
            column = internal.torsion_column(leader)
            turns = (turned[:, column] - y[:, column]) / THIRD
            assert (turns - turns.round()).abs().max() < 1e-9
            assert ((turns.round() % 3 == 0) == (shifts[g] == 0)).all()
            own = {internal.torsion_column(atom) for atom in group}
            assert len(own) == 3
        others = _untouched_columns(internal)
        assert np.allclose(turned[:, others], y[:, others], atol=1e-12)


def _untouched_columns(internal: InternalCoordinates) -> list[int]:
    """Columns that no hydrogen of a folded group places."""
    folded = {atom for group in internal.zmatrix.triples.values() for atom in group}
    rows = [k for k, atom in enumerate(internal.atoms.tolist()) if atom not in folded]
    bonds = [0, 1, *(2 + k for k in rows)]
    angles = [internal.n_bonds, *(internal.n_bonds + 1 + k for k in rows)]
    return bonds + angles + [internal.n_bonds + internal.n_angles + k for k in rows]
