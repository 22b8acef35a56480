"""A grid bias: from a free-energy profile with the sign that levels it, periodic or with ends, and its mistakes."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from molgen.bias.grid import Grid, levelling
from molgen.bias.parsing import find_variable, parse_bias
from molgen.errors import InputError
from molgen.systems import load_system

SYSTEM = load_system("alanine-dipeptide")
CLUSTER = load_system("dw4")


def written(folder: Path, free: list[float | None], cv: str = "phi", system: str = "alanine-dipeptide") -> Path:
    """The files of a reweighting with one profile on the circle."""
    count = len(free)
    centres = [(k + 0.5) * 2.0 * math.pi / count - math.pi for k in range(count)]
    line = {"cv": cv, "unit": "rad", "grid_centres": centres, "free_energy": free}
    (folder / "profiles.json").write_text(json.dumps({"profiles_1d": [line]}))
    (folder / "result.json").write_text(json.dumps({"system": system}))
    return folder


def only(line: str, **options: Path) -> Grid:
    (term,) = parse_bias(line, SYSTEM, **options).terms
    assert isinstance(term, Grid)
    return term


def test_a_profile_is_levelled_up_to_the_maximum(tmp_path: Path) -> None:
    """F + B is flat where F is below ``max``, F − max above; with F itself as the bias it would be twice as steep."""
    grid = np.linspace(-math.pi, math.pi, 181)[:-1] + math.pi / 180
    free = 4.0 * (1.0 - np.cos(grid - 0.7))
    folder = written(tmp_path, list(free))
    for named in ("", "/profiles.json"):
        bias = only(f"grid(phi, file={folder}{named}, max=6 kT)")
        total = free + bias.profile(torch.as_tensor(grid)).numpy()
        low = free < 5.8
        assert np.ptp(total[low]) < 0.02
        assert np.abs(total[free > 6.2] - (free[free > 6.2] - 6.0)).max() < 0.02
    in_kj = only(f"grid(phi, file={folder}, max={6 * 2.494338785:.6f} kJ/mol)")
    assert in_kj.levels == pytest.approx(bias.levels, abs=2e-3)
    # What the record holds needs no file any more.
    (folder / "profiles.json").unlink()
    assert only(bias.text) == bias


def test_unknown_places_are_pushed_no_further_than_known_ones() -> None:
    cv = find_variable("phi", SYSTEM)
    free = np.array([0.0, 1.0, math.nan, 3.0, 2.0, 0.5])
    text = levelling(cv, np.zeros(6), free, 10.0)["values"]
    assert text == "0.000; -1.000; -3.000; -3.000; -2.000; -0.500 kT"
    assert levelling(cv, np.zeros(6), free, 2.5)["values"].startswith("0.000; -1.000; -2.500; -2.500; -2.000")


def test_constant_levels_are_a_constant_and_ends_are_level() -> None:
    flat = only("grid(phi, values=2; 2; 2; 2; 2 kT)")
    s = torch.linspace(-9.0, 9.0, 500, dtype=torch.float64)
    torch.testing.assert_close(flat.profile(s), torch.full_like(s, 2.0))
    (line,) = parse_bias("grid(rg, low=1 nm, high=3 nm, values=0; 1; 4; 2; 5 kT)", CLUSTER).terms
    values = line.profile(torch.tensor([-3.0, 0.4, 3.6, 50.0], dtype=torch.float64))
    torch.testing.assert_close(values, torch.tensor([0.0, 0.0, 5.0, 5.0], dtype=torch.float64))
    # At a knot it is (c− + 4c + c+)/6.
    assert line.profile(torch.tensor([2.0], dtype=torch.float64)).item() == pytest.approx((1 + 16 + 2) / 6)


@pytest.mark.parametrize(
    ("line", "says", "remedy"),
    [
        ("grid(phi)", "needs a file or at least 4 values", "profiles.json"),
        ("grid(phi, values=0; 1 kT)", "at least 4 values", "profiles.json"),
        ("grid(phi, values=0; 1; 2; 1)", "has no unit", "kT"),
        ("grid(phi, values=0; x; 2; 1 kT)", "no energies", "0; 1.5; 3; 1 kT"),
        ("grid(phi, low=0deg, high=90deg, values=0; 1; 2; 1 kT)", "has no ends", "Leave out"),
        ("grid(phi, values=0; 1; 2; 1 kT, max=3 kT)", "max is given without a file", "Leave it out"),
        ("grid(phi, file=nowhere)", "there is no nowhere", "molgen reweight"),
        ("grid(phi, file={}, values=0; 1; 2; 1 kT)", "values is given beside a file", "either"),
        ("grid(phi, file={}, max=3)", "has no unit", "kT"),
        ("grid(phi, file={}, max=-3 kT)", "not above zero", "positive"),
        ("grid(psi, file={})", "has no profile of psi", "phi"),
    ],
)
def test_mistakes(tmp_path: Path, line: str, says: str, remedy: str) -> None:
    written(tmp_path, [0.0, 1.0, None, 2.0, 1.0])
    with pytest.raises(InputError) as caught:
        parse_bias(line.format(tmp_path), SYSTEM)
    assert says in caught.value.message
    assert remedy in caught.value.hint


def test_a_profile_of_another_system_or_of_nothing(tmp_path: Path) -> None:
    written(tmp_path, [0.0, 1.0, 2.0, 1.0], system="alanine-dipeptide-obc1")
    with pytest.raises(InputError, match="is of alanine-dipeptide-obc1, not of alanine-dipeptide"):
        parse_bias(f"grid(phi, file={tmp_path})", SYSTEM)
    written(tmp_path, [0.0, None, None, None])
    with pytest.raises(InputError, match="too few known values"):
        parse_bias(f"grid(phi, file={tmp_path})", SYSTEM)
    (tmp_path / "profiles.json").write_text("[]")
    with pytest.raises(InputError, match="holds no free-energy profiles"):
        parse_bias(f"grid(phi, file={tmp_path})", SYSTEM)


def test_ends_in_the_wrong_order() -> None:
    with pytest.raises(InputError, match="low below high"):
        parse_bias("grid(rg, low=3 nm, high=1 nm, values=0; 1; 4; 2; 5 kT)", CLUSTER)
    with pytest.raises(InputError, match="low below high"):
        parse_bias("grid(rg, values=0; 1; 4; 2; 5 kT)", CLUSTER)
