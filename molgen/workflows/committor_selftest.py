"""`committor selftest`: known answers that take minutes, each figure beside its bound."""

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from molgen.committor.artifact import load_committor
from molgen.committor.fitting import FittingData, FittingSettings, fit_committor
from molgen.committor.grid import refined
from molgen.committor.known import (
    KnownCase,
    dead_end_case,
    double_well_case,
    hidden_coordinate_case,
    muller_brown_case,
)
from molgen.committor.model import Committor, CommittorSettings
from molgen.dynamics.analytic_passage import analytic_passages
from molgen.dynamics.molecular_passage import molecular_passages
from molgen.dynamics.passage import PassageDynamics, PhasePoints
from molgen.errors import UsageError
from molgen.interruption import Interruption
from molgen.observables.boundary import NEITHER, Boundary
from molgen.observables.states import with_states
from molgen.progress import Progress, ProgressEvent, silent
from molgen.seeds import child_seed, numpy_generator
from molgen.settings import nearest_hint
from molgen.systems.definition import StateSection
from molgen.systems.loading import load_system
from molgen.systems.system import AnalyticSystem, MolecularSystem, System
from molgen.workflows.committor_known import (
    DOUBLE_WELL_RUN,
    MULLER_BROWN_RUN,
    error_of,
    scattered,
    shots_from,
    two_way_rates,
)
from molgen.workflows.committor_run import run_committor

RETRACED_STEPS = 300


@dataclass(frozen=True)
class SelfCheck:
    """One known answer: what is measured, its ``value``, and the ``bound`` that it must not exceed."""

    name: str
    what: str
    value: float
    bound: float

    @property
    def passed(self) -> bool:
        """Whether the value is within its bound; NaN is not."""
        return bool(self.value <= self.bound)

    def to_json(self) -> dict[str, Any]:
        """The check as plain data."""
        return {**asdict(self), "passed": self.passed}


@dataclass(frozen=True)
class SelftestResult:
    """All checks that were made; ``figures`` are the estimates and references behind them."""

    checks: tuple[SelfCheck, ...]
    figures: dict[str, float]
    seed: int

    @property
    def passed(self) -> bool:
        """Whether every check passed."""
        return all(check.passed for check in self.checks)

    def to_json(self) -> dict[str, Any]:
        """The result as plain data."""
        checks = [check.to_json() for check in self.checks]
        return {"passed": self.passed, "checks": checks, "figures": self.figures, "seed": self.seed}


@dataclass(frozen=True, eq=False)
class _Task:
    """What a check is given: a folder of its own, a seed, and the figures to add to."""

    folder: Path
    seed: int
    workers: int
    interruption: Interruption
    figures: dict[str, float]


def selftest(
    only: tuple[str, ...] = (),
    *,
    seed: int = 1,
    workers: int = 1,
    progress: Progress = silent,
    interruption: Interruption | None = None,
) -> SelftestResult:
    """Shots, fits and rates of systems with known answers; nothing is kept.

    ``only`` names some of the parts in :data:`PARTS`. ``UsageError`` for one that there is not; ``InterruptedRunError``
    at the time limit.
    """
    for name in only:
        if name not in PARTS:
            raise UsageError(f"The selftest has no part {name!r}.", nearest_hint(name, PARTS))
    chosen = only or tuple(PARTS)
    stop, figures = interruption or Interruption(), dict[str, float]()
    checks: list[SelfCheck] = []
    with tempfile.TemporaryDirectory(prefix="molgen-selftest-") as folder:
        for done, name in enumerate(chosen):
            stop.check()
            progress(ProgressEvent(name, done, len(chosen), "parts"))
            task = _Task(Path(folder) / name, child_seed(seed, "selftest", name), workers, stop, figures)
            checks.extend(PARTS[name](task))
    return SelftestResult(tuple(checks), figures, seed)


def _retrace(task: _Task) -> Iterator[SelfCheck]:
    """Without friction a trajectory turned round goes back along itself."""
    generator = numpy_generator(task.seed, "retrace")
    well = load_system("double-well")
    assert isinstance(well, AnalyticSystem)
    far = (StateSection(name="a", where="x < -5"), StateSection(name="b", where="x > 5"))
    particle = analytic_passages(well, Boundary(with_states(well, far), "a", "b"))
    particle = replace(particle, dynamics=replace(particle.dynamics, friction_per_ps=0.0))
    molecule = load_system("alanine-dipeptide-vacuum")
    assert isinstance(molecule, MolecularSystem)
    far = (StateSection(name="a", where="phi > 179.9deg"), StateSection(name="b", where="phi < -179.9deg"))
    boundary = Boundary(with_states(molecule, far), "a", "b")
    atoms = replace(molecular_passages(molecule, boundary, platform="Reference"), friction_per_ps=0.0)
    dynamics: tuple[tuple[str, System, PassageDynamics, float], ...] = (
        ("particle", well, particle, 1e-12),
        ("molecule", molecule, atoms, 1e-10),
    )
    for name, system, passages, bound in dynamics:
        positions = np.asarray(system.positions)[None]
        start = PhasePoints(positions, passages.velocities(positions, generator))
        there = passages.run(start, RETRACED_STEPS, 1).end
        back = passages.run(there.reversed(), RETRACED_STEPS, 2).end
        distance = float(np.abs(back.positions - positions).max())
        yield SelfCheck(
            f"retrace-{name}", f"distance from the start after {RETRACED_STEPS} steps and back", distance, bound
        )


def _swap(task: _Task) -> Iterator[SelfCheck]:
    """With A and B exchanged shots are the same, and q is 1 − q."""
    case = double_well_case()
    other = replace(case, boundary=Boundary(case.system, case.boundary.b, case.boundary.a))
    x = numpy_generator(task.seed, "swap").uniform(-0.85, 0.85, 200).reshape(-1, 1, 1)
    here, there = (shots_from(which, x, 2, task.seed) for which in (case, other))
    yield SelfCheck("swap-shots", "shots with another outcome", float(np.abs(here.b - there.a).sum()), 0.0)
    settings = FittingSettings(model=CommittorSettings(members=2), steps=200)
    lineage = np.arange(len(x)) // 4
    models = [
        fit_committor(which.boundary, FittingData.of(x, counts, lineage), settings, task.seed)
        for which, counts in ((case, here), (other, there))
    ]
    total = models[0].probability(x) + models[1].probability(x)
    yield SelfCheck("swap-committor", "largest |q + q' − 1|", float(np.abs(total - 1.0).max()), 1e-5)


def _one_d(task: _Task) -> Iterator[SelfCheck]:
    case = double_well_case()
    coarse, fine = case.grid(), case.grid(0.5 * case.spacing)
    # From half as many one seed in five is beyond the bound, by the chance of its shots alone.
    result = run_committor(
        case.system, [], task.folder, shots=20_000, a="left", b="right", settings=DOUBLE_WELL_RUN, seed=task.seed,
        workers=task.workers, interruption=task.interruption,
    )  # fmt: skip
    yield SelfCheck("1d-rmse", f"error of q after {result.shots} shots", error_of(case, fine, task.folder), 0.01)
    model = load_committor(task.folder).model
    for name, value, truth in _rates(case, model, task):
        extrapolated = refined(getattr(coarse, truth), getattr(fine, truth))
        task.figures.update({f"1d-{name}": value, f"1d-{name}-grid": extrapolated})
        yield SelfCheck(f"1d-{name}", "|rate / the grid's − 1|", abs(value / extrapolated - 1.0), 0.1)


def _muller_brown(task: _Task) -> Iterator[SelfCheck]:
    case = muller_brown_case()
    coarse, fine = case.grid(2.0 * case.spacing), case.grid()
    for name in ("nu", "k_ab", "k_ba"):
        task.figures[f"muller-brown-{name}-grid"] = getattr(fine, name)
    moved = max(abs(getattr(coarse, name) / getattr(fine, name) - 1.0) for name in ("k_ab", "k_ba"))
    yield SelfCheck("muller-brown-grid", "change of the rates when the grid is refined twofold", moved, 0.01)
    result = run_committor(
        case.system, [], task.folder, shots=20_000, a="left", b="right", settings=MULLER_BROWN_RUN, seed=task.seed,
        workers=task.workers, interruption=task.interruption,
    )  # fmt: skip
    error = error_of(case, fine, task.folder)
    yield SelfCheck("muller-brown-rmse", f"error of q after {result.shots} shots", error, 0.015)
    model = load_committor(task.folder).model
    for name, value, truth in _rates(case, model, task):
        task.figures[f"muller-brown-{name}"] = value
        known = getattr(fine, truth)
        yield SelfCheck(f"muller-brown-{name}", "|rate / the grid's − 1|", abs(value / known - 1.0), 0.1)


def _rates(case: KnownCase, model: Committor, task: _Task) -> Iterator[tuple[str, float, str]]:
    """k_AB and k_BA from 8,000 two-way shots, and the grid's name for each."""
    task.interruption.check()
    found = two_way_rates(case, case.grid(), model, 8000, task.seed)
    yield "k-ab", found.k_ab.value, "k_ab"
    yield "k-ba", found.k_ba.value, "k_ba"


def _dead_end(task: _Task) -> Iterator[SelfCheck]:
    """A pocket in which shots stay long: its flat q, and q around it."""
    case = dead_end_case()
    model, error = _fitted(case, 500, 4, task)
    yield SelfCheck("dead-end-rmse", "error of q from 4,000 shots, a pocket beside the path", error, 0.04)
    pocket = np.array([[[0.3, 1.5]]])
    off = abs(float(model.probability(pocket)[0] - case.grid().probability(pocket)[0]))
    yield SelfCheck("dead-end-pocket", "error of q in the pocket", off, 0.04)


def _hidden(task: _Task) -> Iterator[SelfCheck]:
    """Ten coordinates, the one that matters hidden in nine of them."""
    _, error = _fitted(hidden_coordinate_case(), 2000, 2, task)
    yield SelfCheck("hidden-rmse", "error of q from 8,000 shots in ten dimensions", error, 0.05)


def _fitted(case: KnownCase, points: int, pairs: int, task: _Task) -> tuple[Committor, float]:
    """A committor from ``points`` points evenly over the cells below ``below``, and its error at 2,000 others."""
    grid = case.grid()
    outside = (grid.label == NEITHER) & (grid.potential < case.below) & np.isfinite(grid.q)
    positions = scattered(case, grid, outside, points, task.seed)
    counts = shots_from(case, positions, pairs, child_seed(task.seed, "shots"))
    task.interruption.check()
    data = FittingData.of(positions, counts, np.arange(len(positions)))
    model = fit_committor(case.boundary, data, FittingSettings(), child_seed(task.seed, "fit"))
    others = scattered(case, grid, case.cells(grid), 2000, child_seed(task.seed, "others"))
    truth = grid.probability(others)
    known = np.isfinite(truth)
    return model, float(np.sqrt(np.mean((model.probability(others[known]) - truth[known]) ** 2)))


PARTS: dict[str, Callable[[_Task], Iterator[SelfCheck]]] = {
    "retrace": _retrace,
    "swap": _swap,
    "one-d": _one_d,
    "muller-brown": _muller_brown,
    "dead-end": _dead_end,
    "hidden-coordinate": _hidden,
}
"""The parts of the selftest by name."""
