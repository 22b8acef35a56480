"""What a check found: one sentence each, with a remedy where something is wrong."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from molgen.errors import MolgenError

Level = Literal["ok", "note", "problem"]


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at; a ``problem`` would stop or spoil a run, a ``note`` is worth knowing."""

    name: str
    level: Level
    sentence: str
    remedy: str = ""

    def to_json(self) -> dict[str, Any]:
        """The finding as plain data."""
        return asdict(self)


def ok(name: str, sentence: str) -> Finding:
    """Looked at and as it should be."""
    return Finding(name, "ok", sentence)


def note(name: str, sentence: str, remedy: str = "") -> Finding:
    """Worth knowing; nothing stops."""
    return Finding(name, "note", sentence, remedy)


def problem(name: str, sentence: str, remedy: str) -> Finding:
    """Wrong: a run would stop or its numbers would be worthless."""
    return Finding(name, "problem", sentence, remedy)


def refused(name: str, error: MolgenError) -> Finding:
    """The problem an error speaks of."""
    return problem(name, error.message, error.hint)


def plural(count: int, noun: str) -> str:
    """``1 bond``, ``2 bonds``."""
    return f"{count} {noun}{'' if count == 1 else 's'}"
