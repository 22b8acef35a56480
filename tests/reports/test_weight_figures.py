"""Figures of weights against weights known in closed form."""

import numpy as np
import pytest

from molgen.reports.weight_figures import _pareto_excess, relative_log_weight, weight_figures


def test_share_of_the_heaviest_percent() -> None:
    # 1 draw of 100 holds 9900 of 9999 parts: 99.01 %.
    figures = weight_figures(np.log(np.array([9900.0, *[1.0] * 99])))
    assert "the heaviest 1 % of the draws hold 99.0\u00a0% of the weight" in figures[1].alt


def test_weights_of_any_offset_give_the_same_picture() -> None:
    log_weight = np.log(np.array([1.0, 3.0, 0.0, 4.0]) + 1e-300)
    log_weight[2] = -np.inf
    expected = np.log([0.5, 1.5, 2.0])
    for offset in (0.0, 5000.0, -5000.0):
        assert relative_log_weight(log_weight + offset) == pytest.approx(expected)


def test_zero_weights_are_counted_not_drawn() -> None:
    log_weight = np.zeros(50)
    log_weight[:3], log_weight[3] = -np.inf, np.nan
    assert "4 of 50 draws have weight 0" in weight_figures(log_weight)[0].caption


def test_equal_weights_and_no_weights() -> None:
    assert len(weight_figures(np.zeros(100), pareto_k=0.0, threshold=0.5)) == 3
    assert weight_figures(np.full(5, -np.inf)) == ()


@pytest.mark.parametrize("shape", [-0.3, 0.0, 0.4, 1.2])
def test_pareto_tail_passes_through_the_median(shape: float) -> None:
    assert _pareto_excess(np.array([1.0, 0.5]), shape, 2.5) == pytest.approx([0.0, 2.5])
