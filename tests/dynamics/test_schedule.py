import pytest

from molgen.dynamics.schedule import SimulationSettings, plan_explore, plan_plain
from molgen.errors import UsageError
from molgen.systems.loading import load_system


def test_explore_spends_the_time_it_was_given_on_hot_and_cold_runs_together() -> None:
    system = load_system("alanine-dipeptide")
    plan = plan_explore(system, SimulationSettings(), 5000.0)
    spent_ps = plan.evaluations * 0.002
    assert 5000.0 - 49.0 < spent_ps <= 5000.0
    assert plan.frames == sum(plan.seeds) * 400
    assert plan.segment.temperature_k == 300.0
    assert plan.interval.temperature_k == 900.0
    assert sum(end - first for _, first, end in plan.batches) == sum(plan.seeds)


def test_plain_pieces_follow_each_other_and_only_the_first_is_equilibrated() -> None:
    plan = plan_plain(load_system("alanine-dipeptide"), SimulationSettings(plain_chains=2, piece_ps=100.0), 600.0)
    assert [piece.discard_steps for piece in plan.pieces] == [2000, 0, 0]
    assert 600.0 - 0.8 < plan.evaluations * 0.002 <= 600.0


def test_a_time_too_short_is_refused_with_the_shortest_that_would_do() -> None:
    system = load_system("alanine-dipeptide")
    with pytest.raises(UsageError, match="58ps"):
        plan_explore(system, SimulationSettings(), 57.0)
    assert plan_explore(system, SimulationSettings(), 58.0).frames == 400
    with pytest.raises(UsageError, match="too short"):
        plan_plain(system, SimulationSettings(), 16.0)


def test_an_analytic_system_keeps_its_own_time_step() -> None:
    assert SimulationSettings().timestep_ps(load_system("double-well")) == pytest.approx(0.01)
