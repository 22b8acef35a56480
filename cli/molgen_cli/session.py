"""What surrounds every command: signals that stop a run in good order, and tracebacks that go to its log."""

import os
import signal
import tempfile
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import typer

from molgen.errors import MolgenError, UsageError
from molgen.interruption import Interruption
from molgen.rundir import LOG, MANIFEST, RunLockedError

Handler = Callable[[int, FrameType | None], None]
INTERRUPTED = 75


class UnexpectedError(Exception):
    """An error nobody foresaw; ``where`` is the file that holds its traceback."""

    def __init__(self, error: Exception, where: Path) -> None:
        super().__init__(f"{type(error).__name__}: {error}")
        self.where = where


@contextmanager
def guarded_run(output: Path | None, max_time_s: float | None = None) -> Iterator[Interruption]:
    """Run a command's work: SIGINT and SIGTERM ask it to stop at a safe point, a second one ends it at once.

    The traceback of any error goes to ``run.log`` of the run directory ``output``, if it is one; an unforeseen
    error is raised as :class:`UnexpectedError`.
    """
    interruption = Interruption(max_time_s)
    with _signals(interruption):
        try:
            yield interruption
        except (UsageError, RunLockedError, typer.Exit, BrokenPipeError):
            raise
        except MolgenError as error:
            _log_traceback(error, output)
            raise
        except Exception as error:
            where = _log_traceback(error, output) or _stray_traceback(error)
            raise UnexpectedError(error, where) from error


@contextmanager
def _signals(interruption: Interruption) -> Iterator[None]:
    def handle(number: int, _: FrameType | None) -> None:
        if interruption.reason is not None:
            os.write(2, b"molgen: stopped at once; the same command again continues the run.\n")
            os._exit(INTERRUPTED)
        interruption.request(f"it received {signal.Signals(number).name}")
        os.write(2, b"molgen: stopping at the next safe point; once more stops at once.\n")

    previous = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _text(error: Exception) -> str:
    return "".join(traceback.format_exception(error))


def _log_traceback(error: Exception, output: Path | None) -> Path | None:
    """Append the traceback to the run's log; None where there is no run directory or it cannot be written."""
    if output is None or not (output / MANIFEST).is_file():
        return None
    try:
        with (output / LOG).open("a", encoding="utf-8") as log:
            log.write(_text(error))
    except OSError:
        return None
    return output / LOG


def _stray_traceback(error: Exception) -> Path:
    descriptor, name = tempfile.mkstemp(prefix="molgen-error-", suffix=".log")
    with os.fdopen(descriptor, "w", encoding="utf-8") as log:
        log.write(_text(error))
    return Path(name)
