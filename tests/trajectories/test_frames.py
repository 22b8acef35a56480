"""Frame sets keep their rows together."""

import numpy as np
import pytest

from molgen.errors import InputError
from molgen.trajectories.frames import FrameKind, FrameSet, concatenate


def frames(n: int = 4, kind: FrameKind = "equilibrium", t: float = 300.0, weighted: bool = False) -> FrameSet:
    positions = np.arange(n * 6, dtype=np.float64).reshape(n, 2, 3)
    weight = np.arange(n, dtype=np.float64) if weighted else None
    return FrameSet(positions, np.arange(n) // 2 + 5, kind, np.full(n, t), weight, evaluations=10)


def test_selecting_keeps_rows_together() -> None:
    whole = frames(weighted=True)
    part = whole.select(np.array([3, 0]))
    np.testing.assert_array_equal(part.positions, whole.positions[[3, 0]])
    assert part.lineage.tolist() == [6, 5]
    assert part.log_weight is not None
    assert part.log_weight.tolist() == [3.0, 0.0]
    assert len(whole.select(whole.lineage == 5)) == 2


def test_lineages_of_different_sets_stay_apart() -> None:
    joined = concatenate([frames(), frames(3, "explore")])
    assert joined.lineage.tolist() == [0, 0, 1, 1, 2, 2, 3]
    assert joined.n_lineages == 4
    assert joined.kind == "explore"
    assert joined.evaluations == 20


def test_every_frame_keeps_its_temperature() -> None:
    joined = concatenate([frames(t=310.0), frames(3)])
    assert joined.temperature_k.tolist() == [310.0] * 4 + [300.0] * 3
    assert joined.temperatures == (300.0, 310.0)
    assert joined.select(slice(0, 4)).temperatures == (310.0,)


def test_every_frame_keeps_its_bias() -> None:
    parts = [frames(2).under("a"), frames(1), frames(3, "umbrella").under("b"), frames(1, "umbrella").under("a")]
    joined = concatenate(parts)
    assert (joined.biases, joined.kind) == (("a", "b"), "explore")
    assert joined.bias_of is not None
    assert joined.bias_of.tolist() == [0, 0, -1, 1, 1, 1, 0]
    part = joined.select(np.array([6, 2]))
    assert part.bias_of is not None
    assert part.bias_of.tolist() == [0, -1]
    assert part.unbiased.tolist() == [False, True]
    assert joined.under(None).unbiased.all()
    assert concatenate(parts[2:]).kind == "umbrella"


def test_what_cannot_be_joined_is_refused() -> None:
    with pytest.raises(InputError, match="Weighted"):
        concatenate([frames(), frames(weighted=True)])
    with pytest.raises(InputError, match="no frames"):
        concatenate([])
    alone = frames(weighted=True)
    assert concatenate([alone]) is alone


def test_rows_that_do_not_match_are_refused() -> None:
    with pytest.raises(ValueError, match="lineage"):
        FrameSet(np.zeros((2, 1, 3)), np.zeros(3, dtype=np.int64), "explore", np.full(2, 300.0))
    with pytest.raises(ValueError, match="temperatures"):
        FrameSet(np.zeros((2, 1, 3)), np.zeros(2, dtype=np.int64), "explore", np.full(3, 300.0))
    with pytest.raises(ValueError, match="log_weight"):
        FrameSet(np.zeros((2, 1, 3)), np.zeros(2, dtype=np.int64), "explore", np.full(2, 300.0), np.zeros(3))
    with pytest.raises(ValueError, match="bias_of"):
        FrameSet(np.zeros((2, 1, 3)), np.zeros(2, dtype=np.int64), "umbrella", np.full(2, 300.0), bias_of=np.zeros(3))
