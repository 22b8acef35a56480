"""Folding of equivalent branches: every labelling that turning a bond reaches is one configuration."""

import math

import torch

from molgen.coordinates.internal import InternalCoordinates
from molgen.coordinates.symmetry import Rotor

TWO_PI = 2.0 * math.pi


class Folding:
    """Cyclic permutations of equivalent branches (CH3, NH3+, carboxylates, phenyl rings …), folded onto one interval.

    A frame is canonical when the mean phase of each rotor of order k lies in [-pi/k, pi/k). A density ``q_f`` of
    canonical frames becomes one of all labelled frames by drawing a labelling of each rotor at random:
    log q = log q_f - sum_g log k_g, with k_g ↔ ``orders``. A rotor that moves another one's atoms or references (a
    C(CH3)3, a ring with a methyl opposite) is settled before it.
    """

    def __init__(self, internal: InternalCoordinates) -> None:
        self._internal = internal
        self.rotors = list(internal.zmatrix.rotors.values())
        self.orders = [rotor.order for rotor in self.rotors]
        self.n_groups = len(self.rotors)
        self.log_order = sum(math.log(order) for order in self.orders)
        self._phases = [internal.torsion_column(leader) for leader in internal.zmatrix.rotors]
        self._seconds = [internal.torsion_column(rotor.branches[1]) for rotor in self.rotors]
        self._steps = [_powers(rotor) for rotor in self.rotors]
        self._levels = self._ordered_levels()

    def _ordered_levels(self) -> list[list[int]]:
        """Rotors by how many others stand before them."""
        rows = {p.atom: p for p in self._internal.zmatrix.placements}

        def depends(later: int, earlier: int) -> bool:
            row = rows[self.rotors[later].branches[0]]
            touched = {*self.rotors[later].branches, row.bond, row.angle, row.torsion}
            return later != earlier and bool(touched & self.rotors[earlier].moved)

        level = [0] * self.n_groups
        for _ in range(self.n_groups):
            for g in range(self.n_groups):
                before = [level[h] + 1 for h in range(self.n_groups) if depends(g, h)]
                level[g] = max(before, default=0)
        return [[g for g in range(self.n_groups) if level[g] == k] for k in sorted(set(level))]

    def canonical(self, positions: torch.Tensor) -> torch.Tensor:
        """``positions`` (n, N, 3) with the branches of each rotor relabelled into the canonical interval."""
        for level in self._levels:
            y = self._internal.from_positions(positions)
            shifts = torch.zeros(len(positions), self.n_groups, dtype=torch.long)
            for g in level:
                turns = torch.floor(y[:, self._phases[g]] * (self.orders[g] / TWO_PI) + 0.5).long()
                # Three branches may follow each other in either sense (the other one is outside the domain).
                sense = torch.sign(y[:, self._seconds[g]]).long() if self.orders[g] == 3 else torch.ones_like(turns)
                shifts[:, g] = -turns * sense
            positions = self.permute(positions, shifts, level)
        return positions

    def permute(self, positions: torch.Tensor, shifts: torch.Tensor, rotors: list[int] | None = None) -> torch.Tensor:
        """Give branch k of rotor g the place of branch ``(k + shifts[:, g]) mod order``; shifts (n, G).

        Several rotors are turned one after the other, those that others depend on last.
        """
        source = torch.arange(positions.shape[1]).expand(positions.shape[0], -1)
        for g in reversed([g for level in self._levels for g in level] if rotors is None else rotors):
            step = self._steps[g][shifts[:, g] % self.orders[g]]
            source = torch.gather(source, 1, step)
        return torch.gather(positions, 1, source[..., None].expand(-1, -1, positions.shape[2]))

    def random(self, positions: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Each rotor of each frame permuted by a uniformly drawn cyclic permutation."""
        if not self.n_groups:
            return positions
        drawn = [torch.randint(0, k, (positions.shape[0],), generator=generator) for k in self.orders]
        return self.permute(positions, torch.stack(drawn, 1))


def _powers(rotor: Rotor) -> torch.Tensor:
    """The permutation applied 0, 1 … order - 1 times, (order, N)."""
    step = torch.tensor(rotor.permutation)
    powers = [torch.arange(len(step))]
    for _ in range(rotor.order - 1):
        powers.append(powers[-1][step])
    return torch.stack(powers)
