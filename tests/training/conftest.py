"""Double-well and Müller-Brown frames drawn from the exact densities, labelled for a small flow."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from molgen.energies.base import Energy
from molgen.energies.factory import open_energy
from molgen.interruption import Interruption
from molgen.models.spline_flow import SplineFlow, SplineFlowSettings
from molgen.models.table import model_class
from molgen.observables.states import build_states, with_states
from molgen.progress import Progress, silent
from molgen.seeds import numpy_generator
from molgen.systems.definition import StateSection
from molgen.systems.loading import load_system
from molgen.systems.system import System
from molgen.training.guard import Guard, states_of_frames
from molgen.training.labelled import LabelledFrames, label_frames
from molgen.training.matching import matching_settings
from molgen.training.settings import TrainingSettings
from molgen.training.task import TrainingTask
from molgen.training.trainer import Trainer
from molgen.trajectories.frames import FrameSet
from tests.continuous import Normal, pair_frames, register

RANGES = {"double-well": [(-2.0, 2.0)], "muller-brown": [(-1.7, 1.2), (-0.4, 2.1)]}


def exact_frames(system: System, energy: Energy, n: int, seed: int) -> np.ndarray:
    """``n`` frames (n, 1, D) of p, drawn cell by cell from a fine grid and spread evenly within a cell."""
    axes = [np.linspace(low, high, 401) for low, high in RANGES[system.name]]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 1, system.dim)
    probability = np.exp(-energy.reduced(grid, purpose="data"))
    generator = numpy_generator(seed, "frames")
    chosen = generator.choice(len(grid), n, p=probability / probability.sum())
    steps = np.array([axis[1] - axis[0] for axis in axes])
    return np.asarray(grid[chosen] + (generator.random((n, 1, system.dim)) - 0.5) * steps)


@dataclass(frozen=True)
class Bench:
    """A system with its energy, an initial flow whitened on its frames, and the frames with their labels."""

    system: System
    energy: Energy
    flow: SplineFlow
    positions: np.ndarray
    labelled: LabelledFrames
    guard: Guard

    def trainer(
        self,
        directory: Path,
        settings: TrainingSettings,
        *,
        interruption: Interruption | None = None,
        progress: Progress = silent,
        limit_s: float | None = None,
    ) -> Trainer:
        return Trainer(
            self.flow,
            self.labelled,
            self.guard.frames,
            self.guard,
            settings,
            seed=11,
            directory=directory,
            limit_s=limit_s,
            progress=progress,
            interruption=interruption or Interruption(),
        )


@pytest.fixture
def make_bench() -> Callable[..., Bench]:
    def make(
        name: str = "double-well",
        n: int = 1000,
        keep: Callable[[np.ndarray], np.ndarray] | None = None,
        spline: int = 1,
    ) -> Bench:
        system = load_system(name)
        energy = open_energy(system)
        positions = exact_frames(system, energy, n, seed=5)
        learned = positions if keep is None else positions[keep(positions)]
        shape = SplineFlowSettings(hidden=8, bins=4, affine=1, spline=spline)
        flow = SplineFlow(system, shape, torch.Generator().manual_seed(3))
        flow.whitening.fit(flow.chart.encode(torch.as_tensor(learned)))
        labelled = label_frames(flow, learned, energy)
        states = build_states(system)
        found = states_of_frames(system, states, positions)
        guard = Guard(system, states, energy, label_frames(flow, positions, energy), found, np.arange(len(found)))
        return Bench(system, energy, flow, learned, labelled, guard)

    return make


def perturb(flow: SplineFlow, seed: int, size: float = 0.3) -> None:
    """Move every parameter at random, so that no map is the identity it starts as."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter.add_(size * torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype))


@pytest.fixture
def perturbed() -> Callable[..., None]:
    return perturb


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of the stand-in for a continuous flow."""
    return register(monkeypatch)


TINY = {"steps": 12, "batch": 32, "warmup": 3, "check_every": 5, "check_draws": 120, "average": 0.5}
Make = Callable[..., tuple[Normal, TrainingTask]]


@pytest.fixture
def make(stand_in: str, tmp_path: Path) -> Make:
    def make(
        name: str = "run",
        *,
        frames: np.ndarray | None = None,
        weight: np.ndarray | None = None,
        states: tuple[StateSection, ...] = (),
        changes: dict[str, Any] | None = None,
        **task: Any,
    ) -> tuple[Normal, TrainingTask]:
        system = with_states(load_system("dw4"), states)
        positions = pair_frames(300) if frames is None else frames
        n = len(positions)
        settings = matching_settings(stand_in).parse({**TINY, **(changes or {})}, source="test")
        model = model_class(stand_in)(system, settings.flow)
        (tmp_path / name).mkdir(exist_ok=True)
        given = TrainingTask(
            system=system,
            frames=FrameSet(
                positions, np.sort(np.arange(n) % 10), "equilibrium", np.full(n, system.temperature_k), weight
            ),
            rows=np.flatnonzero(np.arange(n) % 10 != 0),
            held_out=np.flatnonzero(np.arange(n) % 10 == 0),
            settings=settings,
            energy=open_energy(system),
            negligible=0.0,
            seed=7,
            directory=tmp_path / name,
            limit_s=None,
            progress=silent,
            interruption=Interruption(),
        )
        return model, replace(given, **task)

    return make
