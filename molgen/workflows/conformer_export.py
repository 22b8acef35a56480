"""`export --conformers`: the conformers of a reweighted ensemble, their free energies and a structure of each."""

import csv
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from molgen.analysis.conformers import MAX_CONFORMERS, Conformer, find_conformers
from molgen.arrays import FloatArray
from molgen.errors import InputError, UsageError
from molgen.files import json_bytes, write_atomically
from molgen.observables.base import CollectiveVariable
from molgen.observables.basins import parting_cvs
from molgen.progress import Progress, ProgressEvent, silent
from molgen.systems.mdtraj_topology import mdtraj_topology
from molgen.systems.system import MolecularSystem
from molgen.trajectories.writing import write_trajectory
from molgen.units import thermal_energy
from molgen.workflows.export_source import ExportSource, open_source
from molgen.workflows.exporting import check_absent, check_verdict

DEFAULT_CONFORMERS = 10


@dataclass(frozen=True)
class ConformersResult:
    """The conformers that were written, the most populated first, and the population of all others."""

    directory: Path
    system: str
    temperature_k: float
    verdict: str | None
    found: int
    remaining_population: float
    conformers: tuple[dict[str, Any], ...]
    warnings: tuple[str, ...]
    files: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """The result as plain data."""
        return {**self.__dict__, "directory": str(self.directory)}


def conformers(
    source: str | Path,
    output: str | Path,
    *,
    n: int = DEFAULT_CONFORMERS,
    ensemble: Path | None = None,
    allow_refused: bool = False,
    force: bool = False,
    progress: Progress = silent,
) -> ConformersResult:
    """Part the weighted draws of ``source`` into conformers and write the ``n`` most populated ones.

    ``output`` is a PDB file, with ``<output>.csv`` and ``.json`` beside, or a folder that then holds
    ``conformers.pdb``, ``.csv`` and ``.json``. The PDB has one model a conformer, superposed on the first, and says
    population and free energy in its remarks. ``InputError`` for a source without weights or a system without torsions,
    or for a file in the way (unless ``force``); ``RefusedError``, before anything is written, where the verdict is
    ``refused`` and ``allow_refused`` is False.
    """
    files, opened = _prepare(source, output, n, ensemble, allow_refused, force)
    progress(ProgressEvent("conformers", 0, 1))
    found = _find(opened)
    chosen = found[:n]
    kt = thermal_energy(opened.temperature_k)
    rows = [conformer.to_json(kt) | {"state": _state(opened, conformer)} for conformer in chosen]
    result = ConformersResult(
        directory=files[0].parent,
        system=opened.system.name,
        temperature_k=opened.temperature_k,
        verdict=opened.verdict,
        found=len(found),
        remaining_population=max(0.0, 1.0 - sum(conformer.population.value for conformer in chosen)),
        conformers=tuple(rows),
        warnings=tuple(_warnings(opened, found, len(chosen))),
        files=tuple(str(file) for file in files),
    )
    write_trajectory(files[0], mdtraj_topology(opened.system), [_structures(opened, chosen)], _remarks(result))
    write_atomically(files[1], _table(rows))
    write_atomically(files[2], json_bytes(result.to_json()))
    progress(ProgressEvent("conformers", 1, 1))
    return result


def plan_conformers(
    source: str | Path,
    output: str | Path,
    *,
    n: int = DEFAULT_CONFORMERS,
    ensemble: Path | None = None,
    allow_refused: bool = False,
    force: bool = False,
) -> dict[str, Any]:
    """What :func:`conformers` would do; it refuses what that would refuse."""
    files, opened = _prepare(source, output, n, ensemble, allow_refused, force)
    return {
        "system": opened.system.name,
        "draws": opened.n,
        "torsions": list(_torsions(opened)),
        "conformers_at_most": n,
        "evaluations": 0,
        "files": [str(file) for file in files],
    }


def _prepare(
    source: str | Path, output: str | Path, n: int, ensemble: Path | None, allow_refused: bool, force: bool
) -> tuple[list[Path], ExportSource]:
    """The PDB, CSV and JSON files to write and the opened source; what is refused is refused here."""
    if n < 1:
        raise UsageError(f"{n} conformers cannot be written.", "Ask for at least one.")
    pdb = _pdb_path(Path(output))
    files = [pdb, pdb.with_suffix(".csv"), pdb.with_suffix(".json")]
    check_absent(files, force)
    opened = open_source(Path(source), ensemble)
    if opened.log_weight is None:
        raise InputError(f"The frames in {source} carry no weights.", "Run molgen reweight and give its directory.")
    check_verdict(opened, allow_refused)
    _torsions(opened)
    return files, opened


def _pdb_path(output: Path) -> Path:
    if output.suffix.lower() == ".pdb":
        return output
    if output.suffix or output.is_file():
        raise UsageError(f"{output} is neither a folder nor a PDB file.", "Conformers go to a folder or to a .pdb.")
    return output / "conformers.pdb"


def _torsions(source: ExportSource) -> dict[str, CollectiveVariable]:
    """The variables that tell conformers apart; ``InputError`` if there are none."""
    cvs = parting_cvs(source.system)
    if isinstance(source.system, MolecularSystem):
        cvs = {name: cv for name, cv in cvs.items() if cv.periodic}
    if not cvs:
        raise InputError(
            f"{source.system.name} has no torsion among its CVs, so that its conformers cannot be told apart.",
            "Add a [[cv]] with a torsion for each bond that turns, and train again.",
        )
    return cvs


def _find(source: ExportSource) -> tuple[Conformer, ...]:
    assert source.log_weight is not None
    weight = np.where(source.usable, source.log_weight, -np.inf)
    found = find_conformers(source.variables, _torsions(source), weight)
    if not found:
        raise InputError("No frame has any weight.", "Run molgen reweight again.")
    return found


def _state(source: ExportSource, conformer: Conformer) -> str | None:
    """The state of the representative."""
    label = int(source.label[conformer.representative])
    return source.states[label] if label >= 0 else None


def _warnings(source: ExportSource, found: tuple[Conformer, ...], written: int) -> list[str]:
    few = [conformer.name for conformer in found[:written] if conformer.few]
    warnings = [f"Fewer than 100 effective samples in {', '.join(few)}: their figures are guesses."] if few else []
    if len(found) >= MAX_CONFORMERS:
        warnings.append(f"More than {MAX_CONFORMERS} conformers: those behind the lowest barriers stay together.")
    if not source.independent:
        warnings.append("The intervals take the frames as independent, which those of dynamics are not.")
    if source.verdict == "refused":
        warnings.append("The verdict on these weights is refused.")
    return warnings


def _structures(source: ExportSource, chosen: tuple[Conformer, ...]) -> FloatArray:
    """Positions (m, N, 3) of the representatives, those of a molecule superposed on the first by its heavy atoms."""
    row = np.array([conformer.representative for conformer in chosen], dtype=np.int64)
    order = np.argsort(row, kind="stable")
    positions = np.empty((len(row), source.system.n_particles, 3))
    positions[order] = np.concatenate(list(source.blocks(row[order])))
    if not isinstance(source.system, MolecularSystem):
        return positions
    import mdtraj

    heavy = [index for index, atom in enumerate(source.system.topology.atoms) if atom.element != "H"]
    trajectory = mdtraj.Trajectory(positions, mdtraj_topology(source.system))
    trajectory.center_coordinates()
    trajectory.superpose(trajectory, 0, atom_indices=heavy if len(heavy) >= 3 else None)
    return np.asarray(trajectory.xyz, dtype=np.float64)


def _remarks(result: ConformersResult) -> list[str]:
    lines = [
        f"{result.system} at {result.temperature_k:g} K, verdict {result.verdict or 'none'}",
        "model, population, free energy in kJ/mol, each with a 95 % interval",
    ]
    for model, row in enumerate(result.conformers, start=1):
        p, f = row["population"], row["free_energy_kj_per_mol"]
        few = ", FEW SAMPLES" if row["few_samples"] else ""
        lines.append(f"MODEL {model} {row['name']} p {_interval(p, 4)} F {_interval(f, 2)}{few}")
    return lines


def _interval(estimate: dict[str, float | None], digits: int) -> str:
    value, low, high = (
        "-" if estimate[key] is None else f"{estimate[key]:.{digits}f}" for key in ("value", "low", "high")
    )
    return f"{value} [{low}, {high}]"


def _table(rows: list[dict[str, Any]]) -> bytes:
    buffer = io.StringIO()
    table = csv.writer(buffer, lineterminator="\n")
    estimates = ("population", "free_energy_kt", "free_energy_kj_per_mol")
    plain = ("ess", "few_samples", "draws", "representative", "state", "where")
    ends = ("value", "low", "high")
    table.writerow(
        ["name", *(name if end == "value" else f"{name}_{end}" for name in estimates for end in ends), *plain]
    )
    for row in rows:
        numbers = [row[name][end] for name in estimates for end in ends]
        table.writerow([row["name"], *numbers, *(row[name] for name in plain)])
    return buffer.getvalue().encode()
