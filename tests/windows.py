"""Windows on the double well, made by hand: draws of Gaussians as sample runs, umbrella windows as simulate runs."""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

from molgen.ensemble import Ensemble, EnsembleHeader, EnsembleWriter
from molgen.files import json_bytes
from molgen.rundir import RunDirectory
from molgen.systems.loading import load_system
from molgen.systems.record import system_record
from molgen.trajectories.shards import write_shard

GRID = np.linspace(-3.0, 3.0, 60_001)
POTENTIAL = 5.0 * (GRID**2 - 1.0) ** 2 + 0.5 * GRID
SYSTEM = load_system("double-well")


def exact_share(inside: np.ndarray, potential: np.ndarray = POTENTIAL) -> float:
    """The population of the part of the grid where ``inside``."""
    weight = np.exp(-potential)
    return float(weight[inside].sum() / weight.sum())


def log_integral(potential: np.ndarray) -> float:
    """ln ∫ exp(-potential)."""
    return float(np.log(np.sum(np.exp(-potential)) * (GRID[1] - GRID[0])))


@dataclass(frozen=True)
class Gaussians:
    """q(x) = Σ a_k N(c_k, w_k²): a window is one of them, and a defensive mixture two."""

    parts: tuple[tuple[float, float, float], ...]
    piece: ClassVar[int] = 2000

    def sample(self, n: int, seed: int) -> np.ndarray:
        generator = np.random.default_rng(seed)
        shares = np.array([part[0] for part in self.parts])
        which = generator.choice(len(shares), size=n, p=shares / shares.sum())
        centres, widths = (np.array([part[i] for part in self.parts])[which] for i in (1, 2))
        x = generator.normal(centres, widths)
        return x.astype(np.float32).astype(np.float64).reshape(n, 1, 1)

    def log_prob(self, positions: torch.Tensor) -> torch.Tensor:
        x = positions.double()[:, 0, 0]
        total = sum(part[0] for part in self.parts)
        terms = [
            math.log(a / total) - math.log(w * math.sqrt(2 * math.pi)) - 0.5 * ((x - c) / w) ** 2
            for a, c, w in self.parts
        ]
        return torch.logsumexp(torch.stack(terms), dim=0)

    def in_domain(self, positions: torch.Tensor) -> torch.Tensor:
        return torch.ones(len(positions), dtype=torch.bool)


@dataclass
class LoadedGaussians:
    """What ``load_model`` gives."""

    model: Gaussians
    sha256: str
    system: Any = SYSTEM
    training: dict[str, Any] = field(default_factory=dict)

    @property
    def fingerprint(self) -> str:
        return str(self.system.fingerprint)

    @property
    def temperature_k(self) -> float:
        return float(self.system.temperature_k)

    def check_frames(self, positions: np.ndarray) -> None:
        assert positions.shape[1:] == (1, 1)


class Workshop:
    """Makes runs in a directory; ``load`` takes the place of reading a model."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.models: dict[str, LoadedGaussians] = {}

    def load(self, path: Path) -> LoadedGaussians:
        return self.models[Path(path).name]

    def draws(
        self,
        name: str,
        parts: tuple[tuple[float, float, float], ...],
        n: int = 2000,
        seed: int | None = None,
        header: Mapping[str, Any] | None = None,
        model: str | None = None,
    ) -> Path:
        """A sample run of the Gaussians ``parts`` (share, centre, width); the same parts are the same model."""
        known = model or "model-" + "".join(f"{value:+.3f}" for part in parts for value in part)
        loaded = self.models.setdefault(known, LoadedGaussians(Gaussians(parts), sha256=known.ljust(64, "0")))
        seed = sum(map(ord, name)) if seed is None else seed
        positions = loaded.model.sample(n, seed)
        log_q = loaded.model.log_prob(torch.as_tensor(positions)).numpy()
        said = {"evaluations": {"sampling": 0}, "dim": 1, "seed": seed} | dict(header or {})
        described = EnsembleHeader(
            system_record(SYSTEM),
            said.pop("temperature_k", SYSTEM.temperature_k),
            said.pop("measure", "external"),
            loaded.sha256,
            **said,
        )
        place, folder = self.directory / known, self.directory / name
        place.mkdir(exist_ok=True)
        with RunDirectory.open(folder, kind="sample", config={"model": str(place)}, seed=seed) as run:
            rows = Ensemble(positions, log_q, None, None, np.ones(n, dtype=np.bool_), described)
            with EnsembleWriter(folder / "ensemble.h5", described) as writer:
                writer.append(rows)
            run.finish({})
        return folder

    def dynamics(
        self,
        name: str,
        bias: Callable[[np.ndarray], np.ndarray] | None = None,
        *,
        text: str | None = None,
        n: int = 2000,
        seed: int | None = None,
        kind: str | None = None,
        hotter: float = 1.0,
        chains: int = 4,
    ) -> Path:
        """A simulate run: independent frames of exp(-U/hotter - bias) whose record says ``text``."""
        potential = POTENTIAL / hotter + (0.0 if bias is None else bias(GRID))
        weight = np.exp(-(potential - potential.min()))
        seed = sum(map(ord, name)) if seed is None else seed
        x = np.random.default_rng(seed).choice(GRID, size=n, p=weight / weight.sum())
        folder = self.directory / name
        kelvin = SYSTEM.temperature_k * hotter
        kind = kind or ("equilibrium" if text is None else "umbrella")
        config = {"name": name, "settings": {"hydrogen_mass_da": None}}
        with RunDirectory.open(folder, kind="simulate", config=config, seed=seed) as run:
            run.write_json("system.json", system_record(SYSTEM))
            lineage = np.arange(n) * chains // n
            write_shard(folder / "frames-0000.h5", x.reshape(n, 1, 1), lineage, SYSTEM, kelvin)
            run.finish({"kind": kind, "bias": text, "temperature_k": kelvin, "evaluations": 10 * n, "frames": n})
        return folder

    def trained_on(self, draws: Path, data: Path) -> None:
        """Make the model of ``draws`` one that was trained on ``data``."""
        from molgen.rundir import MANIFEST, sha256_file

        place = Path(json.loads((draws / MANIFEST).read_text())["config"]["model"])
        manifest = json.loads((draws / MANIFEST).read_text())
        config = {"data": {str(data): sha256_file(data / MANIFEST)}}
        (place / MANIFEST).write_bytes(json_bytes(manifest | {"kind": "train", "config": config}))


def harmonic(center: float, k: float) -> tuple[Callable[[np.ndarray], np.ndarray], str]:
    """½ k (x - center)² and its line, k in kT."""
    return lambda x: 0.5 * k * (x - center) ** 2, f"harmonic(x, center={center}, k={k} kT)"
