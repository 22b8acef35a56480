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

_ROWS = 4096
"""Configurations that are looked at together."""


@dataclass(frozen=True, eq=False)
class WeightedMoves:
    """``moves`` from n configurations, and the ``weight`` (n,) of each in the Boltzmann distribution."""

    moves: Moves
    weight: FloatArray


class VariationalTerm:
    """Σ ln D over the members of ``model`` by ``weighted`` moves, from ``batch`` configurations at a time.

    Half of a batch are any configurations, half those that add most to D (as :meth:`look` last found), each counted as
    often as it is drawn too seldom.
    """

    def __init__(self, model: Committor, weighted: WeightedMoves, batch: int, seed: int) -> None:
        moves = weighted.moves
        self._members, self._batch = model.members, batch
        self._generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            self._before = model.features(moves.before).to(model.members.dtype)
            after = model.features(moves.after).to(model.members.dtype)
        self._after = after.reshape(len(moves.before), moves.each, -1)
        shape = self._after.shape[:2]
        label = torch.as_tensor(moves.label).reshape(shape)
        self._pinned = torch.where(label == A, 0.0, torch.where(label == B, 1.0, torch.nan))
        share = torch.as_tensor(weighted.weight / weighted.weight.sum()).reshape(-1, 1)
        self._share = (share * torch.as_tensor(moves.times).reshape(shape) / moves.each).float()
        self.look()

    @torch.no_grad()
    def look(self) -> torch.Tensor:
        """ln D (m,) of every member, but for 2 δ; finds what each configuration adds to it."""
        rows = torch.arange(len(self._before))
        terms = torch.cat([self._terms(part) for part in torch.split(rows, _ROWS)], 1)
        self._form = terms.sum(1).clamp(min=1e-30)
        shares = (terms / self._form[:, None]).mean(0)
        self._chance = 0.5 * shares / shares.sum().clamp(min=1e-30) + 0.5 / len(shares)
        return self._form.log()

    def loss(self) -> torch.Tensor:
        """A number whose gradient is that of Σ ln D over the members, by a batch of configurations."""
        rows = torch.multinomial(self._chance, self._batch, replacement=True, generator=self._generator)
        found = (self._terms(rows) / (self._batch * self._chance[rows])).sum(1)
        return (found / self._form).sum()

    def _terms(self, rows: torch.Tensor) -> torch.Tensor:
        """2 δ times what each of the configurations ``rows`` (r,) adds to D of each member, (m, r)."""
        after, pinned = self._after[rows], self._pinned[rows]
        q: torch.Tensor = self._members(torch.cat([self._before[rows], after.flatten(0, 1)])).sigmoid()
        start, end = q[:, : len(rows)], q[:, len(rows) :].reshape(len(q), *pinned.shape)
        end = torch.where(pinned.isnan(), end, pinned)
        return (self._share[rows] * (end - start[..., None]).square()).sum(2)
