"""The language of biases: every mistake is one sentence with a remedy."""

import math

import pytest
import torch

from molgen.bias.base import SumBias
from molgen.bias.flat_bottom import FlatBottom
from molgen.bias.harmonic import Harmonic
from molgen.bias.parsing import parse_bias
from molgen.errors import InputError
from molgen.systems import load_system
from molgen.units import thermal_energy

SYSTEM = load_system("alanine-dipeptide")


def test_numbers_and_units() -> None:
    (spring,) = parse_bias("harmonic(phi, center=-60deg, k=50 kJ/mol/rad^2)", SYSTEM).terms
    assert isinstance(spring, Harmonic)
    kt = thermal_energy(300.0)
    assert spring.center == pytest.approx(-math.pi / 3)
    assert spring.stiffness == pytest.approx(50.0 / kt)
    for text in ("50 kJ / mol / rad**2", "50kJ/mol/rad²", "5e1 kJ/mol/rad^2", f"{50 / 4.184!r} kcal/mol/rad^2"):
        (again,) = parse_bias(f"harmonic(phi,center=-60 deg,k={text})", SYSTEM).terms
        assert isinstance(again, Harmonic)
        assert again.stiffness == pytest.approx(spring.stiffness)
    (degrees,) = parse_bias("harmonic(phi, center=0, k=0.01 kT/deg^2)", SYSTEM).terms
    assert isinstance(degrees, Harmonic)
    assert degrees.stiffness == pytest.approx(0.01 * (180 / math.pi) ** 2)


def test_a_sign_inside_a_number_joins_nothing() -> None:
    text = "harmonic(phi, center=+6e+1 deg, k=5e+1 kT/rad^2) + harmonic(psi, center=0, k=1 kT/rad^2)"
    bias = parse_bias(text, SYSTEM)
    assert len(bias.terms) == 2
    assert parse_bias(bias.text, SYSTEM) == bias


def test_a_reduced_variable_takes_plain_numbers() -> None:
    system = load_system("muller-brown")
    name = system.definition.cv[0].name
    bias = parse_bias(f"harmonic({name}, center=-0.5, k=3 kT) + linear({name}, slope=2 kT)", system)
    values = bias.reduced(torch.tensor([[[0.5, 0.0]]], dtype=torch.float64))
    assert values.item() == pytest.approx(1.5 + 1.0)


def test_the_default_ramp_is_a_fifth_of_the_width() -> None:
    bias: SumBias = parse_bias("flat-bottom(phi, center=0, width=30deg, k=5 kT/rad^2)", SYSTEM)
    (wall,) = bias.terms
    assert isinstance(wall, FlatBottom)
    assert wall.ramp == pytest.approx(math.radians(6))


@pytest.mark.parametrize(
    ("text", "says", "remedy"),
    [
        ("", "cannot be read", "harmonic"),
        ("harmonic", "cannot be read", "harmonic"),
        ("harmonic(phi, center=0, k=1 kT/rad^2) +", "cannot be read", "join several"),
        ("harmonic(phi, center=0, k=1 kT/rad^2) harmonic(psi, center=0, k=1 kT/rad^2)", "cannot be read", "join"),
        ("harmonik(phi, center=0, k=1 kT/rad^2)", "no bias called 'harmonik'", "harmonic"),
        ("harmonic(phj, center=0, k=1 kT/rad^2)", "no collective variable 'phj'", "phi"),
        ("harmonic(phi, center=0)", "k is missing", "k=50 kJ/mol/rad^2"),
        ("harmonic(phi, centre=0, k=1 kT/rad^2)", "no parameter 'centre'", "center"),
        ("harmonic(phi, center=0, center=1deg, k=1 kT/rad^2)", "given twice", "once"),
        ("harmonic(phi, 60deg, k=1 kT/rad^2)", "gives no parameter", "harmonic"),
        ("harmonic(phi, center=60, k=1 kT/rad^2)", "has no unit", "deg, rad"),
        ("harmonic(phi, center=0.3nm, k=1 kT/rad^2)", "has the unit 'nm'", "deg, rad"),
        ("harmonic(phi, center=60deg, k=50)", "has no unit", "kJ/mol/rad^2"),
        ("harmonic(phi, center=60deg, k=50 kJ/mol)", "has the unit 'kJ/mol'", "kJ/mol/rad^2"),
        ("harmonic(phi, center=60deg, k=50 kJ/mol/rad)", "has the unit 'kJ/mol/rad'", "kJ/mol/rad^2"),
        ("harmonic(phi, center=60deg, k=50 kJ/mol/nm^2)", "has the unit 'kJ/mol/nm^2'", "kJ/mol/rad^2"),
        ("harmonic(phi, center=60deg, k=fifty)", "no quantity", "50 kJ/mol/rad^2"),
        ("harmonic(phi, center=60deg, k=1e999 kT/rad^2)", "not finite", "50 kJ/mol/rad^2"),
        ("harmonic(phi, center=60deg, k=-5 kT/rad^2)", "not above zero", "positive"),
        ("harmonic(phi, center=60deg, k=0)", "not above zero", "positive"),
        ("harmonic(phi, center=200deg, k=5 kT/rad^2)", "outside the range of phi", "-180deg to 180deg"),
        ("harmonic(phi, center=60rad, k=5 kT/rad^2)", "outside the range of phi", "-180deg to 180deg"),
        ("linear(phi, slope=5 kT/rad)", "phi is periodic", "harmonic(phi"),
        ("flat-bottom(phi, center=0, width=190deg, k=5 kT/rad^2)", "the whole circle", "180deg"),
        ("flat-bottom(phi, center=0, width=0, k=5 kT/rad^2)", "not above zero", "positive"),
    ],
)
def test_mistakes(text: str, says: str, remedy: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_bias(text, SYSTEM)
    assert says in caught.value.message
    assert remedy in caught.value.hint
    assert caught.value.message.endswith(".")


def test_lengths_and_angles_have_ends() -> None:
    cluster = load_system("dw4")
    with pytest.raises(InputError, match="never below 0 nm"):
        parse_bias("harmonic(rg, center=-1 nm, k=5 kT/nm^2)", cluster)
    with pytest.raises(InputError, match=r"Did you mean rg|Known: rg"):
        parse_bias("harmonic(rq, center=1 nm, k=5 kT/nm^2)", cluster)
