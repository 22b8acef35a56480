"""Committors fitted to shots."""

import numpy as np
import pytest
import torch

from molgen.committor.fitting import FittingData, FittingSettings, calibration, fit_committor
from molgen.committor.likelihood import steepness
from molgen.committor.model import Committor, CommittorSettings, pooled
from molgen.errors import InputError
from molgen.observables.boundary import Boundary
from molgen.progress import ProgressEvent
from molgen.shooting.shots import Counts
from tests.wells import committor, double_well

SYSTEM = double_well()
BOUNDARY = Boundary(SYSTEM, "left", "right")
SETTINGS = FittingSettings(model=CommittorSettings(hidden=16, members=4), steps=400)


def data(n: int = 400, k: int = 20, seed: int = 1) -> FittingData:
    """Shots drawn from the exact committor."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-0.9, 0.9, n)
    reached = rng.binomial(k, committor(x))
    return FittingData(x.reshape(-1, 1, 1), reached, np.full(n, k), np.arange(n) // 4)


def fitted(rows: FittingData, boundary: Boundary = BOUNDARY, seed: int = 2) -> Committor:
    return fit_committor(boundary, rows, SETTINGS, seed)


def test_it_finds_the_committor_and_is_pinned_in_the_states() -> None:
    model = fitted(data())
    x = np.linspace(-0.89, 0.89, 90)
    error = model.probability(x.reshape(-1, 1, 1)) - committor(x)
    assert np.sqrt((error**2).mean()) < 0.015
    ends = model.probability(np.array([-2.0, -0.95, 0.95, 2.0]).reshape(-1, 1, 1))
    assert ends.tolist() == [0.0, 0.0, 1.0, 1.0]
    assert (model.uncertainty(x.reshape(-1, 1, 1)) > 0.0).all()


def test_the_other_way_round_it_is_one_minus_q() -> None:
    rows = data(200)
    swapped = FittingData(rows.positions, rows.decided - rows.reached, rows.decided, rows.lineage)
    one, other = fitted(rows), fitted(swapped, Boundary(SYSTEM, "right", "left"))
    x = np.linspace(-1.5, 1.5, 50).reshape(-1, 1, 1)
    assert np.abs(one.probability(x) + other.probability(x) - 1.0).max() < 1e-5


def test_equal_seeds_give_equal_fits() -> None:
    state = torch.get_rng_state()
    x = np.linspace(-0.8, 0.8, 9).reshape(-1, 1, 1)
    one, same, other = fitted(data(100)), fitted(data(100)), fitted(data(100), seed=3)
    assert np.array_equal(one.logit(x), same.logit(x))
    assert not np.array_equal(one.logit(x), other.logit(x))
    assert torch.equal(torch.get_rng_state(), state)


def test_members_differ_more_where_nothing_was_shot() -> None:
    rows = data(400)
    part = rows.rows(np.flatnonzero(rows.positions[:, 0, 0] < 0.1))
    spread = fitted(part).uncertainty(np.array([0.0, 0.8]).reshape(-1, 1, 1))
    assert spread[1] > 2.0 * spread[0]


def test_one_lineage_is_split_by_configurations() -> None:
    rows = data(100)
    alone = FittingData(rows.positions, rows.reached, rows.decided, np.zeros(100, dtype=np.int64))
    assert np.isfinite(fitted(alone).logit(np.zeros((1, 1, 1)))).all()


def test_shots_that_say_nothing_are_refused() -> None:
    x, none = np.zeros((20, 1, 1)), np.zeros(20, dtype=np.int64)
    few = Counts(none + 1, none + 1, none, none)
    with pytest.raises(InputError, match="Only 40 shots reached a state"):
        FittingData.of(x, few, none)
    alike = Counts(none + 5, none, none, none)
    with pytest.raises(InputError, match="All 100 decided shots reached the same state"):
        FittingData.of(x, alike, none)
    part = Counts(np.arange(20) % 2 * 6, np.arange(20) % 2 * 4, none + 3, none)
    assert len(FittingData.of(x, part, none).positions) == 10


def test_batches_of_configurations_learn_the_same() -> None:
    """A sixth of the configurations a step, no worse than all of them; equal seeds give equal orders."""
    settings = SETTINGS.model_copy(update={"batch": 64})
    one, same = (fit_committor(BOUNDARY, data(), settings, 2) for _ in range(2))
    x = np.linspace(-0.89, 0.89, 90)
    error = one.probability(x.reshape(-1, 1, 1)) - committor(x)
    assert np.sqrt((error**2).mean()) < 0.015
    assert np.array_equal(one.logit(x.reshape(-1, 1, 1)), same.logit(x.reshape(-1, 1, 1)))


def test_an_interval_is_of_the_members_spread_and_a_point_in_the_states() -> None:
    model = fitted(data(200, 2))
    x = np.array([-0.95, -0.4, 0.0, 0.4, 0.95]).reshape(-1, 1, 1)
    low, high = model.interval(x)
    assert (low[[0, 4]].tolist(), high[[0, 4]].tolist()) == ([0.0, 1.0], [0.0, 1.0])
    q = model.probability(x)[1:4]
    assert ((low[1:4] < q) & (q < high[1:4])).all()
    narrow = model.interval(x, 0.5)
    assert ((narrow[0] > low)[1:4] & (narrow[1] < high)[1:4]).all()


def test_logits_are_calibrated_by_what_members_did_not_see() -> None:
    """Members that say twice what is true, and anything of what they saw; the slope to four standard errors."""
    rows = data(400)
    truth = torch.as_tensor(committor(rows.positions[:, 0, 0])).logit()
    left_out = (torch.rand(4, 400, generator=torch.Generator().manual_seed(1)) < 0.4).double()
    logits = torch.where(left_out > 0, 2.0 * truth + 1.0, torch.full_like(truth, 50.0))
    assert calibration(logits, left_out, rows) == pytest.approx(0.5, abs=4 * 0.015)
    few = rows.rows(np.arange(3))
    assert calibration(logits[:, :3], left_out[:, :3], few) == 1.0
    assert calibration(-logits, left_out, rows) == 1.0


def test_q_is_the_mean_over_the_members_and_its_interval_theirs() -> None:
    """In the states it is what they are, and far from 1/2 no digits are lost."""
    model = fitted(data(100))
    x = np.linspace(-0.7, 0.7, 8).reshape(-1, 1, 1)
    with torch.no_grad():
        each = (model.member_logits(x) / model.scale).sigmoid().mean(0).logit() * model.scale
    np.testing.assert_allclose(model.logit(x), each.numpy(), rtol=1e-6)
    members = model.member_logits(x).detach().numpy()
    low, high = model.interval(x)
    np.testing.assert_allclose(np.log(low / (1 - low)) + np.log(high / (1 - high)), 2 * members.mean(0), rtol=1e-5)
    np.testing.assert_allclose(model.disagreement(x), (1 / (1 + np.exp(-members))).var(0, ddof=1), rtol=1e-6)
    far = pooled(torch.tensor([[-300.0, 800.0], [-301.0, 801.0]], dtype=torch.float64))
    np.testing.assert_allclose(
        far, [-300 + np.log((1 + np.exp(-1)) / 2), 800 - np.log((1 + np.exp(-1)) / 2)], rtol=1e-12
    )


def test_members_that_do_not_agree_are_calibrated_as_they_are_pooled() -> None:
    """Two groups that stray by ±1 about twice the truth; those that saw a configuration say anything of it."""
    rows = data(400)
    truth = torch.as_tensor(committor(rows.positions[:, 0, 0])).logit()
    stray = torch.tensor([-1.0, 1.0, -1.0, 1.0])[:, None]
    logits = torch.cat([2.0 * truth + stray, torch.full((1, 400), 50.0)])
    left_out = torch.tensor([1.0, 1.0, 1.0, 1.0, 0.0])[:, None].expand(5, 400)
    known = steepness(pooled(logits[:4]).numpy(), rows.reached, rows.decided, rows.lineage)[0]
    assert calibration(logits, left_out, rows) == pytest.approx(known, abs=0.01)
    assert known > 0.52


def test_a_calibration_scales_the_logits(monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.linspace(-0.8, 0.8, 9).reshape(-1, 1, 1)
    plain = fitted(data(100))
    monkeypatch.setattr("molgen.committor.fitting.calibration", lambda *_: 0.5)
    half = fitted(data(100))
    np.testing.assert_allclose(half.logit(x), 0.5 / float(plain.scale) * plain.logit(x), rtol=1e-6)
    np.testing.assert_allclose(half.uncertainty(x), 0.5 / float(plain.scale) * plain.uncertainty(x), rtol=1e-6)


def test_a_calibration_that_is_chance_is_seldom_made() -> None:
    """200 seeds of members that say what is true: what is left of the likeliest b strays by 0.6 of it.

    For a normal estimate it is exactly 1 in 68 % of cases and strays by 0.58 of the standard error. Bounds are five
    standard errors of 200 seeds.
    """
    found, likeliest = [], []
    for seed in range(200):
        rows = data(400, 2, seed)
        truth = torch.as_tensor(committor(rows.positions[:, 0, 0])).logit()
        found.append(calibration(truth.expand(4, -1), torch.ones(4, 400, dtype=torch.float64), rows))
        likeliest.append(steepness(truth.numpy(), rows.reached, rows.decided, rows.lineage)[0])
    strayed = np.sqrt(np.mean((np.array(found) - 1.0) ** 2) / np.mean((np.array(likeliest) - 1.0) ** 2))
    assert 0.4 < strayed < 0.85
    assert 0.51 < np.mean(np.array(found) == 1.0) < 0.85


def test_a_fit_says_how_far_it_is() -> None:
    seen: list[ProgressEvent] = []
    settings = SETTINGS.model_copy(update={"steps": 90})
    fit_committor(BOUNDARY, data(60), settings, 2, seen.append)
    assert [event.done for event in seen] == [40, 80, 90]
    assert {event.total for event in seen} == {90}
    losses = [event.figures["held_out_loss"] for event in seen]
    assert all(np.isfinite(losses))
    assert losses == sorted(losses, reverse=True)
