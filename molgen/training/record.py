"""What training writes down while it goes, and takes up again when it is continued."""

from dataclasses import dataclass, field
from typing import Any


@dataclass
class TrainingRecord:
    """What training writes down: its curve, notes in words, the guard's last finding, seconds per stage.

    ``off`` names the objectives that the guard switched off, ``kept`` says what was measured of the parameters that are
    kept so far, and ``choice`` is why they were kept, in words.
    """

    stage: str = "learn"
    step: int = 0
    curve: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    states: list[dict[str, Any]] = field(default_factory=list)
    best: float | None = None
    stale: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    evaluations: int = 0
    skipped: int = 0
    guarded: bool = False
    off: list[str] = field(default_factory=list)
    kept: dict[str, Any] = field(default_factory=dict)
    choice: str = ""
