"""One line of a diagnosis."""

from dataclasses import asdict, dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class Finding:
    """What was looked at, what was found, how it is, and what to do where it is not ``ok``.

    ``problem`` is for what molgen cannot work without, ``note`` for everything else worth knowing.
    """

    what: str
    found: str
    status: Literal["ok", "note", "problem"] = "ok"
    remedy: str = ""

    def to_json(self) -> dict[str, Any]:
        """The fields as plain data."""
        return asdict(self)
