"""`molgen init`: its options reach the workflow, its result is printed, bad input exits 3 with one sentence."""

import inspect
import json
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import molgen
from molgen.workflows import initialisation

Command = Callable[..., int]
Captured = pytest.CaptureFixture[str]
RESULT = {
    "directory": "my peptide",
    "system": "gtf",
    "n_atoms": 44,
    "temperature_k": 300.0,
    "cvs": ["phi_2", "psi_2"],
    "choices": ["The ends are charged: NH3+ and COO-."],
    "files": ["my peptide/system.toml", "my peptide/topology.pdb"],
}


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[tuple[Any, ...], dict[str, Any]]]:
    """The calls of a stand-in for the workflow."""
    made: list[tuple[tuple[Any, ...], dict[str, Any]]] = []

    def init(*arguments: Any, **options: Any) -> types.SimpleNamespace:
        made.append((arguments, options))
        return types.SimpleNamespace(to_json=lambda: RESULT)

    module = types.ModuleType("molgen.workflows")
    module.init = init  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "molgen.workflows", module)
    monkeypatch.setattr(molgen, "workflows", module, raising=False)
    return made


def test_every_option_reaches_the_workflow(calls: Any, molgen_command: Command) -> None:
    arguments = "init --sequence CAHC --termini zwitterion --ph 6 --variant 3=HID --disulphide 1-4 --name it"
    assert molgen_command(*arguments.split(), "--temperature", "310", "--cis-trans", "free", "-o", "out") == 0
    (((output,), options),) = calls
    assert output == Path("out")
    assert options["variants"] == {3: "HID"}
    assert options["disulphides"] == ((1, 4),)
    assert (options["termini"], options["ph"], options["cis_trans"]) == ("zwitterion", 6.0, "free")
    assert (options["name"], options["temperature_k"], options["constraints"]) == ("it", 310.0, "none")
    inspect.signature(initialisation.init).bind(output, **options)


def test_the_other_sources(calls: Any, molgen_command: Command) -> None:
    assert molgen_command("init", "--pdb", "a.pdb", "--system-xml", "a.xml", "--chain", "B", "-o", "out") == 0
    assert molgen_command("init", "--pdb", "a.pdb", "--forcefield", "a.xml, b.xml", "-o", "out") == 0
    assert molgen_command("init", "--smiles", "CCO", "--seed", "4", "-o", "out") == 0
    first, second, third = (options for _, options in calls)
    assert (first["pdb"], first["system_xml"], first["chain"]) == (Path("a.pdb"), Path("a.xml"), "B")
    assert second["forcefield"] == ("a.xml", "b.xml")
    assert (third["smiles"], third["seed"], third["termini"], third["variants"]) == ("CCO", 4, None, {})


def test_what_was_made_and_what_comes_next_is_printed(calls: Any, molgen_command: Command, capsys: Captured) -> None:
    assert molgen_command("init", "--sequence", "GTF", "-o", "out") == 0
    out = capsys.readouterr().out
    assert "The ends are charged" in out
    assert "phi_2 psi_2" in out
    assert "molgen simulate 'my peptide/system.toml' --explore --time 20ns -o 'my peptide/md'" in out


def test_json_is_one_object(calls: Any, molgen_command: Command, capsys: Captured) -> None:
    assert molgen_command("init", "--sequence", "GTF", "-o", "out", "--json") == 0
    assert json.loads(capsys.readouterr().out) == RESULT


@pytest.mark.parametrize(
    "options",
    [
        ("--sequence", "GTF", "--variant", "HID"),
        ("--sequence", "GTF", "--variant", "x=HID"),
        ("--sequence", "GTF", "--variant", "1=HID", "--variant", "1=HIE"),
        ("--sequence", "GTF", "--disulphide", "2"),
        ("--sequence", "GTF", "--termini", "open"),
        ("--sequence", "GTF", "--ph", "15"),
        ("--sequence", "GTF", "--temperature", "0"),
        ("--sequence",),
    ],
)
def test_usage_errors_exit_2(calls: Any, molgen_command: Command, capsys: Captured, options: tuple[str, ...]) -> None:
    assert molgen_command("init", *options, "-o", "out") == 2
    captured = capsys.readouterr()
    assert captured.err
    assert not captured.out
    assert calls == []


@pytest.mark.parametrize(
    ("options", "code", "sentence"),
    [
        (("--sequence", "GXF"), 3, "molgen: error: The letter 'X' at position 2 of the sequence is no amino acid."),
        (("--sequence", ""), 3, "molgen: error: The sequence is empty."),
        (("--sequence", "A" * 21), 3, "molgen: error: The sequence has 21 residues, more than 20."),
        (("--sequence", "AHA", "--variant", "1=HID"), 3, "molgen: error: Residue 1 is ALA and cannot be HID."),
        (("--pdb", "absent.pdb"), 3, "molgen: error: There is no file absent.pdb."),
        ((), 2, "molgen: error: init needs one source of the molecule, none given."),
    ],
)
def test_bad_input_is_one_sentence_and_writes_nothing(
    tmp_path: Path, molgen_command: Command, capsys: Captured, options: tuple[str, ...], code: int, sentence: str
) -> None:
    assert molgen_command("init", *options, "-o", str(tmp_path / "new")) == code
    captured = capsys.readouterr()
    assert captured.err.startswith(sentence)
    assert captured.err.count("\n") == 1
    assert captured.out == ""
    assert list(tmp_path.iterdir()) == []
