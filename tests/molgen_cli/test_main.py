"""The entry point: help, errors and their exit codes, signals."""

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from molgen.errors import InputError, InterruptedRunError, PartialError
from molgen.rundir import RunDirectory

Command = Callable[..., int]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


def processor_time_of_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def test_help_is_quick_and_imports_nothing_heavy() -> None:
    code = (
        "import sys; sys.argv = ['molgen', '--help']\n"
        "from molgen_cli.main import run\n"
        "heavy = {'torch', 'openmm', 'mdtraj', 'rdkit', 'numpy', 'pydantic', 'rich'}\n"
        "try: run()\n"
        "finally: print(sorted(heavy & set(sys.modules)))\n"
    )
    took = []  # processor time: the wall clock of a busy machine says nothing about us
    for _ in range(3):
        begun = processor_time_of_children()
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=True
        )
        took.append(processor_time_of_children() - begun)
        assert done.stdout.splitlines()[-1] == "[]"
        assert "simulate" in done.stdout
    assert min(took) < 0.5


@pytest.mark.parametrize(
    "command",
    ["check", "simulate", "train", "sample", "reweight", "evaluate", "export", "demo", "systems", "doctor", "init"],
)
def test_every_command_has_help(molgen_command: Command, capsys: pytest.CaptureFixture[str], command: str) -> None:
    assert molgen_command(command, "--help") == 0
    assert "--json" in capsys.readouterr().out


def test_version(molgen_command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert molgen_command("--version") == 0
    assert capsys.readouterr().out == "molgen 0.1.0\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ("unknown",),
        ("simulate", "x", "-o", "out"),
        ("simulate", "x", "-o", "out", "--time", "5"),
        ("sample", "model", "-o", "out", "-n", "0"),
        ("sample", "model", "-o", "out", "--max-time", "soon"),
        ("sample", "model", "-o", "out", "--set", "bin=3"),
        ("sample", "model"),
        ("export", "result", "-o", "out", "--conformers", "5", "-n", "3"),
        ("export", "result", "-o", "out", "-n", "0"),
    ],
)
def test_usage_errors_exit_2(
    workflows: Any, molgen_command: Command, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    assert molgen_command(*arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err
    assert workflows.calls == []


@pytest.mark.parametrize(
    ("error", "code"),
    [(InputError("No frames.", "Give some."), 3), (PartialError("Half."), 5), (InterruptedRunError("Stop."), 75)],
)
def test_an_error_is_one_line_and_its_traceback_is_in_the_log(
    workflows: Any,
    molgen_command: Command,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    error: Exception,
    code: int,
) -> None:
    def fail(model: Path, output: Path, **_: Any) -> None:
        with RunDirectory.open(output, kind="sample", config={}, seed=1) as run:
            run.write_bytes("draws.bin", b"begun")  # bad input before anything is written leaves no directory
            raise error

    workflows.during = fail
    assert molgen_command("sample", "model", "-q", "-o", str(tmp_path / "run")) == code
    captured = capsys.readouterr()
    assert captured.err == f"molgen: error: {error}\n"
    assert captured.out == ""
    log = (tmp_path / "run" / "run.log").read_text()
    assert "Traceback" in log
    assert type(error).__name__ in log


def test_no_log_is_made_where_there_is_no_run_directory(
    workflows: Any, molgen_command: Command, tmp_path: Path
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise InputError("No frames.")

    workflows.during = fail
    assert molgen_command("sample", "model", "-q", "-o", str(tmp_path / "run")) == 3
    assert list(tmp_path.iterdir()) == []


def test_a_directory_in_use_is_left_alone(
    workflows: Any, molgen_command: Command, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def begin(model: Path, output: Path, **_: Any) -> None:
        RunDirectory.open(output, kind="sample", config={}, seed=1).close()

    workflows.during = begin
    with RunDirectory.open(tmp_path, kind="sample", config={}, seed=1) as run:
        log = (run.path / "run.log").read_text()
        assert molgen_command("sample", "model", "-q", "-o", str(tmp_path)) == 3
        assert (run.path / "run.log").read_text() == log
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "in use by another molgen process" in error


def test_an_unforeseen_error_is_one_line_and_says_where_the_traceback_is(
    workflows: Any,
    molgen_command: Command,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError("by nothing")

    workflows.during = fail
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert molgen_command("sample", "model", "-q", "-o", str(tmp_path / "run")) == 1
    error = capsys.readouterr().err
    assert error.startswith("molgen: error: Unexpected ZeroDivisionError: by nothing.")
    assert error.count("\n") == 1
    (log,) = tmp_path.glob("molgen-error-*.log")
    assert str(log) in error
    assert "Traceback" in log.read_text()


def test_verbose_shows_the_traceback(
    workflows: Any, molgen_command: Command, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise InputError("No frames.")

    workflows.during = fail
    assert molgen_command("sample", "model", "-v", "-o", str(tmp_path / "run")) == 3
    assert "Traceback" in capsys.readouterr().err


SLOW_COMMAND = """
import sys, time, types
import molgen
from molgen.rundir import RunDirectory
from molgen.settings import Settings

def sample(model, output, *, interruption, **_):
    with RunDirectory.open(output, kind="sample", config={}, seed=1):
        print("working", flush=True)
        for _ in range(2000):
            time.sleep(0.01)
            if model.name == "polite":
                interruption.check()

module = types.ModuleType("molgen.workflows")
module.sample, module.SamplingSettings = sample, Settings
sys.modules["molgen.workflows"] = molgen.workflows = module
from molgen_cli.main import run
run()
"""


def begin_slow_command(model: str, output: Path) -> subprocess.Popen[str]:
    child = subprocess.Popen(
        [sys.executable, "-c", SLOW_COMMAND, "sample", model, "-o", str(output)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "working\n"
    return child


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_the_run_at_a_safe_point_with_75(tmp_path: Path, number: signal.Signals) -> None:
    child = begin_slow_command("polite", tmp_path / "run")
    child.send_signal(number)
    _, error = child.communicate(timeout=10)
    assert child.returncode == 75
    last = error.splitlines()[-1]
    assert (
        last == f"molgen: error: Stopped because it received {number.name}. The same command again continues the run."
    )


def test_a_second_ctrl_c_ends_at_once(tmp_path: Path) -> None:
    child = begin_slow_command("deaf", tmp_path / "run")
    assert child.stderr is not None
    child.send_signal(signal.SIGINT)
    assert "next safe point" in child.stderr.readline()
    child.send_signal(signal.SIGINT)
    child.communicate(timeout=5)
    assert child.returncode == 75
    with RunDirectory.open(tmp_path / "run", kind="sample", config={}, seed=1) as run:
        assert run.resumed
