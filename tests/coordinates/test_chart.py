import math

import numpy as np
import pytest
import torch

from molgen.coordinates.chart import MolecularChart, PositionChart, chart_of
from molgen.errors import InputError
from molgen.systems.loading import load_system
from tests.molecules import alanine, bare_system, frames_of, random_rotations, superposed_deviation, system_of


@pytest.fixture(scope="module")
def chart() -> MolecularChart:
    found = chart_of(alanine())
    assert isinstance(found, MolecularChart)
    return found


def test_alanine_dipeptide_has_sixty_coordinates_of_three_sorts(chart: MolecularChart) -> None:
    assert chart.dimension == 60
    assert sorted(chart.periods) == pytest.approx([2 * math.pi / 3] * 3 + [2 * math.pi] * 2)
    assert set(chart.circular) | set(chart.narrow) == set(range(21 + 20, 60))
    assert not set(chart.circular) & set(chart.narrow)
    assert chart.log_order == pytest.approx(3 * math.log(3))


def test_encode_and_decode_are_inverse_on_canonical_frames(chart: MolecularChart) -> None:
    frames = chart.canonical(frames_of("alanine-dipeptide", 30))
    y = chart.encode(frames)
    decoded, log_volume = chart.decode(y)
    assert superposed_deviation(decoded, frames) < 1e-10
    assert torch.isfinite(log_volume).all()
    phases = y[:, chart.circular]
    assert (phases.abs() <= 0.5 * torch.tensor(chart.periods) + 1e-9).all()


def test_a_gradient_turned_into_the_decoded_orientation_is_the_gradient_there(chart: MolecularChart) -> None:
    """For an energy of distances, whose gradient turns with the molecule."""
    frames = frames_of("alanine-dipeptide", 5)
    decoded = chart.decode(chart.encode(frames))[0]

    x = frames.clone().requires_grad_()
    distances = (x[:, :, None] - x[:, None]).square().sum(-1)
    weights = torch.randn(distances.shape[1:], generator=torch.Generator().manual_seed(1), dtype=x.dtype)
    (at_frames,) = torch.autograd.grad((distances * weights).sum(), x)
    z = decoded.clone().requires_grad_()
    (at_decoded,) = torch.autograd.grad(((z[:, :, None] - z[:, None]).square().sum(-1) * weights).sum(), z)
    assert (chart.aligned_gradient(frames, decoded, at_frames) - at_decoded).abs().max() < 1e-10


def test_frames_are_relabelled_at_random_and_back(chart: MolecularChart) -> None:
    frames = chart.canonical(frames_of("alanine-dipeptide", 30))
    unfolded = chart.unfold(frames, torch.Generator().manual_seed(2))
    assert not torch.equal(unfolded, frames)
    assert torch.equal(chart.canonical(unfolded), frames)


def test_a_constraint_that_is_no_bond_of_the_tree_is_refused_with_its_atoms() -> None:
    xml = '<System><Constraints><Constraint p1="0" p2="2" d="0.25"/></Constraints></System>'
    free = system_of("propane")
    with pytest.raises(InputError, match=r"fixes the distance of C0 \(0\) and C2 \(2\)"):
        chart_of(bare_system(free.topology, free.positions, xml))


def test_few_torsions_are_all_coupled_and_of_many_only_neighbours() -> None:
    few, many = MolecularChart(system_of("phenylalanine")), MolecularChart(system_of("macrocycle"))
    assert len(few.circular) == 6
    assert len(few.coupled) == 15
    n = len(many.circular)
    assert n > 8
    assert n <= len(many.coupled) < n * (n - 1) // 2


@pytest.mark.parametrize(("name", "dimension"), [("double-well", 1), ("muller-brown", 2)])
def test_the_chart_of_a_pseudo_particle_is_its_position(name: str, dimension: int) -> None:
    chart = chart_of(load_system(name))
    assert isinstance(chart, PositionChart)
    frames = torch.randn(7, 1, dimension, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    y = chart.encode(chart.canonical(frames))
    decoded, log_volume = chart.decode(y)
    assert y.shape == (7, dimension) == (7, chart.dimension)
    assert torch.equal(decoded, frames)
    assert torch.equal(chart.unfold(frames, torch.Generator()), frames)
    assert torch.equal(chart.aligned_gradient(frames, decoded, frames), frames)
    assert log_volume.abs().max() == chart.log_order == 0


def test_orientation_is_no_coordinate(chart: MolecularChart) -> None:
    frames = frames_of("alanine-dipeptide", 10)
    turned = torch.einsum("nij,naj->nai", torch.as_tensor(random_rotations(10, np.random.default_rng(4))), frames)
    assert (chart.encode(turned) - chart.encode(frames)).cos().min() > 1 - 1e-12
