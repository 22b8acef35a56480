"""What frames near q = ½ are worth."""

import numpy as np
import pytest

from molgen.committor.transition_states import transition_states

LONE = np.arange(20_000)


def uniform(n: int = 20_000, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0.0, 1.0, n)


def test_independent_draws_are_worth_their_number() -> None:
    """2,000 of 20,000 expected; five standard deviations are 212."""
    found = transition_states(uniform(), None, LONE, "draws", 0.05)
    assert found.ess == pytest.approx(found.inside.sum()) == pytest.approx(2000, abs=212)
    assert found.share == pytest.approx(found.inside.mean())
    assert (found.verdict, found.reasons) == ("reliable", ())


def test_weights_count() -> None:
    """w = 1 or 3 in equal parts: Kish's number is n · 4²/(2·10) = 0.8 n, within 2 %, and no weight stands out."""
    weight = np.log(1.0 + 2.0 * (LONE % 2))
    found = transition_states(uniform(), weight, LONE, "draws", 0.05)
    assert found.ess == pytest.approx(0.8 * found.inside.sum(), rel=0.02)
    assert found.verdict == "reliable"
    heavy = weight.copy()
    heavy[np.flatnonzero(found.inside)[0]] += 8.0
    spoilt = transition_states(uniform(), heavy, LONE, "draws", 0.05)
    assert spoilt.verdict == "refused"
    assert any("One frame carries" in reason for reason in spoilt.reasons)


def test_frames_of_one_crossing_are_one_sample() -> None:
    """Each value ten times in a row: g = 10, known here to about a tenth; ten long pieces of dynamics."""
    q = np.repeat(uniform(4000), 10)
    lineage = np.arange(len(q)) // 4000
    found = transition_states(q, None, lineage, "dynamics", 0.05)
    assert found.inefficiency == pytest.approx(10.0, rel=0.25)
    assert found.ess == pytest.approx(found.inside.sum() / found.inefficiency)
    assert found.verdict == "caution"


def test_particles_scatter_as_their_populations_do() -> None:
    """A share of the window that differs from population to population is known from few independent draws."""
    rng = np.random.default_rng(2)
    population = LONE // 1250
    q = np.where(rng.uniform(size=20_000) < rng.uniform(0.02, 0.3, 16)[population], 0.5, 0.9)
    found = transition_states(q, np.zeros(20_000), population, "populations", 0.05)
    assert found.ess < 0.05 * found.inside.sum()
    even = transition_states(uniform(), np.zeros(20_000), population, "populations", 0.05)
    assert even.ess > 0.25 * even.inside.sum()


def test_too_few_are_refused() -> None:
    few = transition_states(uniform(500), None, LONE[:500], "draws", 0.05)
    assert few.verdict == "refused"
    assert "effective samples, fewer than 100" in few.reasons[0]
    none = transition_states(np.full(50, 0.9), None, LONE[:50], "draws", 0.05)
    assert (none.verdict, none.ess) == ("refused", 0.0)
    assert "No frame with any weight" in none.reasons[0]
