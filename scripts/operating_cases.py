"""Good, poor and bad runs of every kind of ensemble, with known answers: the cases of operating_characteristic.py.

Every case says what is drawn and weighed for one seed, through `workflows.sample` and `workflows.reweight`, and what
the true value of its quantity is. The quantity, a difference of free energies between two states, was named beforehand.
Coverage counts as tested and passed everywhere (a guard of training that saw nothing wrong), so that the verdict rests
on what reweighting itself finds: with a guard that works more bad runs would be refused, none fewer.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Protocol

import coverage_together as windows
import numpy as np
import torch

from molgen import workflows
from molgen.errors import InputError
from molgen.models.artifact import save_model
from molgen.models.flow_matching import FlowMatching, FlowMatchingSettings
from molgen.models.spline_flow import SplineFlow, SplineFlowSettings
from molgen.networks.equivariant import EquivariantSettings
from molgen.seeds import child_seed
from molgen.systems.loading import load_system
from molgen.systems.system import System
from molgen.trajectories.shards import write_shard

Quality = Literal["good", "poor", "bad"]
"""``good``: several times as many effective samples as the rules need in every state. ``bad``: a state lost or nearly
so. ``poor``: in between, answered or refused as the draws fall."""
FEW = workflows.ReweightSettings(bootstrap_repeats=20, distances={"enabled": False})
"""For one ensemble only the interval of its effective sample size is bootstrapped, which nobody looks at here."""
TOGETHER = workflows.ReweightSettings(distances={"enabled": False})


class Case(Protocol):
    """What a case offers; ``quantity`` is a key of ``delta_f`` in result.json."""

    kind: str
    quality: Quality
    quantity: str

    def prepare(self, folder: Path) -> None:
        """Make the models of the case, once."""
        ...

    def run(self, prepared: Path, folder: Path, seed: int) -> Mapping[str, Any] | None:
        """result.json of one run; None where the ensembles could not be joined (exit 3)."""
        ...

    def truth(self) -> float | None:
        """The exact value; None where it is the mean over all seeds."""
        ...


def passed(system: System) -> dict[str, Any]:
    """The record of a training whose guard found nothing wrong."""
    states = [{"name": state.name, "passed": True, "reason": ""} for state in system.definition.state]
    return {"evaluations": {}, "states": states}


@dataclass(frozen=True)
class Normals:
    """Normal distributions as models of the double well: ``models`` are (mean, width), with ``draws`` of each.

    With ``bias`` the draws are pushed by it; with ``populations`` they are annealed. ``windows`` are the centres of
    umbrella runs of ``frames`` frames, of ``stiffness`` kT, weighed together with the draws.
    """

    kind: str
    quality: Quality
    models: tuple[tuple[float, float], ...]
    draws: int
    bias: str | None = None
    populations: int | None = None
    windows: tuple[float, ...] = ()
    stiffness: float = 10.0
    frames: int = 0
    quantity: str = "right->left"

    def prepare(self, folder: Path) -> None:
        """One spline flow without a layer for each normal distribution."""
        system = load_system("double-well")
        for number, (mean, width) in enumerate(self.models):
            settings = SplineFlowSettings(affine=0, spline=0, hidden=4)
            flow = SplineFlow(system, settings, torch.Generator().manual_seed(1))
            flow.fit(torch.tensor([[[mean - width]], [[mean + width]]], dtype=torch.float64))
            flow.whitening.scale.fill_(width)
            place = folder / f"model-{number}"
            place.mkdir(parents=True)
            save_model(place, "spline", flow, system, passed(system))

    def run(self, prepared: Path, folder: Path, seed: int) -> Mapping[str, Any] | None:
        """Draw from every model, make every window, weigh all together."""
        settings, method = workflows.SamplingSettings(), "auto"
        if self.populations is not None:
            method = "annealed"
            settings = workflows.SamplingSettings(
                annealing={"populations": self.populations, "pilot": 100, "leapfrogs": 3}
            )
        paths = []
        for number in range(len(self.models)):
            paths.append(folder / f"draws-{number}")
            own = child_seed(seed, "draws", number)
            model = prepared / f"model-{number}"
            workflows.sample(model, paths[-1], n=self.draws, bias=self.bias, method=method, settings=settings, seed=own)
        system = load_system("double-well")
        for number, center in enumerate(self.windows):
            paths.append(folder / f"window-{number}")
            own = child_seed(seed, "window", number)
            windows.make_window(paths[-1], system, center, self.stiffness, self.frames, own)
        few = FEW if len(paths) == 1 else TOGETHER
        try:
            return workflows.reweight(paths, folder / "result", settings=few, seed=seed, allow_refused=True).record
        except InputError:
            return None

    def truth(self) -> float:
        """By quadrature."""
        return windows.exact(load_system("double-well"))["right->left"]


@dataclass(frozen=True)
class MullerBrown:
    """A normal distribution or a spline flow trained for ``steps`` steps on exact frames of Müller-Brown.

    ``rounds`` of fresh draws follow the steps; ``scale`` is that of the potential. ``mass`` is the part
    of the frames of b that
    training sees (frames of b are thinned to it): the model then gives b that part of its weight.
    """

    kind: str
    quality: Quality
    draws: int
    steps: int = 0
    rounds: int = 0
    scale: float = 0.1
    mass: float = 1.0
    quantity: str = "b->a"

    def prepare(self, folder: Path) -> None:
        """Fit the model to exact frames."""
        folder.mkdir(parents=True)
        system, place = _muller_brown(self.scale), folder / "model"
        frames = _grid_frames(system, 20_000, 3, self.mass)
        if self.steps == 0:
            settings = SplineFlowSettings(affine=0, spline=0, hidden=4)
            flow = SplineFlow(system, settings, torch.Generator().manual_seed(1))
            flow.fit(torch.as_tensor(frames))
            place.mkdir()
            save_model(place, "spline", flow, system, passed(system))
            return
        write_shard(folder / "frames.h5", frames, np.arange(len(frames)) % 20, system, system.temperature_k)
        settings = workflows.training_settings(system, "spline").with_overrides(
            [f"learn.steps={self.steps}", f"refine.rounds={self.rounds}", "guard_draws=1000"]
        )
        workflows.train(system, [folder / "frames.h5"], folder / "trained", settings=settings, seed=1)
        from molgen.models.artifact import load_model

        place.mkdir()
        save_model(place, "spline", load_model(folder / "trained").model, system, passed(system))

    def run(self, prepared: Path, folder: Path, seed: int) -> Mapping[str, Any]:
        """Draw and weigh."""
        return _draw_and_weigh(prepared / "model", folder, self.draws, seed)

    def truth(self) -> float:
        """By quadrature."""
        positions, weight = _grid(_muller_brown(self.scale))
        b = weight[(positions[:, 0, 1] <= 0.7) & (positions[:, 0, 0] > 0.2)].sum()
        return float(-math.log(weight[positions[:, 0, 1] > 0.7].sum() / b))


def _muller_brown(scale: float) -> System:
    """The built-in system with another scale of its energies."""
    system = load_system("muller-brown")
    analytic = system.definition.analytic
    assert analytic is not None
    changed = analytic.model_copy(update={"parameters": {"scale": scale}})
    return replace(system, definition=system.definition.model_copy(update={"analytic": changed}))


def _grid(system: System) -> tuple[np.ndarray, np.ndarray]:
    """Points (m, 1, 2) of a fine grid of Müller-Brown and their weights (m,)."""
    from molgen.energies.factory import open_energy

    x, y = np.meshgrid(np.linspace(-2.0, 1.5, 1401), np.linspace(-0.7, 2.3, 1201), indexing="ij")
    positions = np.stack([x.ravel(), y.ravel()], axis=1)[:, None]
    u = open_energy(system).reduced(positions, purpose="reweighting")
    weight = np.exp(-(u - np.nanmin(u)))
    return positions, weight / weight.sum()


def _grid_frames(system: System, n: int, seed: int, mass: float) -> np.ndarray:
    """Exact frames (n', 1, 2) of Müller-Brown, those of state b thinned to the part ``mass`` of them."""
    positions, weight = _grid(system)
    generator = np.random.default_rng(seed)
    chosen = positions[generator.choice(len(positions), size=n, p=weight)]
    chosen = chosen + generator.uniform(-0.00125, 0.00125, chosen.shape)
    inside = (chosen[:, 0, 1] <= 0.7) & (chosen[:, 0, 0] > 0.2)
    return chosen[~inside | (generator.random(n) < mass)]


PAIR = """name = "pair"
description = "Two identical particles in the plane, a double well in their distance"
[analytic]
potential = "pair-double-well"
particles = 2
[[cv]]
name = "rg"
radius_of_gyration = "all"
[[state]]
name = "near"
where = "rg < 2nm"
[[state]]
name = "far"
where = "otherwise"
"""


@dataclass(frozen=True)
class Pairs:
    """A Cartesian flow of two particles in the plane, as it is before training: a normal distribution of ``width``.

    With ``bias`` its draws are guided.
    """

    kind: str
    quality: Quality
    draws: int
    width: float
    bias: str | None = None
    quantity: str = "far->near"

    def _system(self, folder: Path) -> System:
        return load_system(folder / "system.toml")

    def prepare(self, folder: Path) -> None:
        """A flow whose field is next to nothing."""
        folder.mkdir(parents=True)
        (folder / "system.toml").write_text(PAIR)
        system = self._system(folder)
        network = EquivariantSettings(layers=1, scalars=8, vectors=4, radial=8, hidden=8)
        settings = FlowMatchingSettings(network=network, steps=2, piece=3000)
        flow = FlowMatching(system, settings, torch.Generator().manual_seed(1))
        half = 0.5 * self.width
        apart = np.array([[[half, half], [-half, -half]], [[half, -half], [-half, half]]])
        flow.fit(torch.as_tensor(apart))
        place = folder / "model"
        place.mkdir()
        save_model(place, "flow-matching", flow, system, passed(system))

    def run(self, prepared: Path, folder: Path, seed: int) -> Mapping[str, Any]:
        """Draw and weigh."""
        return _draw_and_weigh(prepared / "model", folder, self.draws, seed, self.bias)

    def truth(self) -> float:
        """By quadrature over the distance, of measure d·dd in the plane."""
        d = np.linspace(1e-6, 12.0, 1_200_001)
        x2 = (d - 4.0) ** 2
        weight = d * np.exp(4.0 * x2 - 0.9 * x2**2)
        return float(-math.log(weight[d < 4.0].sum() / weight[d >= 4.0].sum()))


@dataclass(frozen=True)
class Peptide:
    """Sub-samples of a trained model of alanine dipeptide, given beforehand: ``prepared/model`` links to it.

    The truth is the ratio of all weights of all seeds, whose error is a fourteenth of one run's for 200 of them.
    """

    kind: str
    quality: Quality
    draws: int
    quantity: str

    def prepare(self, folder: Path) -> None:
        """The model has to be there."""
        raise InputError(f"{folder} has no model.", f"Link a trained one to {folder / 'model'}.")

    def run(self, prepared: Path, folder: Path, seed: int) -> Mapping[str, Any]:
        """Draw and weigh."""
        return _draw_and_weigh(prepared / "model", folder, self.draws, seed)

    def truth(self) -> None:
        """Found from all seeds."""
        return


def _draw_and_weigh(model: Path, folder: Path, n: int, seed: int, bias: str | None = None) -> Mapping[str, Any]:
    workflows.sample(model, folder / "draws", n=n, seed=seed, bias=bias, method="guided" if bias else "auto")
    return workflows.reweight(folder / "draws", folder / "result", settings=FEW, seed=seed, allow_refused=True).record


CENTRED = ((0.0, 0.9),)
CASES: dict[str, Case] = {
    "spline, 24 % effective": Normals("spline", "good", CENTRED, 12_000),
    "spline, 11 % effective": Normals("spline", "good", ((0.0, 3.5),), 20_000),
    "spline, heavy weights": Normals("spline", "poor", ((-0.4, 0.65),), 12_000),
    "spline, heavier weights": Normals("spline", "poor", ((-0.5, 0.6),), 12_000),
    "spline, a mode of 0.5 %": Normals("spline", "bad", ((-0.9, 0.35),), 12_000),
    "spline, a mode of 1e-4": Normals("spline", "bad", ((-1.0, 0.269),), 12_000),
    "spline, trained": MullerBrown("spline", "good", 30_000, steps=400, rounds=40, scale=0.04),
    "spline, trained for too short": MullerBrown("spline", "poor", 30_000, steps=400),
    "spline, trained without most of b": MullerBrown("spline", "bad", 12_000, steps=400, mass=0.02),
    "spline, normal distribution of the frames": MullerBrown("spline", "poor", 20_000),
    "spline, alanine dipeptide": Peptide("spline", "good", 4_000, "extended->alpha_r"),
    "Cartesian": Pairs("Cartesian", "good", 12_000, 4.5),
    "Cartesian, too narrow": Pairs("Cartesian", "poor", 12_000, 2.5),
    "Cartesian, far state lost": Pairs("Cartesian", "bad", 6_000, 1.3),
    "biased to the barrier": Normals("biased", "good", CENTRED, 20_000, "harmonic(x, center=0, k=3 kT)"),
    "guided to the barrier": Pairs("biased", "good", 3_000, 4.5, "harmonic(rg, center=2 nm, k=1.5 kT/nm^2)"),
    "biased to one side": Normals("biased", "poor", CENTRED, 12_000, "linear(x, slope=4 kT)"),
    "biased, one narrow window": Normals("biased", "bad", ((-0.9, 0.35),), 8_000, "harmonic(x, center=-1, k=40 kT)"),
    "annealed": Normals("annealed", "good", ((0.0, 1.2),), 8_000, populations=16),
    "annealed, few particles": Normals("annealed", "poor", ((-0.5, 0.6),), 2_000, populations=10),
    "annealed, mode lost": Normals("annealed", "bad", ((-1.0, 0.25),), 1_600, populations=16),
    "combined, two models": Normals("combined", "good", ((-0.6, 0.5), (0.7, 0.6)), 8_000),
    "combined, model and windows": Normals(
        "combined", "good", ((-0.3, 0.8),), 12_000, windows=(-0.5, 0.0, 0.5), frames=2_000
    ),
    "combined, state lost": Normals("combined", "bad", ((-1.0, 0.2), (-0.6, 0.25)), 4_000),
    "spline, 2 % effective": Normals("spline", "good", ((0.0, 20.0),), 100_000),
}
"""The share of effective draws in the names is that of a quadrature (the trained models': of their runs)."""
