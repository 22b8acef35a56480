"""The committor by an equivariant network of the positions."""

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import expit

from molgen.committor.artifact import load_committor, save_committor
from molgen.committor.fitting import FittingData, FittingSettings, fit_committor
from molgen.committor.model import Committor, EquivariantMembers
from molgen.coordinates.chart import chart_of
from molgen.errors import InputError
from molgen.networks.invariant import InvariantNetwork
from molgen.observables.boundary import NEITHER, Boundary
from molgen.observables.table import evaluate_cvs
from molgen.systems import load_system
from tests.molecules import random_rotations
from tests.wells import double_well

SYSTEM = load_system("alanine-dipeptide-vacuum")
BOUNDARY = Boundary(SYSTEM, "c7eq", "c7ax")
SETTINGS = FittingSettings().with_overrides(
    ["model.features=equivariant", "model.members=2", "steps=40", "batch=64", "check_every=20"]
)


@pytest.fixture(scope="module")
def rows() -> FittingData:
    """Alanine dipeptide with torsions at random; q depends on the sine of phi."""
    chart = chart_of(SYSTEM)
    generator = torch.Generator().manual_seed(1)
    y = chart.encode(chart.canonical(torch.as_tensor(SYSTEM.positions)[None])).repeat(400, 1)
    y = y + 0.01 * torch.randn(y.shape, generator=generator, dtype=torch.float64)
    y[:, chart.circular] += 2.0 * np.pi * torch.rand(400, len(chart.circular), generator=generator).double()
    positions = chart.decode(y)[0].numpy()
    positions = positions[BOUNDARY.assign(positions) == NEITHER]
    phi = evaluate_cvs(SYSTEM, positions)["phi"]
    reached = np.random.default_rng(3).binomial(20, expit(3.0 * np.sin(phi)))
    return FittingData(positions, reached, np.full(len(phi), 20), np.arange(len(phi)))


@pytest.fixture(scope="module")
def model(rows: FittingData) -> Committor:
    return fit_committor(BOUNDARY, rows, SETTINGS, 2)


def test_it_learns_does_not_see_how_a_molecule_is_turned_and_sees_a_mirror(model: Committor, rows: FittingData) -> None:
    model = model.double()
    z = model.logit(rows.positions)
    assert np.corrcoef(z, rows.reached)[0, 1] > 0.5
    turn = random_rotations(1, np.random.default_rng(2))[0]
    assert np.abs(model.logit(rows.positions @ turn.T + np.array([5.0, -3.0, 1.0])) - z).max() < 1e-8
    mirrored = model.logit(rows.positions * np.array([1.0, 1.0, -1.0]))
    both = np.isfinite(mirrored) & np.isfinite(z)
    assert np.abs(mirrored - z)[both].mean() > 0.1


def test_it_is_saved_and_loaded(model: Committor, rows: FittingData, tmp_path: Path) -> None:
    record = {"fingerprint": SYSTEM.fingerprint, "a": {"name": "c7eq"}, "b": {"name": "c7ax"}}
    model = model.float()
    save_committor(tmp_path, model, record, {})
    assert np.array_equal(load_committor(tmp_path).model.logit(rows.positions[:9]), model.logit(rows.positions[:9]))


def test_narrow_distances_are_fitted_and_saved(rows: FittingData, tmp_path: Path) -> None:
    settings = SETTINGS.with_overrides(["model.network.fine=2", "steps=2"])
    fitted = fit_committor(BOUNDARY, rows, settings, 2)
    assert isinstance(fitted.members, EquivariantMembers)
    for network in fitted.members.networks:
        assert isinstance(network, InvariantNetwork)
        # Bonds and angles vary by a hundredth of a unit here, torsions by turns.
        assert 0.1 < float((network.body.edges.narrowness > 0.0).double().mean()) < 0.9
    record = {"fingerprint": SYSTEM.fingerprint, "a": {"name": "c7eq"}, "b": {"name": "c7ax"}}
    save_committor(tmp_path, fitted, record, {})
    assert np.array_equal(load_committor(tmp_path).model.logit(rows.positions[:9]), fitted.logit(rows.positions[:9]))


def test_a_particle_on_a_line_is_refused() -> None:
    with pytest.raises(InputError, match=r"double-well has none such.*internal"):
        Committor(Boundary(double_well(), "left", "right"), SETTINGS.model, torch.Generator())
