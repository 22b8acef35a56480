import math

import numpy as np
import pytest
import torch

from molgen.coordinates.cartesian import CartesianChart
from molgen.coordinates.prochirality import exchanges_of
from molgen.errors import InputError
from molgen.systems.loading import load_system
from tests.molecules import bare_system, frames_of, system_of, topology_of


def test_the_subspace_holds_centred_frames_without_changing_lengths() -> None:
    chart = CartesianChart(load_system("lj13"))
    x = torch.randn(7, 13, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    centred = x - x.mean(1, keepdim=True)
    y = chart.to_subspace(x)
    assert y.shape == (7, chart.dimension) == (7, 36)
    assert (chart.from_subspace(y) - centred).abs().max() < 1e-13
    assert (y.square().sum(1) - centred.square().sum((1, 2))).abs().max() < 1e-11


def test_all_particles_of_a_cluster_are_alike() -> None:
    chart = CartesianChart(load_system("dw4"))
    assert (chart.kinds, chart.exchangeable, chart.chiral) == ((0,) * 4, ((0, 1, 2, 3),), False)
    assert chart.pairs == ((0,) * 4,) * 4
    assert chart.log_order == 0.0


def test_atoms_of_a_molecule_are_alike_where_its_graph_does_not_tell_them_apart() -> None:
    system = load_system("alanine-dipeptide")
    chart = CartesianChart(system)
    groups = {frozenset(group) for group in chart.exchangeable}
    assert groups == {frozenset(g) for g in [(0, 2, 3), (11, 12, 13), (19, 20, 21)]}
    assert all(len({chart.kinds[i] for i in group}) == 1 for group in groups)
    assert len(set(chart.kinds)) == 22 - 6
    pairs = np.array(chart.pairs)
    assert (pairs == pairs.T).all()
    assert (np.diag(pairs) == 0).all()
    assert {(i, j) for i, j in zip(*np.nonzero(np.triu(pairs == 1)), strict=True)} == set(system.topology.bonds)
    assert set(pairs.ravel().tolist()) == {0, 1, 2, 3, 4}
    assert chart.chiral


def test_an_exchange_keeps_kinds_and_pairs() -> None:
    for name in ("branch", "butyl ether", "betaine"):
        system = system_of(name)
        chart = CartesianChart(system)
        kinds, pairs = np.array(chart.kinds), np.array(chart.pairs)
        for exchange in exchanges_of(system.topology):
            order = np.arange(len(kinds))
            order[list(exchange.first + exchange.second)] = exchange.second + exchange.first
            assert (kinds[order] == kinds).all()
            assert (pairs[np.ix_(order, order)] == pairs).all()


def test_the_order_counts_the_labellings_that_are_brought_into_the_domain() -> None:
    """Each of three methyls has six labellings, of which the domain holds three: 216 / 27 images of every frame."""
    system = load_system("alanine-dipeptide")
    chart = CartesianChart(system)
    assert chart.log_order == pytest.approx(math.log(216 / 27))
    frames = frames_of("alanine-dipeptide", 20)
    swapped = frames.clone()
    swapped[:, [0, 2]] = frames[:, [2, 0]]
    assert not chart.domain.contains(swapped.numpy()).any()
    relabelled = chart.relabel(swapped)
    assert chart.domain.contains(relabelled.numpy()).all()
    assert torch.equal(relabelled.sort(1).values, frames.sort(1).values)
    mirrored = frames * torch.tensor([1.0, 1.0, -1.0], dtype=frames.dtype)
    assert not chart.domain.contains(chart.relabel(mirrored).numpy()).any()


def test_what_has_no_such_coordinates_is_refused_with_the_remedy() -> None:
    with pytest.raises(InputError, match="single particle"):
        CartesianChart(load_system("double-well"))
    with pytest.raises(InputError, match="fixes 8 bonds"):
        CartesianChart(system_of("fixed bonds"))
    apart = bare_system(topology_of("O H H O H H", ((0, 1), (0, 2), (3, 4), (3, 5))), np.zeros((6, 3)))
    with pytest.raises(InputError, match="no bonds lead from atom 0 to atom 3"):
        CartesianChart(apart)
