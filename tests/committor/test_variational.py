"""The variational term: what it makes small, and what it is worth."""

import numpy as np
import torch

from molgen.committor.fitting import FittingData, FittingSettings, fit_committor
from molgen.committor.model import Committor, CommittorSettings
from molgen.committor.moves import Moves
from molgen.committor.variational import VariationalTerm, WeightedMoves
from molgen.dynamics.passage_factory import open_passages
from molgen.observables.boundary import Boundary
from tests.wells import CORE, committor, double_well, potential

SYSTEM = double_well("overdamped", 1.0)
BOUNDARY = Boundary(SYSTEM, "left", "right")
SETTINGS = FittingSettings(model=CommittorSettings(hidden=16, members=4), steps=400, variational=1.0)
DYNAMICS = open_passages(SYSTEM, BOUNDARY, platform="numpy")


def weighted(n: int = 2000, seed: int = 5, each: int = 2) -> WeightedMoves:
    """Moves from evenly drawn places between the states, with Boltzmann's weights."""
    x = np.random.default_rng(seed).uniform(-CORE, CORE, n).reshape(-1, 1, 1)
    return WeightedMoves(Moves.make(DYNAMICS, x, each, seed), np.exp(-potential(x[:, 0, 0])))


def model(seed: int = 1) -> Committor:
    """Members that say this and that."""
    found = Committor(BOUNDARY, SETTINGS.model, torch.Generator().manual_seed(seed))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in found.members.parameters():
            parameter.add_(0.5 * torch.randn(parameter.shape, generator=generator))
    return found


def dirichlet(found: Committor, moves: WeightedMoves, rows: torch.Tensor) -> torch.Tensor:
    """2 δ D (m,) of every member, move by move of the configurations ``rows``."""
    logits = found.member_logits(np.concatenate([moves.moves.before, moves.moves.after])).sigmoid()
    n = len(moves.moves.before)
    after = moves.moves.after[:, 0, 0]
    end = torch.where(torch.as_tensor(after < -CORE), 0.0, logits[:, n:])
    end = torch.where(torch.as_tensor(after > CORE), 1.0, end)
    times = torch.as_tensor(np.where(np.abs(after) > CORE, 2.0, 1.0))
    each = (times * (end - logits[:, :n].repeat_interleave(2, 1)).square()).reshape(len(end), n, 2).mean(2)
    weight = torch.as_tensor(moves.weight)[rows]
    return each[:, rows] @ (weight / weight.sum())


def test_its_gradient_is_that_of_the_logarithm_of_the_dirichlet_form() -> None:
    """By 300 batches of 200 of 1,600 configurations, each component to five of its standard errors.

    D in the denominator is of one move of each configuration: known to 4 %, a factor that all components share.
    """
    found, moves = model(), weighted()
    parameter = found.members.linear
    term = VariationalTerm(found, moves, 200, 3)
    assert (len(term._used), len(term._held)) == (1600, 400)
    assert not set(term._used.tolist()) & set(term._held.tolist())
    (wanted,) = torch.autograd.grad(dirichlet(found, moves, term._used).log().sum(), parameter)
    drawn = torch.stack([torch.autograd.grad(term.loss(), parameter)[0] for _ in range(300)]).double()
    error = drawn.std(0) / np.sqrt(len(drawn))
    assert (error < 0.1 * wanted.abs().max()).all()
    assert ((drawn.mean(0) - wanted).abs() < 5 * (error + 0.04 * wanted.abs())).all()


def test_it_is_judged_by_configurations_of_its_own() -> None:
    """ln D of those held out, by all of their moves."""
    found, moves = model(), weighted()
    term = VariationalTerm(found, moves, 200, 3)
    with torch.no_grad():
        wanted = dirichlet(found, moves, term._held).log()
    assert torch.allclose(term.look().double(), wanted, rtol=1e-5)


def test_what_adds_most_is_drawn_most_often() -> None:
    """The same gradient from batches drawn alike scatters more."""
    found, moves = model(2), weighted()
    parameter = found.members.linear
    term = VariationalTerm(found, moves, 100, 3)
    looked = torch.stack([torch.autograd.grad(term.loss(), parameter)[0] for _ in range(200)])
    term._chance = torch.full((1600,), 1 / 1600)
    alike = torch.stack([torch.autograd.grad(term.loss(), parameter)[0] for _ in range(200)])
    assert (looked.std(0) < alike.std(0)).double().mean() > 0.5
    assert looked.std(0).mean() < 0.9 * alike.std(0).mean()


def test_few_shots_with_it_give_a_better_committor() -> None:
    """100 shots, five fits: off by 0.05 in the median without it, and by less than half of that with it."""
    grid = np.linspace(-0.85, 0.85, 80)
    # A step of 1e-3 meets a boundary as if it lay 0.026 further away.
    truth = committor(grid, 0.0261)
    errors = []
    for seed in range(5):
        rng = np.random.default_rng(seed)
        x = rng.uniform(-CORE, CORE, 50)
        reached = rng.binomial(2, committor(x, 0.0261))
        rows = FittingData(x.reshape(-1, 1, 1), reached, np.full(50, 2), np.arange(50))
        fits = [fit_committor(BOUNDARY, rows, SETTINGS, seed, moves=some) for some in (None, weighted(1000, seed, 16))]
        wrong = [fit.probability(grid.reshape(-1, 1, 1)) - truth for fit in fits]
        errors.append([np.sqrt((error**2).mean()) for error in wrong])
    plain, helped = np.median(errors, axis=0)
    assert plain > 0.02
    assert helped < 0.5 * plain
