import math

import numpy as np
import pytest
import torch

from molgen.coordinates.geometry import torsion_angles
from molgen.coordinates.internal import dihedral, wrap
from tests.molecules import alanine, frames_of, internal_of, random_y


@pytest.mark.parametrize("period", [2 * math.pi, 2 * math.pi / 3])
def test_wrap_lands_in_the_half_open_interval_and_shifts_by_whole_periods(period: float) -> None:
    angles = torch.linspace(-20, 20, 2001, dtype=torch.float64)
    wrapped = wrap(angles, period)
    assert (wrapped >= -period / 2).all()
    assert (wrapped < period / 2).all()
    turns = (angles - wrapped) / period
    assert (turns - turns.round()).abs().max() < 1e-12
    assert float(wrap(torch.tensor(period / 2, dtype=torch.float64), period)) == pytest.approx(-period / 2)


def test_dihedral_follows_the_iupac_sign() -> None:
    """Looking along b-c, a clockwise turn from a to d is positive."""
    a, b, c = torch.tensor([[0.0, 1.0, 0.0], [0.0, 0.0, 0.0], [1.0, 0.0, 0.0]], dtype=torch.float64)
    for degrees in (-170.0, -60.0, 0.0, 60.0, 90.0, 170.0):
        tau = math.radians(degrees)
        d = c + torch.tensor([0.0, math.cos(tau), math.sin(tau)], dtype=torch.float64)
        assert float(dihedral(a, b, c, d)) == pytest.approx(tau, abs=1e-12)


def test_phi_and_psi_of_alanine_dipeptide_are_columns() -> None:
    """Up to the constant offset of the atom that the tree takes, turning phi and psi moves the columns alike."""
    internal = internal_of("alanine-dipeptide")
    frames = frames_of("alanine-dipeptide", 50)
    y = internal.from_positions(frames)
    for atoms in ((4, 6, 8, 14), (6, 8, 14, 16)):
        true = torch.as_tensor(torsion_angles(frames.numpy(), atoms))
        rows = {p.atom: p for p in internal.zmatrix.placements}
        axis = {atoms[1], atoms[2]}
        leader = next(i for i in internal.zmatrix.free if {rows[i].bond, rows[i].angle} == axis)
        difference = y[:, internal.torsion_column(leader)] - true
        assert torch.hypot(difference.cos().mean(), difference.sin().mean()) > 0.95


def test_bonds_and_angles_agree_with_plain_geometry() -> None:
    internal = internal_of("alanine-dipeptide")
    frame = alanine().positions
    y = internal.from_positions(torch.as_tensor(frame)[None])[0].numpy()
    i, j, k = internal.zmatrix.root
    rows = internal.zmatrix.placements
    pairs = [(i, j), (j, k), *((p.atom, p.bond) for p in rows)]
    triples = [(i, j, k), *((p.atom, p.bond, p.angle) for p in rows)]
    bonds = [np.linalg.norm(frame[a] - frame[b]) for a, b in pairs]
    np.testing.assert_allclose(y[: internal.n_bonds], bonds, rtol=1e-12)
    cosines = []
    for a, b, c in triples:
        u, v = frame[a] - frame[b], frame[c] - frame[b]
        cosines.append(u @ v / np.linalg.norm(u) / np.linalg.norm(v))
    angles = y[internal.n_bonds : internal.n_bonds + internal.n_angles]
    np.testing.assert_allclose(np.cos(angles), cosines, atol=1e-12)


def test_coordinates_outside_the_range_of_the_map_have_no_volume() -> None:
    internal = internal_of("branch")
    y = random_y("branch", 4, 1)
    y[1, 0] = -0.1
    y[2, internal.n_bonds] = -0.3
    y[3, internal.n_bonds + 1] = 3.3
    assert torch.isfinite(internal.to_positions(y)[1]).tolist() == [True, False, False, False]


def test_the_phase_of_a_methyl_is_the_mean_of_its_three_hydrogens() -> None:
    """The mean phase moves by a third of the displacement of one hydrogen's azimuth, whichever hydrogen it is."""
    internal = internal_of("propane")
    leader, rotor = next(iter(internal.zmatrix.rotors.items()))
    y = random_y("propane", 10, 2)
    frames = internal.to_positions(y)[0]
    placement = next(p for p in internal.zmatrix.placements if p.atom == leader)
    origin = frames[:, placement.angle]
    axis = torch.nn.functional.normalize(frames[:, placement.bond] - origin, dim=-1)
    for atom in rotor.branches:
        turned = frames.clone()
        turned[:, atom] = origin + _rotated(frames[:, atom] - origin, axis, 0.03)
        change = internal.from_positions(turned) - internal.from_positions(frames)
        assert (change[:, internal.torsion_column(leader)].abs() - 0.01).abs().max() < 1e-9


def _rotated(vectors: torch.Tensor, axis: torch.Tensor, angle: float) -> torch.Tensor:
    along = (vectors * axis).sum(-1, keepdim=True) * axis
    turned = torch.linalg.cross(axis, vectors, dim=-1)
    return vectors * math.cos(angle) + turned * math.sin(angle) + along * (1 - math.cos(angle))


def test_the_displacements_of_an_atom_in_line_are_stereographic() -> None:
    """2 tan(alpha/2) off the line, whichever way; zero on it, where an azimuth would have no meaning."""
    internal = internal_of("nitrile")
    (atom,) = internal.zmatrix.linear
    row = next(p for p in internal.zmatrix.placements if p.atom == atom)
    angle_column, torsion_column = internal.displacement_columns
    y = internal.from_positions(frames_of("nitrile", 5))
    for u, v in ((0.0, 0.0), (0.2, 0.0), (-0.1, 0.3)):
        y[:, angle_column], y[:, torsion_column] = u, v
        x = internal.to_positions(y)[0]
        p, q = x[:, atom] - x[:, row.bond], x[:, row.bond] - x[:, row.angle]
        alpha = torch.atan2(torch.linalg.vector_norm(torch.linalg.cross(p, q), dim=-1), (p * q).sum(-1))
        assert (2.0 * torch.tan(alpha / 2.0) - math.hypot(u, v)).abs().max() < 1e-9


def test_a_bond_is_found_by_its_atoms() -> None:
    internal = internal_of("propane")
    y = internal.from_positions(frames_of("propane", 1))[0]
    frame = internal.to_positions(y[None])[0][0]
    for i, j in ((0, 1), (1, 2), (3, 0)):
        column = internal.bond_column(i, j)
        assert column is not None
        assert float(y[column]) == pytest.approx(float(torch.linalg.vector_norm(frame[i] - frame[j])))
    assert internal.bond_column(0, 2) is None
