"""Populations on disk: a stopped run goes on to the same particles."""

from pathlib import Path

import numpy as np
import pytest
import torch

from molgen.errors import InterruptedRunError
from molgen.interruption import Interruption
from molgen.sampling.annealing import AnnealingSettings
from molgen.sampling.latent_target import LatentTarget
from molgen.sampling.populations import FOLDER, KeptPopulation, anneal_populations, remove_populations, shares
from tests.annealed import AffineMap, NumpyEnergy, double_well

SETTINGS = AnnealingSettings(populations=10, pilot=50)


class _StopAfter(Interruption):
    """Asks to stop at the ``count``-th look."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self._left = count

    def check(self) -> None:
        self._left -= 1
        if self._left <= 0:
            self.request("the test said so")
        super().check()


def _target() -> LatentTarget:
    return LatentTarget(AffineMap(1, 0.0, 1.2), NumpyEnergy(1, double_well(3.0, 0.2)))


def _anneal(keep: Path, interruption: Interruption | None = None, target: LatentTarget | None = None) -> list:
    interruption = interruption or Interruption()
    _, populations = anneal_populations(
        target or _target(), SETTINGS, 205, seed=7, keep=keep, interruption=interruption
    )
    return list(populations)


def _same(first: list[KeptPopulation], second: list[KeptPopulation]) -> bool:
    return len(first) == len(second) and all(
        a.history == b.history
        and np.array_equal(a.positions, b.positions)
        and np.array_equal(a.log_weight, b.log_weight)
        and np.array_equal(a.energy, b.energy)
        for a, b in zip(first, second, strict=True)
    )


def test_particles_are_shared_out() -> None:
    assert shares(205, 10) == [21] * 5 + [20] * 5
    assert sum(shares(100, 16)) == 100


@pytest.mark.parametrize("looks", [1, 2, 6])
def test_a_stopped_run_goes_on_to_the_same_particles(tmp_path: Path, looks: int) -> None:
    whole = _anneal(tmp_path / "whole")
    assert [len(population.log_weight) for population in whole] == shares(205, 10)
    with pytest.raises(InterruptedRunError):
        _anneal(tmp_path / "stopped", _StopAfter(looks))
    kept = sorted(path.name for path in (tmp_path / "stopped" / FOLDER).glob("population-*.npz"))
    assert len(kept) == max(0, looks - 2)
    continued = _target()
    assert _same(_anneal(tmp_path / "stopped", target=continued), whole)
    complete = _target()
    assert _same(_anneal(tmp_path / "stopped", target=complete), whole)
    assert complete.energy.counter.sampling == 0
    assert continued.energy.counter.sampling > 0


def test_a_piece_that_was_cut_is_made_again(tmp_path: Path) -> None:
    whole = _anneal(tmp_path)
    path = tmp_path / FOLDER / "population-004.npz"
    path.write_bytes(path.read_bytes()[:500])
    target = _target()
    assert _same(_anneal(tmp_path, target=target), whole)
    assert target.energy.counter.sampling == whole[4].history.evaluations
    remove_populations(tmp_path)
    assert not (tmp_path / FOLDER).exists()


def test_populations_differ_and_do_not_touch_the_global_generator(tmp_path: Path) -> None:
    torch.manual_seed(1)
    state = torch.random.get_rng_state()
    populations = _anneal(tmp_path)
    assert torch.equal(state, torch.random.get_rng_state())
    assert len({population.history.log_z for population in populations}) == 10
