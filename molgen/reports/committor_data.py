"""What the report of a committor is made of, as plain records."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from molgen.arrays import FloatArray


@dataclass(frozen=True, eq=False)
class CommittorPlane:
    """q̂ ``(n_x, n_y)`` at ``x`` and ``y`` of two variables (rad, nm or reduced units), NaN where nothing is known.

    ``points`` (m, 2) are configurations that were shot from. ``averaged`` says that q̂ is the mean over configurations
    nearby, since the two variables do not say all; ``names`` are those of the states where q is 0 and 1.
    """

    cv_x: str
    unit_x: str
    cv_y: str
    unit_y: str
    x: FloatArray
    y: FloatArray
    q: FloatArray
    points: FloatArray
    names: tuple[str, str]
    averaged: bool


@dataclass(frozen=True, eq=False)
class CommittorLine:
    """q̂ (n,) at ``x`` (n,) of the only variable, and ``observed`` (m, 4): its value, the share of shots that reached B
    and Wilson's interval."""

    cv: str
    unit: str
    x: FloatArray
    q: FloatArray
    observed: FloatArray


@dataclass(frozen=True, eq=False)
class CommittorReport:
    """``record`` is evaluation.json; ``rounds`` those of a ``committor run``, ``rates`` the contents of rate.json."""

    record: Mapping[str, Any]
    picture: CommittorPlane | CommittorLine | None = None
    rounds: Sequence[Mapping[str, Any]] = ()
    rates: Sequence[Mapping[str, Any]] = ()
    provenance: Mapping[str, Any] | None = None
    version: str = ""
