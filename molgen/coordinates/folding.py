"""Folding of equivalent hydrogens: every labelling that a proper rotation reaches is one configuration."""

import math

import torch

from molgen.coordinates.internal import InternalCoordinates

THIRD = 2.0 * math.pi / 3.0


class HydrogenFolding:
    """Cyclic permutations of three equivalent hydrogens (CH3, NH3+), folded onto one phase interval.

    A frame is canonical when the mean phase of each group lies in [-60, 60) degrees. A density ``q_f`` of canonical
    frames becomes one of all labelled frames by drawing a cyclic permutation of each group at random:
    log q = log q_f - G log 3 with G ↔ :attr:`n_groups`.
    """

    def __init__(self, internal: InternalCoordinates) -> None:
        self._internal = internal
        self._groups = torch.tensor(list(internal.zmatrix.triples.values())).reshape(-1, 3)
        self._phases = torch.tensor([internal.torsion_column(i) for i in internal.zmatrix.triples], dtype=torch.long)
        self._seconds = torch.tensor(
            [internal.torsion_column(a[1]) for a in internal.zmatrix.triples.values()], dtype=torch.long
        )
        self.n_groups = len(self._groups)
        self.log_order = self.n_groups * math.log(3.0)

    def canonical(self, positions: torch.Tensor) -> torch.Tensor:
        """``positions`` (n, N, 3) with the hydrogens of each group relabelled into the canonical interval."""
        if not self.n_groups:
            return positions
        y = self._internal.from_positions(positions)
        turns = torch.floor(y[:, self._phases] / THIRD + 0.5).long()
        order = torch.sign(y[:, self._seconds]).long()
        return self.permute(positions, -turns * order)

    def permute(self, positions: torch.Tensor, shifts: torch.Tensor) -> torch.Tensor:
        """Give hydrogen k of group g the position of hydrogen ``(k + shifts[:, g]) mod 3``; shifts (n, G)."""
        source = torch.arange(positions.shape[1]).expand(positions.shape[0], -1).clone()
        for g, group in enumerate(self._groups):
            source[:, group] = group[(torch.arange(3) + shifts[:, g, None]) % 3]
        return torch.gather(positions, 1, source[..., None].expand(-1, -1, positions.shape[2]))

    def random(self, positions: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Each group of each frame permuted by a uniformly drawn cyclic permutation."""
        if not self.n_groups:
            return positions
        shifts = torch.randint(0, 3, (positions.shape[0], self.n_groups), generator=generator)
        return self.permute(positions, shifts)
