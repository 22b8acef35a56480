"""Sequences: what is read from them, what is chosen and said, and every refusal."""

from typing import Any

import pytest

from molgen.errors import InputError
from molgen.systems.sequence import LETTERS, MODEL_PKA, parse_sequence


def test_all_twenty_letters_are_read_in_order() -> None:
    sequence = parse_sequence("ARNDCQEGHILKMFPSTWYV")
    assert len(LETTERS) == 20
    assert sequence.residues[:3] == ("ALA", "ARG", "ASN")
    assert sequence.residues[8] == "HIE"  # the only one that is not called as its amino acid at pH 7
    assert parse_sequence(" gtf ").residues == ("GLY", "THR", "PHE")


@pytest.mark.parametrize(
    ("ph", "residues"),
    [
        (2.0, ("ASH", "GLH", "HIP", "CYS", "LYS", "TYR")),
        (4.0, ("ASP", "GLH", "HIP", "CYS", "LYS", "TYR")),
        (7.0, ("ASP", "GLU", "HIE", "CYS", "LYS", "TYR")),
        (9.0, ("ASP", "GLU", "HIE", "CYM", "LYS", "TYR")),
    ],
)
def test_the_ph_decides_by_the_model_pka(ph: float, residues: tuple[str, ...]) -> None:
    assert parse_sequence("DEHCKY", ph=ph).residues == residues


def test_lysine_loses_its_proton_above_its_pka() -> None:
    assert parse_sequence("AKA", ph=MODEL_PKA["LYS"] + 0.1).residues[1] == "LYN"


def test_an_explicit_variant_goes_before_the_ph() -> None:
    sequence = parse_sequence("GHDG", ph=2.0, variants={2: "hid", 3: "ASP"})
    assert sequence.residues == ("GLY", "HID", "ASP", "GLY")


@pytest.mark.parametrize(("options", "word"), [({}, "HIE"), ({"variants": {2: "HID"}}, "HID"), ({"ph": 5.0}, "HIP")])
def test_the_choice_for_histidine_is_always_said(options: dict[str, Any], word: str) -> None:
    choices = parse_sequence("AHA", **options).choices
    assert any(f"His 2 is {word}" in sentence for sentence in choices)


def test_disulphides_make_their_cysteines_cyx_and_leave_the_others() -> None:
    sequence = parse_sequence("CACAC", disulphides=((5, 1),))
    assert sequence.residues == ("CYX", "ALA", "CYS", "ALA", "CYX")
    assert sequence.disulphides == ((1, 5),)
    assert "Cysteines 1 and 5 form a disulphide." in sequence.choices


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("GTB", {}, "letter 'B' at position 3"),
        ("G TF", {}, "letter ' ' at position 2"),
        ("", {}, "is empty"),
        ("G" * 21, {}, "has 21 residues, more than 20"),
        ("GAG", {"variants": {2: "HID"}}, "Residue 2 is ALA and cannot be HID"),
        ("GHG", {"variants": {2: "HIX"}}, "cannot be HIX"),
        ("GHG", {"variants": {4: "HID"}}, "There is no residue 4"),
        ("GYG", {"ph": 11.0}, "Tyrosine 2 is deprotonated at pH 11"),
        ("CAC", {"disulphides": ((1, 2),)}, "Residue 2 of the disulphide 1-2 is no cysteine"),
        ("CAC", {"disulphides": ((1, 9),)}, "Residue 9"),
        ("CCC", {"disulphides": ((1, 2), (2, 3))}, "Cysteine 2 is in two disulphides"),
        ("CAC", {"disulphides": ((1, 1),)}, "Cysteine 1 is in two disulphides"),
        ("CAC", {"disulphides": ((1, 3),), "variants": {3: "CYM"}}, "cannot be CYM"),
        ("CAC", {"variants": {1: "CYX"}}, "Cysteine 1 is CYX but has no partner"),
        ("G", {"termini": "zwitterion"}, "single residue with two charged ends"),
        ("DAG", {"termini": "zwitterion", "ph": 2.0}, "ASH at a charged end"),
        ("GAK", {"termini": "zwitterion", "variants": {3: "LYN"}}, "LYN at a charged end"),
    ],
)
def test_what_cannot_be_built_is_refused_with_a_remedy(text: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        parse_sequence(text, **options)
    assert caught.value.hint
