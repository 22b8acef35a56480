"""The demonstration: alanine dipeptide from nothing to a reweighted ensemble in a few minutes."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from molgen.interruption import Interruption
from molgen.progress import Progress, silent
from molgen.rundir import RunDirectory
from molgen.seeds import child_seed
from molgen.systems import load_system
from molgen.systems.system import System
from molgen.training.settings import LearnSettings, RefineSettings, TrainingSettings
from molgen.workflows.reweighting import ReweightResult, reweight
from molgen.workflows.sampling import SamplingResult, sample
from molgen.workflows.simulation import SimulationResult, simulate
from molgen.workflows.training import TrainingResult, train

KIND = "demo"
SYSTEM = "alanine-dipeptide"
TIME_PS = 4000.0
DRAWS = 20_000
TRAINING = TrainingSettings(learn=LearnSettings(steps=700), refine=RefineSettings(rounds=50))
"""Sized for about four idle minutes on two cores, all steps together."""


@dataclass(frozen=True)
class DemoResult:
    """The run directory of the demonstration and the result of each of its steps."""

    directory: Path
    simulation: SimulationResult
    training: TrainingResult
    sampling: SamplingResult
    reweighting: ReweightResult

    def to_json(self) -> dict[str, Any]:
        """Where everything is; the figures are those of :attr:`reweighting`."""
        steps = {
            "md": self.simulation.directory,
            "model": self.training.directory,
            "ensemble": self.sampling.directory,
            "result": self.reweighting.directory,
        }
        return {"directory": str(self.directory), "steps": {name: str(path) for name, path in steps.items()}}


def plan_demo() -> dict[str, Any]:
    """What :func:`demo` would do: steps of dynamics, training and draws."""
    refine = TRAINING.refine
    return {
        "system": SYSTEM,
        "simulation_ps": TIME_PS,
        "training_steps": TRAINING.learn.steps + refine.rounds * refine.steps,
        "training_evaluations_fresh": refine.rounds * refine.draws,
        "draws": DRAWS,
        "files": ["md/", "model/", "ensemble/", "result/"],
    }


def demo(
    output: str | Path,
    *,
    system: System | None = None,
    seed: int | None = None,
    workers: int = 2,
    platform: str = "auto",
    progress: Progress = silent,
    interruption: Interruption | None = None,
) -> DemoResult:
    """Simulate, train, sample and reweight alanine dipeptide (or ``system``) into ``output``.

    Everything is made anew: no frames or weights from elsewhere are read, and the reference that the system ships is
    opened by the last step alone, for comparison. The same call again continues an interrupted demonstration.
    """
    system = system or load_system(SYSTEM)
    interruption = interruption or Interruption()
    config = {"system": system.name, "fingerprint": system.fingerprint, "platform": platform}
    with RunDirectory.open(output, kind=KIND, config=config, seed=seed) as run:
        root = run.seed
        simulation = simulate(
            system,
            run.path / "md",
            mode="explore",
            time_ps=TIME_PS,
            seed=child_seed(root, "simulate", bits=31),
            workers=workers,
            platform=platform,
            progress=progress,
            interruption=interruption,
        )
        training = train(
            system,
            [simulation.directory],
            run.path / "model",
            settings=TRAINING,
            seed=child_seed(root, "train", bits=31),
            workers=workers,
            platform=simulation.platform if platform == "auto" else platform,
            progress=progress,
            interruption=interruption,
        )
        sampling = sample(
            training.directory,
            run.path / "ensemble",
            n=DRAWS,
            seed=child_seed(root, "sample", bits=31),
            progress=progress,
            interruption=interruption,
        )
        reweighting = reweight(
            sampling.directory,
            run.path / "result",
            seed=child_seed(root, "reweight", bits=31),
            workers=workers,
            platform=simulation.platform if platform == "auto" else platform,
            progress=progress,
            interruption=interruption,
            allow_refused=True,
        )
        result = DemoResult(run.path, simulation, training, sampling, reweighting)
        if not run.complete:
            run.finish(result.to_json(), artifacts=[])
    return result
