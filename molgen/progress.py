"""How a long computation tells the outside where it stands: it calls a function handed in."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class ProgressEvent:
    """``done`` of ``total`` units of ``stage``; ``figures`` are numbers worth showing beside it."""

    stage: str
    done: float
    total: float
    unit: str = ""
    figures: Mapping[str, float] = field(default_factory=dict)


Progress = Callable[[ProgressEvent], None]


def silent(_: ProgressEvent) -> None:
    """The progress callback that shows nothing."""
