r"""The variational term of a fit: of all functions that are 0 in A and 1 in B the committor changes least.

For dynamics that is looked at every δ and obeys detailed balance, the committor has the least Dirichlet form

.. math:: D[q] = \langle (q(x_\delta) - q(x_0))^2 \rangle_\pi / (2\delta)

of them (H. Chen, B. Roux and C. Chipot, J. Chem. Theory Comput. 19, 4414 (2023), doi:10.1021/acs.jctc.3c00448). It is
as small as a rate, by orders of magnitude apart from system to system: its logarithm is what is made small.

For Langevin dynamics with velocities that are not looked at, and δ short, D is that of overdamped dynamics with the
same friction for every mass. Its least function is not the committor but has the same value on a parabolic barrier,
whatever the friction: with q(x, v) = Φ(a x + b v) the backward equation gives a = m ω² / (γ k_B T b) and
y + y² = ω² / γ² for y = b² k_B T / m; over Maxwell-Boltzmann's v that is Φ(a x / √(1 + y)) = Φ(x √(m ω² / k_B T)).
"""

from dataclasses import dataclass

import torch

from molgen.arrays import FloatArray
from molgen.committor.model import Committor
from molgen.committor.moves import Moves
from molgen.observables.boundary import A, B

AT_ONCE = 4
"""Moves that a configuration has in a batch, of all it has."""
HELD_OUT = 5
"""One in so many configurations is."""
_ROWS = 4096
"""Configurations that are looked at together."""


@dataclass(frozen=True, eq=False)
class WeightedMoves:
    """``moves`` from n configurations, and the ``weight`` (n,) of each in the Boltzmann distribution."""

    moves: Moves
    weight: FloatArray


class VariationalTerm:
    """Σ ln D over the members of ``model`` by ``weighted`` moves, from ``batch`` configurations at a time.

    A fifth of the configurations is held out: many coordinates can be bent until D is small for the rest alone. Of the
    rest half of a batch are any, half those that add most to D (as :meth:`look` last found), each counted as often as
    it is drawn too seldom, and by four of its moves.
    """

    def __init__(self, model: Committor, weighted: WeightedMoves, batch: int, seed: int) -> None:
        moves = weighted.moves
        self._members, self._batch = model.members, batch
        self._generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            self._before = model.features(moves.before).to(model.members.dtype)
            after = model.features(moves.after).to(model.members.dtype)
        shape = (len(moves.before), moves.each)
        self._after = after.reshape(*shape, -1)
        label = torch.as_tensor(moves.label).reshape(shape)
        self._pinned = torch.where(label == A, 0.0, torch.where(label == B, 1.0, torch.nan)).float()
        self._times = torch.as_tensor(moves.times).reshape(shape).float()
        self._weight = torch.as_tensor(weighted.weight)
        order = torch.randperm(shape[0], generator=self._generator)
        self._held, self._used = order[: shape[0] // HELD_OUT], order[shape[0] // HELD_OUT :]
        self.look()

    @torch.no_grad()
    def look(self) -> torch.Tensor:
        """ln D (m,) of every member by all moves held out, but for 2 δ; finds what each of the rest adds to it."""
        terms = self._over(self._used, self._a_move(self._used))
        self._form = terms.sum(1).clamp(min=1e-30)
        shares = (terms / self._form[:, None]).mean(0)
        self._chance = 0.5 * shares / shares.sum().clamp(min=1e-30) + 0.5 / len(shares)
        each = self._after.shape[1]
        rows, moves = self._held.repeat_interleave(each), torch.arange(each).repeat(len(self._held))
        return self._over(rows, moves).sum(1).clamp(min=1e-30).log()

    def loss(self) -> torch.Tensor:
        """A number whose gradient is that of Σ ln D over the members, by a batch of configurations."""
        drawn = torch.multinomial(self._chance, self._batch, replacement=True, generator=self._generator)
        rows = self._used[drawn].repeat(AT_ONCE)
        often = AT_ONCE * self._batch * self._chance[drawn].repeat(AT_ONCE) * self._weight[self._used].sum()
        found = (self._terms(rows, self._a_move(rows)) / often).sum(1)
        return (found / self._form).sum()

    def _a_move(self, rows: torch.Tensor) -> torch.Tensor:
        return torch.randint(self._after.shape[1], rows.shape, generator=self._generator)

    def _over(self, rows: torch.Tensor, moves: torch.Tensor) -> torch.Tensor:
        """:meth:`_terms` over the sum of their weights."""
        parts = [self._terms(*part) for part in zip(torch.split(rows, _ROWS), torch.split(moves, _ROWS), strict=True)]
        return torch.cat(parts, 1) / self._weight[rows].sum()

    def _terms(self, rows: torch.Tensor, moves: torch.Tensor) -> torch.Tensor:
        """2 δ times what the ``moves`` (r,) of configurations ``rows`` (r,) add to D of each member, (m, r)."""
        pinned = self._pinned[rows, moves]
        both = self._members(torch.cat([self._before[rows], self._after[rows, moves]])).sigmoid()
        start, end = both[:, : len(rows)], both[:, len(rows) :]
        change: torch.Tensor = torch.where(pinned.isnan(), end, pinned) - start
        return self._weight[rows] * self._times[rows, moves] * change.square()
