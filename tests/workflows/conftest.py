"""Draws of a known Gaussian mixture for the double well, as a sample run would leave them."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from molgen.ensemble import Ensemble, EnsembleHeader, EnsembleWriter
from molgen.rundir import RunDirectory
from molgen.systems.loading import load_system
from molgen.systems.record import system_record
from molgen.systems.system import System
from tests.continuous import register

SHA = "f" * 64


@dataclass(frozen=True)
class Mixture:
    """q(x) = (1 - right)·N(-1, width²) + right·N(1, width²)."""

    right: float = 0.4
    width: float = 0.35
    piece: ClassVar[int] = 2000

    def sample(self, n: int, seed: int) -> np.ndarray:
        generator = np.random.default_rng(seed)
        centre = np.where(generator.random(n) < self.right, 1.0, -1.0)
        x = generator.normal(centre, self.width)
        return x.astype(np.float32).astype(np.float64).reshape(n, 1, 1)

    def log_prob(self, positions: torch.Tensor) -> torch.Tensor:
        x = positions[:, 0, 0]
        scale = -math.log(self.width * math.sqrt(2 * math.pi))
        left, right = (scale - 0.5 * ((x - c) / self.width) ** 2 for c in (-1.0, 1.0))
        return torch.logaddexp(math.log(1 - self.right) + left, math.log(max(self.right, 1e-300)) + right)

    def in_domain(self, positions: torch.Tensor) -> torch.Tensor:
        return torch.ones(len(positions), dtype=torch.bool)


@dataclass
class FakeLoaded:
    """What ``load_model`` gives."""

    model: Mixture
    system: System
    temperature_k: float
    sha256: str = SHA
    training: dict[str, Any] = field(default_factory=lambda: {"evaluations": {"data": 10, "training": 20}})

    def check_frames(self, positions: np.ndarray) -> None:
        assert positions.shape[1:] == (1, 1)


@dataclass(frozen=True)
class Draws:
    """A sample run's directory, the exact population of ``right``, and the loaded model."""

    directory: Path
    loaded: FakeLoaded


@pytest.fixture
def make_draws(tmp_path: Path) -> Callable[..., Draws]:
    def make(n: int = 16_000, seed: int = 1, log_q_shift: float = 0.0, **mixture: float) -> Draws:
        system = load_system("double-well")
        model = Mixture(**mixture)
        positions = model.sample(n, seed)
        log_q = model.log_prob(torch.as_tensor(positions)).numpy()
        log_q = log_q + log_q_shift * positions[:, 0, 0]
        header = EnsembleHeader(
            system_record(system), system.temperature_k, "external", SHA, seed, evaluations={"sampling": 0}, dim=1
        )
        rows = Ensemble(positions, log_q, None, None, np.ones(n, dtype=np.bool_), header)
        directory = tmp_path / f"ensemble-{seed}-{n}"
        with RunDirectory.open(directory, kind="sample", config={"model": str(tmp_path / "model")}, seed=seed) as run:
            with EnsembleWriter(directory / "ensemble.h5", header) as writer:
                writer.append(rows)
            run.finish({})
        (tmp_path / "model").mkdir(exist_ok=True)
        return Draws(directory, FakeLoaded(model, system, system.temperature_k))

    return make


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of the stand-in for a continuous flow."""
    return register(monkeypatch)
