"""The part of `check` that looks at one source of frames: would `train` take it, and are its energies this system's?"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from molgen.arrays import FloatArray
from molgen.energies.base import Energy
from molgen.ensemble import EnsembleReader
from molgen.errors import MolgenError
from molgen.models.temperature import ROUNDING_K
from molgen.systems.system import System
from molgen.trajectories import reading
from molgen.trajectories.frames import FrameKind, FrameSet
from molgen.trajectories.hdf5 import is_plain_mdtraj, read_energies
from molgen.trajectories.options import ReadingOptions
from molgen.units import thermal_energy
from molgen.workflows.check_system import Zero
from molgen.workflows.findings import Finding, note, ok, plural, problem, refused
from molgen.workflows.frames import UsableFrames, usable_frames

MAX_MEDIAN = 3.0
NOTED_MEDIAN = 1.5
"""kT per degree of freedom by which half of the frames may lie above the minimum; about 0.5 at equilibrium."""
SAME_KT = 0.1
"""Stored and recomputed energies that differ by less, once their offset is taken away, are those of one force field."""
OFF_KT = 1.0
_ENSEMBLE = "ensemble.h5"
_KINDS: dict[FrameKind, str] = {
    "explore": "explore frames, no populations",
    "equilibrium": "taken as equilibrium frames",
    "umbrella": "umbrella frames",
}


@dataclass
class CheckedTrajectory:
    """The findings on one source and the frames that ``train`` would use of it, None if it would take none."""

    path: Path
    findings: list[Finding] = field(default_factory=list)
    usable: UsableFrames | None = None


def check_trajectory(
    path: Path, system: System, options: ReadingOptions, energy: Energy | None, zero: Zero | None, most_energies: int
) -> CheckedTrajectory:
    """Read ``path`` as ``train`` would and look at everything on the way; what is wrong becomes a finding, no error.

    Energies of at most ``most_energies`` frames, at even distance, are computed if there is an ``energy``.
    """
    result = CheckedTrajectory(path)
    name = path.name
    try:
        frames = reading.read_frames([path], system, options, biased=True)
    except MolgenError as error:
        result.findings.append(refused(name, error))
        return result
    result.findings.append(_summary(name, frames))
    if any(abs(t - system.temperature_k) > ROUNDING_K for t in frames.temperatures):
        sentence = f"The frames are of {frames.temperatures[-1]:g} K, the system is at {system.temperature_k:g} K."
        remedy = "Train --model flow-matching on them beside frames of the system's temperature."
        result.findings.append(note(f"{name}: temperature", sentence, remedy))
    if frames.biases:
        remedy = "train takes them beside frames without one, reweight takes it back; nothing else may use them."
        result.findings.append(note(f"{name}: bias", f"They were made under the bias {frames.biases[0]}.", remedy))
    if frames.periodic:
        remedy = "Fine to train on if the states are the same; as a reference it is that of another ensemble."
        sentence = "The frames come from a periodic box, which the system's energy does not have."
        result.findings.append(note(f"{name}: box", sentence, remedy))
    try:
        result.usable = usable_frames(frames, system)
    except MolgenError as error:
        result.findings.append(refused(f"{name}: domain", error))
    else:
        result.findings.extend(_domain(name, result.usable))
    if energy is not None:
        result.findings.extend(_energies(name, path, frames, options, energy, zero, most_energies))
    return result


def _summary(name: str, frames: FrameSet) -> Finding:
    kind = _KINDS[frames.kind]
    weighted = "weighted frame" if frames.log_weight is not None else "frame"
    found = f"{plural(len(frames), weighted)} in {plural(frames.n_lineages, 'lineage')} ({kind})"
    return ok(name, f"{found}; the file is complete, its atoms, their order and the units are right.")


def _domain(name: str, usable: UsableFrames) -> Iterator[Finding]:
    if not usable.outside and not usable.relabelled and not usable.frames.made_whole:
        yield ok(f"{name}: domain", "Handedness and peptide bonds are those of the structure in every frame.")
    for sentence in usable.notes:
        yield note(f"{name}: domain", sentence)


def _energies(
    name: str,
    path: Path,
    frames: FrameSet,
    options: ReadingOptions,
    energy: Energy,
    zero: Zero | None,
    most: int,
) -> Iterator[Finding]:
    weight = np.zeros(len(frames)) if frames.log_weight is None else frames.log_weight
    counted = np.flatnonzero(np.isfinite(weight))  # draws of weight zero may be anything
    rows = counted[np.unique(np.linspace(0, len(counted) - 1, min(most, len(counted))).round().astype(np.int64))]
    u = energy.reduced(np.asarray(frames.positions[rows], dtype=np.float64), purpose="data")
    finite = np.isfinite(u)
    if not finite.all():
        sentence = f"{int((~finite).sum())} of {len(u)} frames looked at have no finite energy."
        yield problem(
            f"{name}: energies", sentence, "Check the order of the atoms and the force field; leave them out."
        )
    if zero is not None and finite.any():
        yield _distribution(name, u[finite], zero)
    stored = _stored(path, options)
    if stored is not None and len(stored) == len(frames):
        difference = (stored[rows] - u * thermal_energy(energy.temperature_k))[finite]
        yield _agreement(name, difference / thermal_energy(energy.temperature_k), options)


def _distribution(name: str, u: FloatArray, zero: Zero) -> Finding:
    low, middle, high = (float(value) for value in np.quantile(u - zero.reduced, [0.0, 0.5, 1.0]))
    share = middle / max(zero.freedom, 1)
    sentence = f"{low:.1f}, {middle:.1f} and {high:.1f} kT (least, median, largest) above the minimised structure; "
    sentence += f"{share:.2f} kT a degree of freedom."
    if share > MAX_MEDIAN:
        remedy = "These frames are of another force field, temperature or atom order; make them with this system."
        return problem(f"{name}: energies", sentence, remedy)
    if share > NOTED_MEDIAN:
        return note(f"{name}: energies", sentence, "Higher than at equilibrium (about 0.5): another force field?")
    return ok(f"{name}: energies", sentence)


def _agreement(name: str, difference: FloatArray, options: ReadingOptions) -> Finding:
    """Of stored minus recomputed energies in kT; non-finite stored values count as disagreement."""
    label = f"{name}: stored energies"
    if options.selection is not None:
        return note(label, "The file's energies are those of all its atoms; they were not compared.")
    if len(difference) == 0 or not np.isfinite(difference).all():
        return note(label, "The file's energies are not all finite; they were not compared.")
    offset = float(np.median(difference))
    spread = float(np.abs(difference - offset).max())
    sentence = f"Stored energies differ from recomputed ones by {offset:.3g} kT and scatter by up to {spread:.2g} kT."
    if spread <= SAME_KT:
        return ok(label, sentence)
    if spread <= OFF_KT:
        return note(label, sentence, "Positions stored in fewer digits scatter so.")
    return problem(label, sentence, "They were computed with another force field; make the system with that one.")


def _stored(path: Path, options: ReadingOptions) -> FloatArray | None:
    """Energies (n,) in kJ/mol that stand in the file beside the frames that were read, if any."""
    file = path / _ENSEMBLE if path.is_dir() else path
    if file.suffix.lower() not in (".h5", ".hdf5") or not file.is_file():
        return None
    if is_plain_mdtraj(file):
        values = read_energies(file)
    else:
        try:
            reader = EnsembleReader(file)
        except MolgenError:
            return None  # a shard of a simulation: it stores no energies
        if "reduced_energy" not in reader.columns:
            return None
        values = np.asarray(reader.column("reduced_energy"), dtype=np.float64)
        values = values * thermal_energy(reader.header.temperature_k)
    return None if values is None else values[:: options.stride]
