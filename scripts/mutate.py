"""Break the code on purpose, one patch at a time, in a scratch copy: at least one test has to fail for each.

    python scripts/mutate.py -o docs/benchmarks/mutations.json --work DIR [--only NAME] [--tests PATH ...]

The patches are in scripts/mutations.py. A patch whose old text is not in its file exactly once is an error. For each
the tests named with it are run first and the run stops at the first that fails; a patch that they do not notice is
tried on the whole suite. What is known stays in the output file, from where the script goes on when it is called
again; scripts/verdict_tables.py makes the table in docs/verdicts.md. `--unbroken` runs the named tests once on the code
as it is, where all must pass. Heavy libraries are imported once; every run of the tests is a fork of this process.
"""

import argparse
import importlib
import json
import os
import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from mutations import MUTATIONS, Mutation

ROOT = Path(__file__).resolve().parent.parent
COPIED = ("molgen", "cli", "data", "tests", "scripts", "docs", "pyproject.toml", "CHANGELOG.md", "README.md")
HEAVY = ("numpy", "scipy.optimize", "scipy.stats", "tables", "torch", "openmm", "mdtraj", "pydantic")
"""Libraries that all tests would import anew."""
FAILED, PASSED = 1, 0
"""Exit codes of pytest; any other is no answer."""


def check(mutation: Mutation, root: Path) -> str:
    """The text of the patched file; ``SystemExit`` unless the old text is there exactly once."""
    text = (root / mutation.file).read_text()
    found = text.count(mutation.old)
    if found != 1:
        sys.exit(f"{mutation.file} has the text of a patch {found} times, not once: {mutation.old!r}")
    return text.replace(mutation.old, mutation.new)


def run_tests(copy: Path, tests: Sequence[str]) -> tuple[int, str]:
    """pytest's exit code and the first test that failed; ``SystemExit`` if the tests could not be run."""
    output = copy.parent / "output.txt"
    child = os.fork()
    if child == 0:
        _run_and_leave(copy, tests, output)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    text = output.read_text()
    if code not in (FAILED, PASSED):
        sys.exit(f"pytest ended with {code}:\n{text[-5000:]}")
    match = re.search(r"^(?:FAILED|ERROR) (\S+)", text, re.MULTILINE)
    return code, match.group(1) if match else ""


def _run_and_leave(copy: Path, tests: Sequence[str], output: Path) -> None:
    """In the forked process: the tests of the copy, with the copy's molgen; it never comes back."""
    code = 70
    try:
        with output.open("w") as stream:
            os.dup2(stream.fileno(), 1)
            os.dup2(stream.fileno(), 2)
        os.chdir(copy)
        # Processes that tests start must find the copy as well.
        os.environ |= {"PYTHONPATH": f"{copy}:{copy / 'cli'}", "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"}
        sys.dont_write_bytecode = True
        sys.path[:] = [str(copy), str(copy / "cli"), *(item for item in sys.path if str(ROOT) not in (item, item[:-4]))]
        code = int(pytest.main(["-x", "-q", "-p", "no:cacheprovider", "--no-header", *tests]))
        module = sys.modules.get("molgen")
        if module is not None and not str(module.__file__).startswith(str(copy)):
            print(f"molgen was {module.__file__}")
            code = 71
    finally:
        sys.stdout.flush()
        os._exit(code)


def try_patch(mutation: Mutation, copy: Path) -> dict[str, Any]:
    """Patch the copy, run the tests, and put the file back."""
    patched, path = check(mutation, copy), copy / mutation.file
    original = path.read_text()
    started = os.times()
    path.write_text(patched)
    try:
        code, test = run_tests(copy, mutation.tests)
        whole = code == PASSED
        if whole:
            code, test = run_tests(copy, ["tests"])
    finally:
        path.write_text(original)
    ended = os.times()
    spent = ended.children_user + ended.children_system - started.children_user - started.children_system
    seconds = round(spent, 1)
    return {
        "what": mutation.what,
        "file": mutation.file,
        "noticed": code == FAILED,
        "by": test,
        "cpu_seconds": seconds,
    } | ({"only_by_the_whole_suite": True} if whole else {})


def copy_of(work: Path) -> Path:
    """A scratch copy of the repository."""
    copy = work / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir(parents=True)
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        elif source.exists():
            shutil.copy(source, copy / name)
    return copy


def main() -> None:
    """Every patch that has no result yet."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--only", action="append", choices=list(MUTATIONS))
    parser.add_argument("--unbroken", action="store_true", help="run the named tests on the code as it is")
    arguments = parser.parse_args()
    for mutation in MUTATIONS.values():
        check(mutation, ROOT)
    copy = copy_of(arguments.work.resolve())
    for name in HEAVY:
        importlib.import_module(name)
    if arguments.unbroken:
        tests = sorted({test for mutation in MUTATIONS.values() for test in mutation.tests})
        code, test = run_tests(copy, tests)
        sys.exit(f"fails unbroken: {test}" if code else 0)
    found: dict[str, Any] = json.loads(arguments.output.read_text()) if arguments.output.exists() else {}
    for name in arguments.only or MUTATIONS:
        if name in found and not arguments.only:
            continue
        found[name] = try_patch(MUTATIONS[name], copy)
        ordered = {key: found[key] for key in MUTATIONS if key in found}
        temporary = arguments.output.with_suffix(".part")
        temporary.write_text(json.dumps(ordered, indent=2) + "\n")
        temporary.replace(arguments.output)
        print(f"{name}: {found[name]}", flush=True)
    missed = [name for name, item in found.items() if not item["noticed"]]
    sys.exit(f"not noticed: {', '.join(missed)}" if missed else 0)


if __name__ == "__main__":
    main()
