import math

import numpy as np
import pytest

from molgen.analysis.intervals import WeightedRows
from molgen.analysis.thermodynamics import state_thermodynamics

GRID = np.linspace(-4.0, 4.0, 200_001)


def potential(x: np.ndarray) -> np.ndarray:
    return np.asarray(0.5 * (x / np.where(x < 0.0, 0.4, 1.2)) ** 2 + np.where(x < 0.0, 0.0, 0.7))


def exact(state: int) -> tuple[float, float, float]:
    """ΔU, -TΔS and ΔF of a narrow state on the left and a wide, higher one on the right, by quadrature."""
    weight = np.exp(-potential(GRID))
    weight /= weight.sum()
    inside = (GRID >= 0.0) == bool(state)
    share = weight[inside].sum()
    shift = (weight * potential(GRID))[inside].sum() / share - (weight * potential(GRID)).sum()
    return float(shift), float(-math.log(share) - shift), float(-math.log(share))


def draws(seed: int, n: int = 3000) -> tuple[WeightedRows, np.ndarray, np.ndarray]:
    x = np.random.default_rng(seed).normal(scale=1.2, size=n)
    log_weight = -potential(x) + 0.5 * (x / 1.2) ** 2
    return WeightedRows.from_log_weight(log_weight), (x >= 0.0).astype(np.int64), potential(x)


@pytest.mark.parametrize("state", [0, 1])
def test_known_answers_and_errors_that_are_the_spread(state: int) -> None:
    """200 samples: the spread is known to 5 %, 20 % are allowed; means to 4 of their errors."""
    found = []
    for seed in range(200):
        item = state_thermodynamics(*draws(seed)[:2], state, draws(seed)[2])
        three = (item.delta_u, item.minus_t_delta_s, item.delta_f)
        found.append([(estimate.value, estimate.error) for estimate in three])
    values, errors = np.moveaxis(np.array(found), 2, 0)
    spread = values.std(axis=0, ddof=1)
    assert np.all(np.abs(values.mean(axis=0) - exact(state)) < 4.0 * spread / math.sqrt(200) + 1e-3)
    assert np.all(np.abs(errors.mean(axis=0) / spread - 1.0) < 0.2)


def test_the_parts_add_up_and_the_zero_of_energy_drops_out() -> None:
    rows, label, energy = draws(1)
    first, raised = (state_thermodynamics(rows, label, 1, energy + zero) for zero in (0.0, 1e4))
    assert first.delta_u.value + first.minus_t_delta_s.value == pytest.approx(first.delta_f.value)
    assert raised.delta_u.value == pytest.approx(first.delta_u.value, abs=1e-8)
    assert raised.energy.value == pytest.approx(first.energy.value + 1e4)


def test_rows_without_weight_may_have_no_energy_and_an_empty_state_is_unknown() -> None:
    rows, label, energy = draws(2)
    share = np.append(rows.share, 0.0)
    item = state_thermodynamics(WeightedRows(share), np.append(label, 1), 1, np.append(energy, np.inf))
    assert item.energy.value == pytest.approx(state_thermodynamics(rows, label, 1, energy).energy.value)
    empty = state_thermodynamics(rows, label, 2, energy).to_json()
    assert empty["delta_u"] == {"value": None, "low": None, "high": None}
