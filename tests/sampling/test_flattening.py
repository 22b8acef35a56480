"""`auto:CV`: the profile of the target is found from weighted draws of the model, and the bias levels it."""

import math

import numpy as np
import pytest
import torch

from molgen.bias.base import SumBias
from molgen.energies.factory import open_energy
from molgen.errors import InputError
from molgen.models.base import Draws
from molgen.sampling.flattening import (
    AutoBias,
    FlatteningSettings,
    basins,
    default_height,
    flatten,
    parse_auto,
    profile,
)
from molgen.sampling.methods import PushedModel
from molgen.systems.loading import load_system

WELL = load_system("double-well")
MOLECULE = load_system("alanine-dipeptide")


class Normal:
    """q = N(centre, width²) in one dimension."""

    measure = "external"
    piece = 700

    def __init__(self, centre: float, width: float) -> None:
        self.centre, self.width = centre, width

    def sample(self, n: int, generator: torch.Generator) -> Draws:
        x = self.centre + self.width * torch.randn(n, 1, 1, generator=generator, dtype=torch.float64)
        return Draws(x, self.log_prob(x), torch.ones(n, dtype=torch.bool))

    def log_prob(self, positions: torch.Tensor) -> torch.Tensor:
        z = (positions[:, 0, 0] - self.centre) / self.width
        return -0.5 * z.square() - math.log(self.width * math.sqrt(2 * math.pi))

    def in_domain(self, positions: torch.Tensor) -> torch.Tensor:
        return torch.ones(len(positions), dtype=torch.bool)


def asked(line: str) -> AutoBias:
    auto = parse_auto(line, WELL)
    assert auto is not None
    return auto


def never(bias: SumBias, round_: int) -> PushedModel:
    raise AssertionError("one round was enough")


def test_what_is_asked_is_read() -> None:
    assert parse_auto("harmonic(phi, center=0, k=1 kT/rad^2)", MOLECULE) is None
    auto = parse_auto(" auto: psi", MOLECULE)
    assert auto is not None
    assert (auto.cv.name, auto.most, auto.text) == ("psi", None, "auto:psi")
    auto = parse_auto("auto(phi, max=2 kcal/mol)", MOLECULE)
    assert auto is not None
    assert auto.most == pytest.approx(2 * 4.184 / 2.4943388, rel=1e-4)
    assert parse_auto(auto.text, MOLECULE) == auto


@pytest.mark.parametrize(
    ("line", "says", "remedy"),
    [
        ("auto:phj", "no collective variable 'phj'", "phi"),
        ("auto:", "cannot be read", "auto:phi"),
        ("auto:phi + harmonic(psi, center=0, k=1 kT/rad^2)", "cannot be read", "alone"),
        ("auto(phi, height=3 kT)", "cannot be read", "max=8 kT"),
        ("auto(phi, max=3)", "has no unit", "kT"),
        ("auto(phi, max=0 kT)", "not above zero", "positive"),
    ],
)
def test_mistakes(line: str, says: str, remedy: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_auto(line, MOLECULE)
    assert says in caught.value.message
    assert remedy in caught.value.hint


def test_the_profile_of_the_target_is_levelled_not_that_of_the_model() -> None:
    """V + B is flat in the wells up to ``max``, though the model is one broad bump."""
    energy = open_energy(WELL)
    settings = FlatteningSettings(pilot=6000, bins=40)
    found = flatten(Normal(0.3, 1.1), WELL, asked("auto(x, max=4 kT)"), energy, never, settings, seed=3)
    assert (found.most, found.rounds) == (4.0, 1)
    assert energy.counter.sampling == 6000
    (grid,) = found.bias.terms
    x = torch.linspace(-1.15, -0.8, 50, dtype=torch.float64)
    right = torch.linspace(0.8, 1.15, 50, dtype=torch.float64)
    total = [5.0 * (s**2 - 1.0) ** 2 + 0.5 * s + grid.profile(s) for s in (x, right)]
    levels = torch.cat(total).numpy()
    assert np.std(levels) < 0.15
    # Of the model's own profile nothing is left: it would add x²/2/1.1².
    assert abs(float(grid.profile(torch.tensor([0.0], dtype=torch.float64))) + 4.0) < 0.02


def test_a_constant_added_to_the_energy_changes_nothing() -> None:
    values = np.random.default_rng(1).normal(size=3000)
    log_weight = -(values**2)
    first, second = (profile(values, log_weight + shift, False, 30)[1] for shift in (0.0, 250.0))
    np.testing.assert_allclose(first, second, atol=1e-9)


def test_higher_walls_are_climbed_in_rounds() -> None:
    """With max = 15 kT each round sees further: the next draws come from the bias found so far."""
    energy = open_energy(WELL)
    pushed: list[SumBias] = []

    def push(bias: SumBias, round_: int) -> Normal:
        pushed.append(bias)
        return Normal(0.0, 0.6 + 0.2 * round_)

    settings = FlatteningSettings(pilot=1500, rounds=3)
    found = flatten(Normal(-1.0, 0.25), WELL, asked("auto(x, max=15 kT)"), energy, push, settings, seed=1)
    assert found.rounds == 3
    assert len(pushed) == 2
    assert energy.counter.sampling == 4500
    narrow, wide = pushed[0].terms[0].high, found.bias.terms[0].high  # type: ignore[attr-defined]
    assert narrow < 0.0 < wide


def test_circles_close() -> None:
    """Three quarters of the draws at 180 degrees, either side of the cut, the rest at 0."""
    rng = np.random.default_rng(4)
    angles = np.concatenate([rng.normal(math.pi, 0.3, 6000), rng.normal(0.0, 0.3, 2000)])
    values = np.mod(angles + math.pi, 2 * math.pi) - math.pi
    centres, free = profile(values, np.zeros(8000), True, 36)
    assert free[0] == pytest.approx(free[-1], abs=0.1)
    assert min(free[0], free[-1]) < 0.1
    assert free[np.argmin(np.abs(centres))] == pytest.approx(math.log(3.0), abs=0.12)
    assert sorted(basins(free, True)) == pytest.approx([0.0, math.log(3.0)], abs=0.15)
    # On a line the same numbers have one more: the cut parts them.
    assert len(basins(free, False)) == 3


def test_the_height_is_that_of_the_highest_basin() -> None:
    free = np.array([0.0, 3.0, 5.0, 4.5, 5.2, math.nan, 3.5, 6.0])
    # 4.5 is no basin: it is 0.5 deep. 3.5 is one, behind what is unknown.
    assert sorted(basins(free, False)) == [0.0, 3.5]
    assert default_height(free, False) == 5.5
    assert default_height(np.array([0.0, 1.0, 2.0]), False) == 4.0
