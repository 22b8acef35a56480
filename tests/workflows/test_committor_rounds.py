"""What `committor run` may choose its shooting points from."""

import numpy as np

from molgen.dynamics.passage import Trail
from molgen.energies.factory import open_energy
from molgen.shooting.points import ShootingPoints
from molgen.systems.system import AnalyticSystem
from molgen.workflows.committor_rounds import Pool, Round
from tests.wells import double_well

SYSTEM = double_well()


def pool() -> Pool:
    """100 frames of ten lineages over the whole well, and 50 near its top, on transition paths."""
    assert isinstance(SYSTEM, AnalyticSystem)
    wide = Pool.begin(np.linspace(-2.0, 2.0, 100).reshape(-1, 1, 1), np.arange(100) % 10, held_share=0.2, seed=1)
    n = 50
    names = np.flatnonzero(np.bincount(wide.lineage[~wide.held_out]))[:1]
    points = ShootingPoints(
        np.zeros((1, 1, 1)),
        np.ones(1),
        names,
        np.zeros(1, dtype=np.int64),
        np.zeros(1, dtype=np.int64),
        np.zeros(1, dtype=np.bool_),
    )
    trail = Trail(np.zeros(n, dtype=np.int64), np.linspace(-0.3, 0.3, n).reshape(-1, 1, 1))
    return wide.grown(trail, points, np.array([True]))


def test_a_ceiling_leaves_out_what_lies_far_above_transition_paths() -> None:
    whole, energy = pool(), open_energy(SYSTEM)
    potential = energy.reduced(whole.positions, purpose="data")
    usable = whole.below(energy, 1.0)
    top = np.median(potential[100:])
    assert 100 < usable.sum() < 150
    assert np.array_equal(usable, potential <= top + 1.0)
    chosen = whole.choose(None, Round(30, 1, 10, 1), 0, 1, usable)
    assert energy.reduced(chosen.positions, purpose="data").max() <= top + 1.0
    assert len(chosen) == 40
    everything = whole.choose(None, Round(30, 1, 10, 1), 0, 1)
    assert energy.reduced(everything.positions, purpose="data").max() > top + 1.0


def test_without_a_ceiling_or_a_transition_path_all_may_be_chosen() -> None:
    whole, energy = pool(), open_energy(SYSTEM)
    assert whole.below(energy, None).all()
    none = Pool(whole.positions, whole.lineage, whole.held_out, np.zeros(150, dtype=np.bool_))
    assert none.below(energy, 1.0).all()
