"""The ensembles of a joint reweighting, and the rows of each that are weighed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from molgen.analysis.correlated import independent_rows
from molgen.arrays import BoolArray, FloatArray, IntArray
from molgen.ensemble import EnsembleHeader, EnsembleReader
from molgen.systems.record import system_from_record
from molgen.systems.system import System
from molgen.trajectories import reading
from molgen.workflows.frames import usable_frames

if TYPE_CHECKING:
    from molgen.models.artifact import LoadedModel


@dataclass(frozen=True)
class ModelMember:
    """Draws of a model, of density known exactly; ``proposal`` tells the densities of several members apart.

    ``trained_on`` are hashes of the model's training data, None where the run that trained it is not there.
    """

    name: str
    path: Path
    digest: str
    reader: EnsembleReader
    loaded: "LoadedModel"
    proposal: str
    trained_on: frozenset[str] | None

    @property
    def header(self) -> EnsembleHeader:
        """What the ensemble says of itself."""
        return self.reader.header


@dataclass(frozen=True)
class EquilibriumMember:
    """Frames of dynamics in equilibrium, plain or under a bias (``bias``, its line, in kT at ``temperature_k``)."""

    name: str
    path: Path
    digest: str
    temperature_k: float
    bias: str | None
    hydrogen_mass_da: float | None
    system: System
    frames: int
    evaluations: int


@dataclass(frozen=True, eq=False)
class MemberRows:
    """The rows of one ensemble that are weighed: ``positions(start, stop)`` (m, N, D) in nm, and one value a row.

    ``log_q`` is 0 for a frame; ``block`` numbers what errors are made of. Of the ``total`` frames of a run about one
    in ``inefficiency`` is independent and was kept; ``outside`` of them lay outside the domain.
    """

    positions: Callable[[int, int], FloatArray]
    in_domain: BoolArray
    log_q: FloatArray
    block: IntArray
    total: int
    outside: int = 0
    inefficiency: float = 1.0

    def __len__(self) -> int:
        return len(self.in_domain)


Member = ModelMember | EquilibriumMember


@dataclass(frozen=True)
class Members:
    """All ensembles, in an order that does not depend on the one they were given in."""

    models: tuple[ModelMember, ...]
    equilibria: tuple[EquilibriumMember, ...]

    @property
    def all(self) -> tuple[Member, ...]:
        """Models first."""
        return (*self.models, *self.equilibria)

    @property
    def names(self) -> list[str]:
        """A name for each, different from all others."""
        return [member.name for member in self.all]

    @property
    def system(self) -> System:
        """The system that all are of."""
        if self.models:
            return system_from_record(dict(self.models[0].header.system_record))
        return self.equilibria[0].system


def model_rows(member: ModelMember) -> MemberRows:
    """All draws, those outside the domain too: each was drawn, and counts."""
    reader = member.reader
    inside = np.asarray(reader.column("in_domain"), dtype=np.bool_)
    log_q = np.asarray(reader.column("log_q"), dtype=np.float64)
    return MemberRows(
        lambda start, stop: reader.slice(start, min(stop, len(reader))).positions,
        inside,
        log_q,
        np.arange(len(reader)),
        len(reader),
        int(np.sum(~inside)),
    )


def independent_frames(
    member: EquilibriumMember, system: System, series: Callable[[FloatArray], Sequence[FloatArray]]
) -> MemberRows:
    """The run's frames inside the domain, thinned out by their statistical inefficiency.

    ``series`` gives the quantities whose correlation counts, arrays ``(n,)``, from positions ``(n, N, D)``.
    """
    usable = usable_frames(reading.read_frames([member.path], system, biased=True), system)
    positions = np.asarray(usable.frames.positions, dtype=np.float64)
    thinned = independent_rows(usable.frames.lineage, series(positions))
    kept = positions[thinned.index]
    return MemberRows(
        lambda start, stop: kept[start:stop],
        np.ones(len(kept), dtype=np.bool_),
        np.zeros(len(kept)),
        thinned.block,
        usable.total,
        usable.outside,
        thinned.inefficiency,
    )
