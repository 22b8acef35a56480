"""Attributions: known answers where only one coordinate matters."""

import numpy as np
import pytest
import torch
from scipy.special import expit

from molgen.committor.attribution import atom_shares, attribute
from molgen.committor.fitting import FittingData, FittingSettings, fit_committor
from molgen.committor.model import CommittorSettings
from molgen.observables.boundary import Boundary
from molgen.observables.states import with_states
from molgen.observables.table import evaluate_cvs
from molgen.systems.definition import StateSection
from molgen.systems.loading import load_system

SETTINGS = FittingSettings(model=CommittorSettings(hidden=16, members=4), steps=300)
STATES = (StateSection(name="a", where="x < -9"), StateSection(name="b", where="x > 9"))


def test_only_the_coordinate_that_matters_counts() -> None:
    """Of two equal coordinates on the plane q depends on y alone: logit q = 2y."""
    system = with_states(load_system("muller-brown"), STATES)
    rng = np.random.default_rng(1)
    xy = rng.normal(size=(800, 1, 2))
    reached = rng.binomial(10, expit(2.0 * xy[:, 0, 1]))
    lineage = np.arange(800) // 2
    rows = FittingData(xy, reached, np.full(800, 10), lineage)
    half, rest = np.arange(400), np.arange(400, 800)
    model = fit_committor(Boundary(system, "a", "b"), rows.rows(half), SETTINGS, 2)
    judged = rows.rows(rest)
    found = attribute(model, judged.positions, judged.reached, judged.decided, judged.lineage, rng)
    assert [item.name for item in found] == ["y", "x"]
    y, x = found
    assert y.loss > 20.0 * y.loss_error > 0.0
    assert abs(x.loss) < 0.02 * y.loss
    # The slope is 2 and y has a deviation of about 0.8 where q(1 − q) is large.
    weight = 1.0 / np.cosh(judged.positions[:, 0, 1]) ** 2
    deviation = np.sqrt((weight * judged.positions[:, 0, 1] ** 2).sum() / weight.sum())
    assert y.sensitivity == pytest.approx(2.0 * deviation, rel=0.15)
    assert x.sensitivity < 0.2 * y.sensitivity
    assert atom_shares(found) == {}


@pytest.mark.parametrize("features", ["cv", "internal"])
def test_the_torsion_that_matters_is_named(features: str) -> None:
    """Alanine dipeptide with angles of phi and psi drawn at random: q depends on phi, whose atoms are C-N-CA-C."""
    from molgen.coordinates.chart import chart_of

    system = load_system("alanine-dipeptide-vacuum")
    chart = chart_of(system)
    generator = torch.Generator().manual_seed(1)
    y = chart.encode(chart.canonical(torch.as_tensor(system.positions)[None])).repeat(600, 1)
    y = y + 0.01 * torch.randn(y.shape, generator=generator, dtype=torch.float64)
    y[:, chart.circular] += 2.0 * np.pi * torch.rand(600, len(chart.circular), generator=generator).double()
    positions = chart.decode(y)[0].numpy()
    phi = evaluate_cvs(system, positions)["phi"]
    rng = np.random.default_rng(3)
    rows = FittingData(positions, rng.binomial(20, expit(2.5 * np.cos(phi))), np.full(600, 20), np.arange(600))
    outside = np.flatnonzero(Boundary(system, "c7eq", "c7ax").assign(positions) == -1)
    settings = SETTINGS.with_overrides([f"model.features={features}", "steps=150"])
    model = fit_committor(Boundary(system, "c7eq", "c7ax"), rows.rows(outside[::2]), settings, 2)
    judged = rows.rows(outside[1::2])
    found = attribute(model, judged.positions, judged.reached, judged.decided, judged.lineage, rng)
    first, second = found[:2]
    assert ("phi" in first.name) if features == "cv" else first.name.endswith("about phi")
    assert first.loss > 10.0 * abs(second.loss)
    shares = atom_shares(found)
    assert sum(shares.values()) == pytest.approx(1.0)
    assert {4, 6, 8, 14} >= set(list(shares)[:3])


def test_every_group_of_a_molecule_has_its_atoms() -> None:
    from molgen.committor.features import Features

    system = load_system("alanine-dipeptide-vacuum")
    features = Features(system, "internal")
    columns = sorted(column for group in features.groups for column in group.columns)
    assert columns == list(range(len(features.names)))
    names = [group.name for group in features.groups]
    assert len(set(names)) == len(names)
    for group in features.groups:
        # Torsions are angles on a circle, bonds and angles are not.
        assert group.angle == (len(group.atoms) == 4)
        assert group.name.startswith(("bond", "angle", "torsion")[len(group.atoms) - 2])
