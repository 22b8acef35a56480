"""Executors: same results in-process and in a pool, quiet workers, clear failures."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from molgen.engines.executors import open_executor
from molgen.errors import UsageError

SCRIPT = """
import math, os, signal, sys, time
from molgen.engines.executors import open_executor

def settings():
    names = ("OMP_NUM_THREADS", "OPENMM_CPU_THREADS")
    return [os.environ.get(n) for n in names], signal.getsignal(signal.SIGINT) == signal.SIG_IGN, "torch" in sys.modules

if __name__ == "__main__":
    os.environ.pop("OMP_NUM_THREADS", None)
    with open_executor(2) as pool:
        print(list(pool.map(math.factorial, range(5))))
        print(pool.submit(settings).result())
        try:
            pool.submit(math.factorial, -1).result()
        except ValueError as error:
            print("raised", error)
        if "wait" in sys.argv:
            print(*{f.result() for f in [pool.submit(os.getpid) for _ in range(50)]}, flush=True)
            time.sleep(60)
    print(os.environ.get("OMP_NUM_THREADS"))
"""


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


def test_one_worker_runs_in_this_process() -> None:
    with open_executor(1) as executor:
        assert executor.submit(os.getpid).result() == os.getpid()
        assert list(executor.map(abs, [-1, 2])) == [1, 2]
        failed = executor.submit(int, "x")
        with pytest.raises(ValueError, match="invalid literal"):
            failed.result()


@pytest.mark.parametrize("workers", [0, -1])
def test_no_workers_is_a_usage_error(workers: int) -> None:
    with pytest.raises(UsageError, match="cannot do any work"), open_executor(workers):
        pytest.fail("an executor without workers was opened")


def test_a_pool_gives_the_same_with_one_thread_each_and_leaves_the_parent_alone(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    done = subprocess.run([sys.executable, script], env=environment(), capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines() == [
        "[1, 1, 2, 6, 24]",
        "(['1', '1'], True, False)",
        "raised factorial() not defined for negative values",
        "None",
    ], done.stderr


def test_a_script_without_a_main_guard_is_told_so(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "from molgen.engines.executors import open_executor\nwith open_executor(2) as pool:\n    print('opened')\n"
    )
    done = subprocess.run([sys.executable, script], env=environment(), capture_output=True, text=True, timeout=60)
    assert done.returncode != 0
    assert "worker processes could not be started" in done.stderr.splitlines()[-1]
    assert "opened" not in done.stdout


def alive(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at processes through /proc")
def test_workers_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    parent = subprocess.Popen([sys.executable, script, "wait"], env=environment(), stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    with parent.stdout:
        lines = [parent.stdout.readline() for _ in range(4)]
        workers = [int(word) for word in lines[-1].split()]
        assert workers
        assert all(alive(worker) for worker in workers)
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    deadline = time.monotonic() + 10
    while any(alive(worker) for worker in workers) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(alive(worker) for worker in workers)
