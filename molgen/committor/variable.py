"""logit q̂ as a collective variable, so that a bias can push along the reaction.

Not q̂ itself, which is level in and near the states: a bias on it would have no slope there. The logit is not pinned in
the states either; the networks go on into them as they go on anywhere, smoothly.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Self

import torch

from molgen.committor.artifact import LoadedCommittor, load_committor
from molgen.coordinates.chart import chart_of
from molgen.errors import InputError
from molgen.systems.definition import CVSection
from molgen.systems.system import MolecularSystem, System

_GIVEN = re.compile(r"(.*?)(?:@([0-9a-f]{12}))?")
_DIGITS = 12


@dataclass(frozen=True)
class CommittorLogit:
    """z = logit q̂, not pinned in the states, in double precision.

    ``name`` is ``committor(path@digest)`` with the absolute path and the first digits of its SHA-256: two are equal if
    their names are. ``smooth`` is False if it jumps where equal branches are exchanged.
    """

    name: str
    committor: LoadedCommittor = field(compare=False, repr=False)
    unit: ClassVar[str] = ""
    periodic: ClassVar[bool] = False

    @classmethod
    def build(cls, section: CVSection, system: System) -> Self:
        """No section describes one; see :func:`open_variable`."""
        raise TypeError("a committor is no [[cv]] section")

    @property
    def smooth(self) -> bool:
        """Whether it is continuous: all but internal coordinates of molecules with equivalent branches are."""
        model = self.committor.model
        system = model.boundary.system
        internal = model.settings.features == "internal" and isinstance(system, MolecularSystem)
        return not internal or chart_of(system).log_order == 0.0

    def __call__(self, positions: torch.Tensor) -> torch.Tensor:
        """z (n,) at ``positions`` (n, N, D), differentiable by autograd."""
        return self.committor.model.free_logit(positions)


def open_variable(text: str, folder: Path, system: System) -> CommittorLogit:
    """The variable of the committor in the directory ``text``, relative to ``folder``; a digest may follow after ``@``.

    ``InputError`` if there is none, if it was fitted again since the digest was written, or if it is of another system
    or other dynamics than ``system``.
    """
    match = _GIVEN.fullmatch(text)
    assert match is not None  # everything matches
    path = (folder / match.group(1)).resolve()
    loaded = load_committor(path)
    if match.group(2) not in (None, loaded.sha256[:_DIGITS]):
        raise InputError(
            f"The committor in {path} is not the one that this bias was made of.", "Bring it back, or draw again."
        )
    _check(loaded, path, system)
    if re.search(r"[(),+]", str(path)):
        raise InputError(f"The path {path} has a sign that a bias cannot hold.", "Leave ( ) , and + out of it.")
    loaded.model.double()
    return CommittorLogit(f"committor({path}@{loaded.sha256[:_DIGITS]})", loaded)


def _check(loaded: LoadedCommittor, path: Path, system: System) -> None:
    own = loaded.model.boundary.system
    if own.fingerprint != system.fingerprint:
        raise InputError(
            f"The committor in {path} is of {own.name}, another molecule or force field than {system.name}.",
            f"Fit one to shots of {system.name}.",
        )
    now = {"temperature_k": system.temperature_k, "dynamics": system.definition.dynamics.model_dump()}
    where = {state.name: state.where for state in system.definition.state}
    for end in ("a", "b"):
        state = loaded.record[end]
        now[end] = {"name": state["name"], "where": where.get(state["name"], state["where"])}
    words = {"temperature_k": "temperature", "dynamics": "dynamics", "a": "state A", "b": "state B"}
    differing = [word for key, word in words.items() if loaded.record[key] != now[key]]
    if differing:
        raise InputError(
            f"The committor in {path} belongs to another {' and '.join(differing)} than {system.name} has here.",
            "Fit one to shots of this dynamics between these states.",
        )
