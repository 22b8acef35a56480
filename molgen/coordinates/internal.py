"""Bond lengths, angles and torsions of a molecule, and the volume element that goes with them."""

import math

import numpy as np
import torch

from molgen.coordinates.zmatrix import ZMatrix

TWO_PI = 2.0 * math.pi


def wrap(angle: torch.Tensor, period: float = TWO_PI) -> torch.Tensor:
    """``angle`` brought into [-period/2, period/2)."""
    return torch.remainder(angle + 0.5 * period, period) - 0.5 * period


def _angle(p: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
    """Angle between vectors (..., 3), stable near 0 and pi (atan2 of cross and dot product)."""
    return torch.atan2(torch.linalg.vector_norm(torch.linalg.cross(p, q), dim=-1), (p * q).sum(-1))


def dihedral(a: torch.Tensor, b: torch.Tensor, c: torch.Tensor, d: torch.Tensor) -> torch.Tensor:
    """Signed torsion a-b-c-d in radians for points (..., 3), IUPAC sign (Blondel & Karplus 1996)."""
    bc, ab, cd = c - b, b - a, d - c
    n1, n2 = torch.linalg.cross(ab, bc), torch.linalg.cross(bc, cd)
    y = (torch.linalg.cross(n1, n2) * bc).sum(-1) / torch.linalg.vector_norm(bc, dim=-1)
    return torch.atan2(y, (n1 * n2).sum(-1))


def _frames(b: torch.Tensor, c: torch.Tensor, d: torch.Tensor) -> torch.Tensor:
    """Rows axis (c to b), second and normal of the frame in which an atom is placed from b, c and d; (..., 3, 3)."""
    axis = torch.nn.functional.normalize(b - c, dim=-1, eps=1e-12)
    normal = torch.nn.functional.normalize(torch.linalg.cross(c - d, axis), dim=-1, eps=1e-12)
    return torch.stack([axis, torch.linalg.cross(normal, axis), normal], -2)


class InternalCoordinates:
    r"""The map between Cartesian positions and ``y = (bonds, angles, torsions)``, 3N - 6 numbers a frame.

    Bonds (N - 1) in nm, angles (N - 2) and torsions (N - 3) in radians, all in the order of the tree. A leader's
    torsion is tau itself, or the mean phase of two or three equivalent branches; a follower's is its azimuth minus
    its leader's. An atom in line with the two before it has the stereographic displacements (u, v) in place of angle
    and torsion, with alpha ↔ pi minus the angle: (u, v) = 2 tan(alpha/2) (cos tau, sin tau).

    The volume element is that of Cartesian space modulo rigid motion (translation, rotation with the Haar
    measure of volume 8 pi^2 left out):

    .. math:: |dx / dy| = \prod_{i \ge 2} b_i^2 \prod_{i \ge 3} \sin\theta_i

    with b_i ↔ bonds and theta_i ↔ angles (Go & Scheraga, Macromolecules 9 (1976) 535, doi:10.1021/ma60052a001), and
    (1 + (u^2 + v^2)/4)^{-2} in place of sin(theta) for an atom in line.
    It holds for the full map; the map with the first three atoms fixed in a frame lacks b_2^2 b_3 sin(theta_3).
    """

    def __init__(self, zmatrix: ZMatrix) -> None:
        self.zmatrix = zmatrix
        self.n_atoms = zmatrix.n_atoms
        self.dimension = 3 * self.n_atoms - 6
        self.n_bonds, self.n_angles = self.n_atoms - 1, self.n_atoms - 2
        rows = zmatrix.placements
        self.atoms = np.array([p.atom for p in rows], dtype=np.int64)
        refs = [[p.atom, p.bond, p.angle, p.torsion] for p in rows]
        self._refs = torch.tensor(refs, dtype=torch.long).reshape(-1, 4)
        index = {p.atom: k for k, p in enumerate(rows)}
        self._follower = torch.tensor([p.leader != p.atom for p in rows], dtype=torch.bool)
        self._leader = torch.tensor([index.get(p.leader, -1) for p in rows], dtype=torch.long)
        self._groups = [tuple(index[a] for a in rotor.branches) for rotor in zmatrix.rotors.values()]
        self._linear = torch.tensor([index[a] for a in sorted(zmatrix.linear)], dtype=torch.long)
        self._bent = torch.tensor([k for k, p in enumerate(rows) if p.atom not in zmatrix.linear], dtype=torch.long)
        self._build_levels()

    def _build_levels(self) -> None:
        """Rows of each depth and where their references stand among the atoms placed before."""
        order = list(self.zmatrix.root)
        self._levels: list[tuple[torch.Tensor, torch.Tensor]] = []
        depths = np.array([p.depth for p in self.zmatrix.placements])
        for depth in sorted(set(depths.tolist())):
            rows = np.flatnonzero(depths == depth)
            position = {atom: k for k, atom in enumerate(order)}
            refs = [[position[int(r)] for r in self._refs[row, 1:]] for row in rows]
            self._levels.append((torch.as_tensor(rows), torch.tensor(refs)))
            order += [int(self.atoms[row]) for row in rows]
        self._to_atom_order = torch.as_tensor(np.argsort(np.array(order)))

    def bond_column(self, i: int, j: int) -> int | None:
        """Column of ``y`` that holds the length of the bond ``i``-``j``; None for a bond outside the tree."""
        first, second, third = self.zmatrix.root
        pairs = [{first, second}, {second, third}, *({p.atom, p.bond} for p in self.zmatrix.placements)]
        return pairs.index({i, j}) if {i, j} in pairs else None

    def torsion_column(self, leader: int) -> int:
        """Column of ``y`` that holds the torsion (or phase) of ``leader``."""
        return self.n_bonds + self.n_angles + int(np.flatnonzero(self.atoms == leader)[0])

    def column_atoms(self, column: int) -> tuple[int, ...]:
        """The atoms whose bond (2), angle (3) or torsion (4) stands in ``column``; a follower's fourth is its leader.

        Of an atom in line they are those of the angle and the torsion that it would have.
        """
        rows, (first, second, third) = self.zmatrix.placements, self.zmatrix.root
        if column < self.n_bonds:
            return [(first, second), (second, third), *((p.atom, p.bond) for p in rows)][column]
        if column < self.n_bonds + self.n_angles:
            angles = [(first, second, third), *((p.atom, p.bond, p.angle) for p in rows)]
            return angles[column - self.n_bonds]
        p = rows[column - self.n_bonds - self.n_angles]
        return (p.atom, p.bond, p.angle, p.torsion if p.leader == p.atom else p.leader)

    @property
    def displacement_columns(self) -> list[int]:
        """Columns of ``y`` that hold u and v of atoms in line."""
        rows = self._linear.tolist()
        return [self.n_bonds + 1 + k for k in rows] + [self.n_bonds + self.n_angles + k for k in rows]

    def from_positions(self, positions: torch.Tensor) -> torch.Tensor:
        """Internal coordinates (n, 3N-6) of ``positions`` (n, N, 3); torsions in [-pi, pi)."""
        r0, r1, r2 = (positions[:, i] for i in self.zmatrix.root)
        a, b, c, d = (positions[:, self._refs[:, k]] for k in range(4))
        bonds = torch.linalg.vector_norm(torch.cat([(r1 - r0)[:, None], (r2 - r1)[:, None], a - b], 1), dim=-1)
        placed_angles, azimuth = _angle(a - b, c - b), dihedral(a, b, c, d)
        if len(self._linear):
            u, v = self._displacements(a, b, c, d)
            placed_angles = placed_angles.index_copy(1, self._linear, u)
            azimuth = azimuth.index_copy(1, self._linear, v)
        angles = torch.cat([_angle(r0 - r1, r2 - r1)[:, None], placed_angles], 1)
        leader_azimuth = torch.where(self._leader >= 0, azimuth[:, self._leader], torch.zeros_like(azimuth))
        torsions = torch.where(self._follower, wrap(azimuth - leader_azimuth), azimuth)
        if self._groups:
            torsions = torsions.clone()
        for first, *others in self._groups:
            torsions[:, first] = wrap(torsions[:, first] + self._phase_shift(torsions, others))
        return torch.cat([bonds, angles, torsions], 1)

    def _displacements(
        self, a: torch.Tensor, b: torch.Tensor, c: torch.Tensor, d: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        a, b, c, d = (x[:, self._linear] for x in (a, b, c, d))
        direction = torch.nn.functional.normalize(a - b, dim=-1)
        x, y, z = (_frames(b, c, d) * direction[..., None, :]).sum(-1).unbind(-1)
        return 2.0 * y / (1.0 + x), 2.0 * z / (1.0 + x)

    def _phase_shift(self, torsions: torch.Tensor, others: list[int]) -> torch.Tensor:
        """Mean phase of two or three equivalent branches minus the first one's azimuth.

        Two: half the deviation of the second from 180 degrees. Three: ``(e2 + e3) / 3`` with e the deviation of a
        follower's azimuth from +-120 degrees; the sign is the order in which the two follow, so that the phase of a
        relabelled group differs by exactly 120 degrees.
        """
        if len(others) == 1:
            return wrap(torsions[:, others[0]] - math.pi) / 2.0
        second, third = others
        sign = torch.sign(torch.sin(torsions[:, second] - torsions[:, third]))
        # delta_2 - delta_3 is near -120 (order 1, 2, 3 counter-clockwise: +120, -120 -> 240 = -120) or near +120.
        step = -sign * (TWO_PI / 3.0)
        return (wrap(torsions[:, second] - step) + wrap(torsions[:, third] + step)) / 3.0

    def to_positions(self, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Positions (n, N, 3), first atom at the origin, and log |dx/dy| (n,), for internal coordinates ``y``.

        ``nan`` in log |dx/dy| where a bond is not positive or an angle not inside (0, pi).
        """
        bonds, angles, torsions = torch.tensor_split(y, (self.n_bonds, self.n_bonds + self.n_angles), 1)
        log_sine = angles[:, :1].sin().log().sum(1) + angles[:, 1:][:, self._bent].sin().log().sum(1)
        log_volume = 2.0 * bonds.log().sum(1) + log_sine
        if len(self._linear):
            u, v = angles[:, 1:][:, self._linear], torsions[:, self._linear]
            log_volume = log_volume - 2.0 * torch.log1p(0.25 * (u.square() + v.square())).sum(1)
        return self._place(bonds, angles, self._azimuths(torsions)), log_volume

    def _azimuths(self, torsions: torch.Tensor) -> torch.Tensor:
        leaders = torsions
        if self._groups:
            leaders = torsions.clone()
            for first, *others in self._groups:
                leaders[:, first] = torsions[:, first] - self._phase_shift(torsions, others)
        reference = torch.where(self._leader >= 0, leaders[:, self._leader], torch.zeros_like(leaders))
        return torch.where(self._follower, leaders + reference, leaders)

    def _directions(self, angles: torch.Tensor, azimuths: torch.Tensor) -> torch.Tensor:
        """Unit vectors (n, rows, 3) of the placed atoms' bonds in their frames."""
        sine = angles.sin()
        local = torch.stack([-angles.cos(), sine * azimuths.cos(), sine * azimuths.sin()], -1)
        if len(self._linear):
            u, v = angles[:, self._linear], azimuths[:, self._linear]
            quarter = 0.25 * (u.square() + v.square())
            line = torch.stack([1.0 - quarter, u, v], -1) / (1.0 + quarter)[..., None]
            local = local.index_copy(1, self._linear, line)
        return local

    def _place(self, bonds: torch.Tensor, angles: torch.Tensor, azimuths: torch.Tensor) -> torch.Tensor:
        """Natural extension reference frame, one tree depth at a time (Parsons et al., J. Comput. Chem. 2005)."""
        zero = torch.zeros_like(bonds[:, 0])
        third_angle = math.pi - angles[:, 0]
        third = [bonds[:, 0] + bonds[:, 1] * third_angle.cos(), bonds[:, 1] * third_angle.sin(), zero]
        x = torch.stack(
            [torch.stack([zero] * 3, -1), torch.stack([bonds[:, 0], zero, zero], -1), torch.stack(third, -1)], 1
        )
        local = bonds[:, 2:, None] * self._directions(angles[:, 1:], azimuths)
        for rows, refs in self._levels:
            b, c, d = x[:, refs[:, 0]], x[:, refs[:, 1]], x[:, refs[:, 2]]
            x = torch.cat([x, b + (local[:, rows, :, None] * _frames(b, c, d)).sum(-2)], 1)
        return x[:, self._to_atom_order]
