"""Biases in TOML files say what a line says; their paths start beside them."""

import json
import math
from pathlib import Path

import pytest

from molgen.bias.parsing import parse_bias
from molgen.bias.reading import bias_line
from molgen.errors import InputError
from molgen.systems import load_system

SYSTEM = load_system("alanine-dipeptide")


def test_a_toml_file_says_the_same_as_a_line(tmp_path: Path) -> None:
    (tmp_path / "bias.toml").write_text(
        '[[bias]]\nkind = "harmonic"\ncv = "phi"\ncenter = "60deg"\nk = "50 kJ/mol/rad^2"\n'
        '[[bias]]\nkind = "grid"\ncv = "psi"\nvalues = [0, 1.5, -2, 0.5]\nunit = "kT"\n'
        '[[bias]]\nkind = "grid"\ncv = "phi"\nfile = "profiles.json"\n'
    )
    centres = [(k - 1.5) * math.pi / 2.0 for k in range(4)]
    line = {"cv": "phi", "unit": "rad", "grid_centres": centres, "free_energy": [0.0, 1.0, None, 2.0]}
    (tmp_path / "profiles.json").write_text(json.dumps({"profiles_1d": [line]}))
    text, folder = bias_line(str(tmp_path / "bias.toml"))
    bias = parse_bias(text, SYSTEM, folder=folder)
    same = "harmonic(phi, center=60deg, k=50 kJ/mol/rad^2) + grid(psi, values=0; 1.5; -2; 0.5 kT)"
    assert bias.terms[:2] == parse_bias(same, SYSTEM).terms
    assert bias.terms[2].levels == (0.0, -1.0, -2.0, -2.0)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("[[bias]\n", "not a readable TOML"),
        ("[other]\n", r"no \[\[bias\]\] section"),
        ('[[bias]]\ncv = "phi"\n', "has no kind"),
        ('[[bias]]\nkind = "harmonic"\ncv = "phi"\ncenter = "60deg, k=3"\n', "cannot be read"),
    ],
)
def test_mistakes_in_a_toml_file(tmp_path: Path, content: str, says: str) -> None:
    path = tmp_path / "bias.toml"
    path.write_text(content)
    with pytest.raises(InputError, match=says):
        bias_line(str(path))
    with pytest.raises(InputError, match="no file"):
        bias_line(str(tmp_path / "other.toml"))
