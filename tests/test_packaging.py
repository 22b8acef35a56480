"""What is installed works without the repository: data and command line are in the wheel."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]


def python(code: str, *, cwd: Path, path: str) -> str:
    environment = {**os.environ, "PYTHONPATH": path}
    return subprocess.run(
        [sys.executable, "-c", code], cwd=cwd, env=environment, capture_output=True, text=True, check=True
    ).stdout.strip()


def test_a_wheel_carries_the_systems_and_the_command(tmp_path: Path) -> None:
    build = f"from hatchling.build import build_wheel; print(build_wheel({str(tmp_path)!r}))"
    name = python(build, cwd=REPOSITORY, path="").splitlines()[-1]
    site = tmp_path / "site"
    with zipfile.ZipFile(tmp_path / name) as wheel:
        wheel.extractall(site)
    assert not (site / "tests").exists()
    assert {entry.name for entry in site.iterdir() if entry.suffix != ".dist-info"} == {"molgen", "molgen_cli"}
    where = "from molgen.systems import data_root, system_names; print(data_root(), *system_names())"
    root, *names = python(where, cwd=tmp_path, path=str(site)).split()
    assert Path(root) == site / "molgen" / "_data"
    assert {"alanine-dipeptide", "double-well"} <= set(names)
    entry = next(site.glob("*.dist-info/entry_points.txt")).read_text()
    assert "molgen = molgen_cli.main:run" in entry


def test_the_repository_finds_its_own_data(tmp_path: Path) -> None:
    where = "from molgen.systems import data_root; print(data_root())"
    path = os.pathsep.join([str(REPOSITORY), str(REPOSITORY / "cli")])
    assert Path(python(where, cwd=tmp_path, path=path)) == REPOSITORY / "data"
