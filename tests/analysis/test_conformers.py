"""Conformers of synthetic draws whose populations are known."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from molgen.analysis.conformers import find_conformers


@dataclass(frozen=True)
class Angle:
    name: str
    unit: str = "rad"
    periodic: bool = True


CVS: Any = {"phi": Angle("phi"), "psi": Angle("psi")}
CENTRES = np.array([[-80.0, 150.0], [-80.0, -40.0], [60.0, 40.0]])
POPULATION = np.array([0.6, 0.38, 0.02])


def draws(
    n: int, seed: int, proposal: np.ndarray, width: float = 12.0
) -> tuple[dict[str, np.ndarray], np.ndarray, Any]:
    """Draws that visit the wells as ``proposal`` says, with the weights that give ``POPULATION``."""
    generator = np.random.default_rng(seed)
    well = generator.choice(3, n, p=proposal)
    points = generator.normal(CENTRES[well], width)
    angles = np.deg2rad((points + 180.0) % 360.0 - 180.0)
    log_weight = np.log(POPULATION / proposal)[well] + generator.normal(0.0, 0.5, n)
    return {"phi": angles[:, 0], "psi": angles[:, 1]}, log_weight, well


def test_populations_and_free_energies_are_those_of_the_weights() -> None:
    values, log_weight, _ = draws(20_000, 1, np.array([0.3, 0.4, 0.3]))
    found = find_conformers(values, CVS, log_weight)
    assert [conformer.name for conformer in found] == ["c1", "c2", "c3"]
    for conformer, exact in zip(found, POPULATION, strict=True):
        p, f = conformer.population, conformer.free_energy
        half = (p.high - p.low) / 3.92
        assert abs(p.value - exact) < 4.0 * half  # false-alarm rate 6e-5 each
        assert half < 0.01
        assert f.value == pytest.approx(-np.log(exact / 0.6), abs=4.0 * max(f.error, 1e-12))
    assert (found[0].free_energy.value, found[0].free_energy.low, found[0].free_energy.high) == (0.0, 0.0, 0.0)
    assert sum(conformer.population.value for conformer in found) == pytest.approx(1.0)
    record = found[2].to_json(2.5)
    assert record["free_energy_kj_per_mol"]["low"] == pytest.approx(2.5 * record["free_energy_kt"]["low"])
    assert not record["few_samples"]


def test_a_conformer_of_few_effective_samples_is_flagged_and_shown() -> None:
    values, log_weight, _ = draws(5000, 2, np.array([0.6, 0.385, 0.015]))
    found = find_conformers(values, CVS, log_weight)
    assert [conformer.few for conformer in found] == [False, False, True]
    assert found[2].draws >= 50


def test_the_representative_is_near_the_centre_and_weighs_enough() -> None:
    values, log_weight, well = draws(6000, 3, np.array([0.4, 0.4, 0.2]))
    light = np.flatnonzero(well == 0)[:50]
    for name, centre in zip(CVS, CENTRES[0], strict=True):
        values[name][light] = np.deg2rad(centre)
    log_weight[light] -= 20.0
    found = find_conformers(values, CVS, log_weight)
    for number, conformer in enumerate(found):
        row = conformer.representative
        assert well[row] == number
        assert row not in light
        angles = np.rad2deg([values[name][row] for name in CVS])
        assert np.all(np.abs((angles - CENTRES[number] + 180.0) % 360.0 - 180.0) < 4.0)


def test_draws_without_weight_are_in_no_conformer_and_nothing_is_random() -> None:
    values, log_weight, well = draws(4000, 4, np.array([0.4, 0.4, 0.2]))
    log_weight[well == 2] = -np.inf
    found = find_conformers(values, CVS, log_weight)
    assert len(found) == 2
    assert sum(conformer.draws for conformer in found) == int(np.sum(well != 2))
    assert found == find_conformers(values, CVS, log_weight)
    assert find_conformers(values, CVS, np.full(4000, -np.inf)) == ()


def test_one_heavy_draw_makes_no_conformer() -> None:
    generator = np.random.default_rng(5)
    values = {name: generator.normal(0.0, 0.2, 3000) for name in CVS}
    log_weight = np.zeros(3000)
    values["phi"][0], log_weight[0] = 2.5, 7.0
    assert len(find_conformers(values, CVS, log_weight)) == 1
