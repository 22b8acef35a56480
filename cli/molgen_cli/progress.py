"""Progress on standard error: a bar with the time left on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from molgen.progress import Progress, ProgressEvent, silent

LINE_EVERY_S = 10.0


@contextmanager
def show_progress(*, quiet: bool = False, verbose: bool = False, stream: TextIO | None = None) -> Iterator[Progress]:
    """The callback to hand to a workflow; the display is closed at the end of ``with``."""
    stream = sys.stderr if stream is None else stream
    if quiet:
        yield silent
    elif stream.isatty() and not verbose:
        with _bars(stream) as callback:
            yield callback
    else:
        yield PlainLines(stream, every_s=0.0 if verbose else LINE_EVERY_S)


def human_time(seconds: float) -> str:
    """A duration as ``2h05m``, ``3m20s`` or ``12s``."""
    whole = max(round(seconds), 0)
    if whole >= 3600:
        return f"{whole // 3600}h{whole % 3600 // 60:02d}m"
    if whole >= 60:
        return f"{whole // 60}m{whole % 60:02d}s"
    return f"{whole}s"


class PlainLines:
    """Prints a line when a stage begins, ends, or ``every_s`` seconds have passed since the last one."""

    def __init__(self, stream: TextIO, *, every_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._every_s = every_s
        self._clock = clock
        self._stage: str | None = None
        self._begun = (0.0, 0.0)
        self._last = 0.0
        self._ended = False

    def __call__(self, event: ProgressEvent) -> None:
        """Show ``event``, or pass over it if the last line is recent."""
        now = self._clock()
        ended = event.total > 0 and event.done >= event.total
        if event.stage != self._stage:
            self._stage, self._begun = event.stage, (now, event.done)
        elif (self._ended and ended) or (not ended and now - self._last < self._every_s):
            return
        self._last, self._ended = now, ended
        self._stream.write(self._line(event, now) + "\n")
        self._stream.flush()

    def _line(self, event: ProgressEvent, now: float) -> str:
        parts = [f"{event.done:g} {event.unit}".strip()]
        if event.total > 0:
            parts = [f"{event.done:g}/{event.total:g} {event.unit}".strip(), f"{event.done / event.total:.0%}"]
        began, first = self._begun
        if event.done > first and event.total > event.done:
            left = (now - began) * (event.total - event.done) / (event.done - first)
            parts.append(f"{human_time(left)} left")
        parts += [figures(event)] if event.figures else []
        return f"{event.stage}: {', '.join(parts)}"


def figures(event: ProgressEvent) -> str:
    """The numbers of an event as ``loss -3.21, ess 0.61``."""
    return ", ".join(f"{name} {value:.4g}" for name, value in event.figures.items())


@contextmanager
def _bars(stream: TextIO) -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as RichProgress

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[figures]}"),
    )
    with RichProgress(*columns, console=Console(file=stream)) as bars:
        tasks: dict[str, TaskID] = {}

        def callback(event: ProgressEvent) -> None:
            if event.stage not in tasks:
                tasks[event.stage] = bars.add_task(event.stage, total=None, figures="")
            total = event.total if event.total > 0 else None
            bars.update(tasks[event.stage], completed=event.done, total=total, figures=figures(event))

        yield callback
