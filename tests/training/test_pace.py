import math

from molgen.training.pace import Pace


def test_without_a_limit_steps_alone_count() -> None:
    pace = Pace(4, None, spent_s=1e9)
    assert [pace.fraction(k) for k in range(6)] == [0.0, 0.25, 0.5, 0.75, 1.0, 1.0]
    assert not pace.timed


def test_no_steps_are_done_at_once() -> None:
    assert Pace(0).fraction(0) == 1.0


def test_the_clock_ends_a_stage_and_remembers_earlier_processes() -> None:
    assert Pace(10, limit_s=100.0, spent_s=100.0).fraction(0) == 1.0
    assert Pace(10, limit_s=0.0).fraction(0) == 1.0
    half = Pace(10, limit_s=1e6, spent_s=5e5)
    assert half.timed
    assert math.isclose(half.fraction(0), 0.5, abs_tol=1e-3)
    assert half.fraction(9) == 0.9
