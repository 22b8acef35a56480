"""The one interface for parallel work: a :class:`concurrent.futures.Executor`, in-process or a pool of processes.

Processes are spawned, never forked: a fork after torch has started its threads can hang. Nor are they threads: the
random generator of OpenMM's Reference platform is shared by a whole process.
"""

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

from molgen.errors import MolgenError, UsageError

P = ParamSpec("P")
T = TypeVar("T")

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OPENMM_CPU_THREADS")


class InProcessExecutor(Executor):
    """Runs each task at once in the calling thread, so that one worker needs no second process."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Call ``fn`` now; its result or its exception is in the returned future."""
        future: Future[T] = Future()
        future.set_running_or_notify_cancel()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


@contextmanager
def open_executor(workers: int) -> Iterator[Executor]:
    """An executor of ``workers`` processes, or of this process if ``workers`` is 1; closed at the end of ``with``.

    Each worker computes with one thread, ignores Ctrl-C (the parent decides when to stop) and ends when its parent
    has died. On an exception tasks that have not begun are cancelled.

    ``UsageError`` if ``workers`` is below 1; ``MolgenError`` if processes cannot be started, which is what happens
    when a script without ``if __name__ == "__main__":`` is imported again by its own workers.
    """
    if workers < 1:
        raise UsageError(f"{workers} workers cannot do any work.", "Give --workers 1 or more.")
    if workers == 1:
        yield InProcessExecutor()
        return
    pool = ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"), initializer=_start_worker)
    try:
        _wait_for_first(pool)
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _wait_for_first(pool: ProcessPoolExecutor) -> None:
    try:
        pool.submit(os.getpid).result()
    except BrokenProcessPool as error:
        raise MolgenError(
            "The worker processes could not be started.",
            'Put the calling script\'s code under if __name__ == "__main__":, or use one worker.',
        ) from error


def _start_worker() -> None:
    """Prepare a worker before its first task; numerical libraries are imported after this, with the tasks."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for name in _THREAD_VARIABLES:
        os.environ[name] = "1"
    torch = sys.modules.get("torch")  # only if the main module imported it: the variables came too late then
    if torch is not None:
        torch.set_num_threads(1)
    threading.Thread(target=_end_with_parent, name="molgen-orphan-guard", daemon=True).start()


def _end_with_parent() -> None:
    """Wait for the parent's death (a killed parent closes no queue) and end this process."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
