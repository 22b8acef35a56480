"""Ensembles that are not what they say, one fault at a time: what `molgen reweight` says of each.

    python scripts/faults.py MODEL -o docs/benchmarks/faults.json --work DIR [--kind KIND]

MODEL is a trained spline flow of alanine dipeptide (`molgen demo` leaves one). Of every kind of ensemble a sound one is
drawn, then spoiled in every way that applies to it; the word and the sentence that names the fault are written down.
A fault counts as named if the verdict is `refused` (or the input is turned down, exit 3) and a reason says what is
wrong. The sound ensembles must not be refused. scripts/verdict_tables.py makes the table in docs/verdicts.md.
"""

import argparse
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from operating_cases import Pairs

from molgen import workflows
from molgen.ensemble import Ensemble, EnsembleReader, EnsembleWriter
from molgen.errors import InputError
from molgen.models.artifact import load_model, save_model
from molgen.models.spline_flow import SplineFlow
from molgen.observables.states import build_states
from molgen.observables.table import evaluate_cvs
from molgen.systems.record import system_from_record
from molgen.workflows import reweight_conclusion

N = 16_000
RARE = {"spline": "alpha_l", "biased": "alpha_l", "annealed": "alpha_r", "combined": "alpha_l", "Cartesian": "near"}
"""The state that is removed."""
KEPT = 0.1
"""Part of a thinned state that is left."""
HOTTER_K = 50.0
BIAS = "harmonic(phi, center=60deg, k=20 kJ/mol/rad^2)"
FEW = workflows.ReweightSettings(bootstrap_repeats=20, reference_energies=200, distances={"enabled": False})


@dataclass(frozen=True)
class Sound:
    """A sound ensemble of a ``kind``: the directory that is spoiled, those that stay as they are, and models."""

    kind: str
    directory: Path
    beside: tuple[Path, ...]
    model: Path
    other_model: Path
    other_molecule: Path


Spoil = Callable[[Ensemble, Sound], Ensemble]


def without_jacobian(rows: Ensemble, sound: Sound) -> Ensemble:
    """log q as a density of internal coordinates (a molecule), or of the latent numbers."""
    assert rows.log_q is not None
    model: Any = load_model(sound.model).model
    frames = torch.as_tensor(rows.positions)
    with torch.no_grad():
        if isinstance(model, SplineFlow):
            log_volume = model.place(*model.standardise(frames))[1]
        else:
            log_volume = model.latent_log_prob(model.to_latent(frames)) - model.log_prob(frames)
    return replace(rows, log_q=rows.log_q + log_volume.double().numpy())


def hotter(rows: Ensemble, sound: Sound) -> Ensemble:
    """A header that says another temperature."""
    return replace(rows, header=replace(rows.header, temperature_k=rows.header.temperature_k + HOTTER_K))


def hotter_energies(rows: Ensemble, sound: Sound) -> Ensemble:
    """Stored energies in kT of another temperature."""
    rows = with_energies(rows, sound)
    assert rows.reduced_energy is not None
    kelvin = rows.header.temperature_k
    return replace(rows, reduced_energy=rows.reduced_energy * kelvin / (kelvin + HOTTER_K))


def mirrored(rows: Ensemble, sound: Sound) -> Ensemble:
    """Mirror images."""
    return replace(rows, positions=rows.positions * np.array([-1.0, 1.0, 1.0])[: rows.positions.shape[2]])


def tenfold(rows: Ensemble, sound: Sound) -> Ensemble:
    """Ångström taken for nm."""
    return replace(rows, positions=10.0 * rows.positions)


def in_state(rows: Ensemble, sound: Sound) -> np.ndarray:
    """Which rows are in the state that is removed."""
    system = system_from_record(dict(rows.header.system_record))
    states = build_states(system)
    label = states.assign(evaluate_cvs(system, rows.positions))
    return np.asarray(label == states.names.index(RARE[sound.kind]))


def removed(rows: Ensemble, sound: Sound) -> Ensemble:
    """No draw left in a state."""
    return chosen(rows, np.flatnonzero(~in_state(rows, sound)))


def thinned(rows: Ensemble, sound: Sound) -> Ensemble:
    """A tenth of the draws in a state left."""
    kept = np.random.default_rng(1).random(len(rows)) < KEPT
    return chosen(rows, np.flatnonzero(~in_state(rows, sound) | kept))


def permuted(column: str) -> Spoil:
    """Values of a column that belong to other frames."""

    def spoil(rows: Ensemble, sound: Sound) -> Ensemble:
        if column == "reduced_energy":
            rows = with_energies(rows, sound)
        order = np.random.default_rng(2).permutation(len(rows))
        changes: dict[str, Any] = {column: getattr(rows, column)[order]}
        return replace(rows, **changes)

    return spoil


def not_finite(rows: Ensemble, sound: Sound) -> Ensemble:
    """One log q that is no number."""
    assert rows.log_q is not None
    log_q = rows.log_q.copy()
    log_q[int(np.flatnonzero(rows.in_domain)[0])] = np.nan
    return replace(rows, log_q=log_q)


def same(rows: Ensemble, sound: Sound) -> Ensemble:
    """Nothing."""
    return rows


def with_energies(rows: Ensemble, sound: Sound) -> Ensemble:
    """The right energies as a column, where the kind of ensemble has none."""
    if rows.reduced_energy is not None:
        return rows
    from molgen.energies.factory import open_energy

    energy = open_energy(system_from_record(dict(rows.header.system_record)))
    return replace(rows, reduced_energy=energy.reduced(rows.positions, purpose="reweighting"))


def chosen(rows: Ensemble, index: np.ndarray) -> Ensemble:
    """The rows ``index``."""
    names = ("positions", "log_q", "reduced_energy", "log_weight", "in_domain", "population", "reduced_bias")
    changes: dict[str, Any] = {n: getattr(rows, n)[index] for n in names if getattr(rows, n) is not None}
    return replace(rows, **changes)


@dataclass(frozen=True)
class Fault:
    """``spoil`` changes the rows; ``model`` says which model is given instead; ``named`` are words of which a reason
    must hold one; ``kinds`` are the kinds it applies to, with ``otherwise`` for the rest."""

    spoil: Spoil
    named: tuple[str, ...]
    kinds: tuple[str, ...]
    otherwise: str = ""
    model: str | None = None


KINDS = ("spline", "Cartesian", "biased", "annealed", "combined")
WITH_DENSITY = ("spline", "Cartesian", "biased", "combined")
NO_DENSITY = "its rows have weights and no log q"
FAULTS: dict[str, Fault] = {
    "none": Fault(same, (), KINDS),
    "log q without the Jacobian": Fault(without_jacobian, ("log_q", "jacobian"), WITH_DENSITY, NO_DENSITY),
    "log q permuted against frames": Fault(permuted("log_q"), ("log_q",), WITH_DENSITY, NO_DENSITY),
    "one log q is no number": Fault(not_finite, ("log-density that is not finite",), WITH_DENSITY, NO_DENSITY),
    "another temperature": Fault(hotter, ("temperature", " K"), KINDS),
    "energies of another temperature": Fault(hotter_energies, ("energy",), KINDS),
    "energies permuted against frames": Fault(permuted("reduced_energy"), ("energy",), KINDS),
    "weights permuted against frames": Fault(
        permuted("log_weight"), ("weight", "evidence"), ("annealed",), "weights are made of log q and u"
    ),
    "mirrored frames": Fault(
        mirrored, ("domain",), ("spline", "biased", "annealed", "combined"), "mirror images belong to the system"
    ),
    "coordinates times ten": Fault(tenfold, ("log_q", "energy", "nm"), KINDS),
    "a state removed": Fault(removed, ("state", "distribution", "rows"), KINDS),
    "a state thinned to a tenth": Fault(thinned, ("state", "distribution", "rows", "evidence"), KINDS),
    "another model of the molecule": Fault(same, ("model",), KINDS, model="other"),
    "another molecule's model": Fault(
        same, ("atoms", "molecule", "system", "particles", "trained"), KINDS, model="molecule"
    ),
}


def prepare(kind: str, model: Path, work: Path) -> Sound:
    """Draw the sound ensemble of ``kind``, once."""
    folder = work / kind
    pairs = Pairs("Cartesian", "good", 0, 4.5)
    if not (work / "pairs").exists():
        pairs.prepare(work / "pairs")
    if kind == "Cartesian":
        workflows.sample(work / "pairs" / "model", folder / "draws", n=2 * N, seed=1)
        other = _other_model(work / "pairs" / "model", work / "pairs-other")
        return Sound(kind, folder / "draws", (), work / "pairs" / "model", other, model)
    other = _other_model(model, work / "other")
    settings = workflows.SamplingSettings(annealing={"populations": 16, "pilot": 60, "leapfrogs": 3})
    if (folder / "draws" / "ensemble.h5").exists() and kind != "combined":
        return Sound(kind, folder / "draws", (), model, other, work / "pairs" / "model")
    if kind == "annealed":
        workflows.sample(model, folder / "draws", n=6400, method="annealed", settings=settings, seed=1)
    else:
        workflows.sample(model, folder / "draws", n=N, bias=BIAS if kind == "biased" else None, seed=1)
    beside: tuple[Path, ...] = ()
    if kind == "combined":
        workflows.sample(model, folder / "pushed", n=N, bias=BIAS, seed=2)
        beside = (folder / "pushed",)
    return Sound(kind, folder / "draws", beside, model, other, work / "pairs" / "model")


def _other_model(model: Path, place: Path) -> Path:
    """The model with parameters that differ a little."""
    if place.exists():
        return place
    loaded = load_model(model)
    changed: Any = loaded.model
    with torch.no_grad():
        for parameter in changed.parameters():
            parameter.mul_(1.001)
    place.mkdir(parents=True)
    save_model(place, _name(model), changed, loaded.system, dict(loaded.training))
    return place


def _name(model: Path) -> str:
    return str(json.loads((model / "model.json").read_text())["model"])


def spoiled(sound: Sound, fault: Fault, place: Path) -> Path:
    """A copy of the ensemble's run with the fault."""
    shutil.copytree(sound.directory, place)
    reader = EnsembleReader(sound.directory / "ensemble.h5")
    rows = fault.spoil(reader.slice(0, len(reader)), sound)
    with EnsembleWriter(place / "ensemble.h5", rows.header) as writer:
        writer.append(rows)
    return place


def judge(sound: Sound, fault: Fault, work: Path) -> dict[str, Any]:
    """The word, the sentence that names the fault (the first reason if none does), and whether one does."""
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    ensembles = [spoiled(sound, fault, work / "draws"), *sound.beside]
    given = {"other": sound.other_model, "molecule": sound.other_molecule, None: None}[fault.model]
    try:
        record = workflows.reweight(
            ensembles, work / "result", model=given, settings=FEW, seed=1, allow_refused=True
        ).record
    except InputError as error:
        return _outcome("exit 3", [str(error)], fault)
    return _outcome(str(record["verdict"]), list(record["reasons"]), fault)


def _outcome(word: str, reasons: list[str], fault: Fault) -> dict[str, Any]:
    telling = [reason for reason in reasons if any(name in reason for name in fault.named)]
    stopped = word in ("refused", "exit 3")
    right = (stopped and bool(telling)) if fault.named else not stopped
    return {"word": word, "reason": (telling or reasons or [""])[0], "as_it_should_be": right}


def main() -> None:
    """Every fault for every kind asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--kind", action="append", choices=KINDS)
    parser.add_argument("--fault", action="append", choices=list(FAULTS))
    arguments = parser.parse_args()
    reweight_conclusion.write_report = lambda _, path: path.write_text("<html></html>")
    found: dict[str, Any] = json.loads(arguments.output.read_text()) if arguments.output.exists() else {}
    for kind in arguments.kind or KINDS:
        sound = prepare(kind, arguments.model.resolve(), arguments.work)
        for name in arguments.fault or FAULTS:
            fault = FAULTS[name]
            if kind not in fault.kinds:
                found.setdefault(kind, {})[name] = {"word": None, "reason": fault.otherwise, "as_it_should_be": True}
                continue
            found.setdefault(kind, {})[name] = judge(sound, fault, arguments.work / "spoiled")
            arguments.output.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n")
            print(f"{kind}, {name}: {found[kind][name]}", flush=True)


if __name__ == "__main__":
    main()
