"""The one live stochastic Context of a process: OpenMM's Reference platform shares one random generator among all."""

from collections.abc import Callable, Hashable
from typing import Any

_LIVE: dict[Hashable, Any] = {}
"""At most one entry."""


def live_context(key: Hashable, build: Callable[[], Any]) -> Any:
    """The Context that ``build`` made for ``key``, made now unless it is the last one that was asked for."""
    if key not in _LIVE:
        _LIVE.clear()
        _LIVE[key] = build()
    return _LIVE[key]
