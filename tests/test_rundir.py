"""Run directories: created, resumed, refused, locked, killed."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from molgen.errors import InputError
from molgen.files import sha256_file
from molgen.rundir import RunDirectory, RunLockedError, configuration_hash, provenance, read_manifest

CONFIG = {"steps": 10, "flow": {"bins": 8, "layers": [1, 2]}}


def begin(path: Path, config: object = CONFIG, seed: int | None = 7, kind: str = "train") -> RunDirectory:
    return RunDirectory.open(path, kind=kind, config=config, seed=seed)  # type: ignore[arg-type]


def test_a_new_run_writes_a_manifest_and_finishes(tmp_path: Path) -> None:
    with begin(tmp_path / "a" / "run") as run:
        assert (run.seed, run.resumed, run.complete) == (7, False, False)
        run.write_json("numbers.json", {"x": float("nan"), "path": Path("p")})
        run.write_bytes("shards/0.bin", b"frames")
        run.record(platform="Reference")
        with pytest.raises(InputError, match="not complete"):
            read_manifest(run.path)
        run.finish({"loss": 1.5})
    manifest = read_manifest(tmp_path / "a" / "run", "train")
    assert manifest.status == "complete"
    assert manifest.result == {"loss": 1.5}
    assert manifest.provenance == {"platform": "Reference"}
    assert manifest.config_hash == configuration_hash(CONFIG)
    assert set(manifest.artifacts) == {"numbers.json", "shards/0.bin"}
    assert manifest.artifacts["shards/0.bin"] == sha256_file(tmp_path / "a/run/shards/0.bin")
    assert run.read_json("numbers.json") == {"x": None, "path": "p"}
    assert run.read_json("absent.json") is None
    assert manifest.versions["molgen"]


def test_only_named_artifacts_are_hashed_if_names_are_given(tmp_path: Path) -> None:
    with begin(tmp_path) as run:
        run.write_bytes("kept", b"1")
        run.write_bytes("scratch", b"2")
        run.finish({}, artifacts=["kept"])
    assert set(read_manifest(tmp_path).artifacts) == {"kept"}


def test_nested_run_directories_keep_their_own_artifacts(tmp_path: Path) -> None:
    with begin(tmp_path / "demo", kind="demo") as outer:
        with begin(tmp_path / "demo" / "md") as inner:
            inner.write_bytes("frames", b"1")
            inner.finish({})
        outer.write_bytes("summary", b"2")
        outer.finish({})
    assert set(read_manifest(tmp_path / "demo").artifacts) == {"summary"}


def test_a_resumed_run_keeps_seed_and_files(tmp_path: Path) -> None:
    with begin(tmp_path, seed=None) as run:
        seed = run.seed
        run.write_bytes("a", b"1")
    with begin(tmp_path, seed=None) as again:
        assert (again.resumed, again.complete, again.seed) == (True, False, seed)
        assert (again.path / "a").read_bytes() == b"1"
        again.finish({"n": 1})
    with begin(tmp_path, seed=seed) as finished:
        assert finished.complete
        assert finished.manifest.result == {"n": 1}


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"steps": 10, "flow": {"bins": 16, "layers": [1, 2]}}, "flow.bins = 8, now it is 16"),
        ({"steps": 10, "flow": {"bins": 8, "layers": [1]}}, r"flow.layers = \[1, 2\], now it is \[1\]"),
        ({"flow": {"bins": 8, "layers": [1, 2]}}, 'steps = 10, now it is "not set"'),
    ],
)
def test_a_changed_configuration_is_refused_with_the_field(tmp_path: Path, config: object, words: str) -> None:
    begin(tmp_path).close()
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(InputError, match=words) as caught:
        begin(tmp_path, config)
    assert "-o" in caught.value.hint
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_another_seed_or_kind_is_refused(tmp_path: Path) -> None:
    begin(tmp_path).close()
    with pytest.raises(InputError, match="seed = 7, now it is 8"):
        begin(tmp_path, seed=8)
    with pytest.raises(InputError, match="a train run, not a sample run"):
        begin(tmp_path, kind="sample")
    with pytest.raises(InputError, match="a train run, not a sample run"):
        read_manifest(tmp_path, "sample")


def test_a_foreign_directory_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(InputError, match="not empty"):
        begin(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
    with pytest.raises(InputError, match="is a file"):
        begin(tmp_path / "thesis.tex")
    with pytest.raises(InputError, match="not the directory of a model run"):
        read_manifest(tmp_path, "model")


def test_a_broken_manifest_is_reported(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text('{"kind": "train"')
    with pytest.raises(InputError, match="cannot be read as a manifest"):
        read_manifest(tmp_path)


def test_an_unwritable_place_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        begin(tmp_path / "file" / "run")


def test_a_failed_write_leaves_the_old_content(tmp_path: Path) -> None:
    with begin(tmp_path) as run:
        run.write_bytes("a.h5", b"old")
        with pytest.raises(RuntimeError, match="half-way"), run.atomic("a.h5") as temporary:
            assert temporary.suffix == ".h5"
            temporary.write_bytes(b"ne")
            raise RuntimeError("half-way")
        assert (tmp_path / "a.h5").read_bytes() == b"old"
        assert not list(tmp_path.glob(".tmp-*"))


def test_names_stay_inside_the_directory(tmp_path: Path) -> None:
    with begin(tmp_path / "run") as run, pytest.raises(ValueError, match="outside"):
        run.write_bytes("../escaped", b"")
    assert not (tmp_path / "escaped").exists()


HOLDER = """
import sys, time
from molgen.rundir import RunDirectory
run = RunDirectory.open(sys.argv[1], kind="train", config={"a": 1}, seed=7)
print("open", flush=True)
index = 0
while True:
    with run.atomic(f"shard-{index:04d}.bin") as temporary:
        with temporary.open("wb") as file:
            for _ in range(64):
                file.write(bytes([index % 256]) * 4096)
    index += 1
"""


def hold(path: Path) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    child = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdout=subprocess.PIPE, text=True, env=environment
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "open\n"
    return child


def end(child: subprocess.Popen[str]) -> None:
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert child.stdout is not None
    child.stdout.close()


def test_a_held_lock_is_one_sentence_and_ends_with_its_process(tmp_path: Path) -> None:
    child = hold(tmp_path / "run")
    try:
        with pytest.raises(
            RunLockedError, match=f"in use by another molgen process \\(number {child.pid}\\)"
        ) as caught:
            begin(tmp_path / "run", {"a": 1})
        assert "\n" not in str(caught.value)
        assert caught.value.exit_code == 3
    finally:
        end(child)
    with begin(tmp_path / "run", {"a": 1}) as run:
        assert run.resumed


def test_kill_9_leaves_whole_files_and_a_run_that_resumes(tmp_path: Path) -> None:
    path = tmp_path / "run"
    whole: set[str] = set()
    for kill in range(3):
        child = hold(path)
        deadline = time.monotonic() + 20
        while len(list(path.glob("shard-*"))) < 3 and time.monotonic() < deadline:
            time.sleep(0.002)
        time.sleep(0.003 * kill)
        end(child)
        shards = sorted(path.glob("shard-*"))
        assert len(shards) >= 3
        for shard in shards:
            content = shard.read_bytes()
            assert len(content) == 64 * 4096
            assert len(set(content)) == 1
        whole |= {shard.name for shard in shards}
        assert json.loads((path / "manifest.json").read_bytes())["status"] == "running"
    with begin(path, {"a": 1}) as run:
        assert run.resumed
        assert not list(path.rglob(".tmp-*"))
        run.finish({})
    assert set(read_manifest(path).artifacts) == whole


def test_a_start_that_died_before_its_manifest_is_begun_again(tmp_path: Path) -> None:
    (tmp_path / ".lock").write_text("123\n")
    (tmp_path / ".tmp-123-manifest.json").write_text("{")
    with begin(tmp_path) as run:
        assert not run.resumed
    assert not (tmp_path / ".tmp-123-manifest.json").exists()


def test_the_log_is_appended(tmp_path: Path) -> None:
    with begin(tmp_path) as run:
        run.log("first")
    with begin(tmp_path) as run:
        run.log("second")
    text = (tmp_path / "run.log").read_text()
    assert text.index("started:") < text.index("first") < text.index("resumed:") < text.index("second")


def test_equal_settings_hash_equally_in_any_order() -> None:
    assert configuration_hash({"a": 1, "b": (2, 3)}) == configuration_hash({"b": [2, 3], "a": 1})
    assert configuration_hash({"a": 1}) != configuration_hash({"a": 2})


def test_provenance_names_versions_and_machine() -> None:
    facts = provenance()
    assert {"molgen", "python", "numpy", "torch", "openmm"} <= set(facts["versions"])
    assert facts["cpus"] >= 1
    assert facts["date"].endswith("+00:00")


def test_bad_input_takes_an_empty_beginning_away_and_leaves_what_was_written(tmp_path: Path) -> None:
    with (
        pytest.raises(InputError, match="no good"),
        RunDirectory.open(tmp_path / "empty", kind="train", config={}, seed=1),
    ):
        raise InputError("These frames are no good.", "Give others.")
    assert not (tmp_path / "empty").exists()
    for name in ("begun", "again"):
        with (
            pytest.raises(InputError, match="no good"),
            RunDirectory.open(tmp_path / "kept", kind="train", config={}, seed=1) as run,
        ):
            run.write_bytes(f"{name}.bin", b"x")
            raise InputError("These frames are no good.", "Give others.")
    assert {path.name for path in (tmp_path / "kept").glob("*.bin")} == {"begun.bin", "again.bin"}
