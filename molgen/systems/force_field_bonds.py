"""Which pairs of atoms a serialised OpenMM System holds together, by bond terms or by constraints."""

from dataclasses import dataclass
from typing import Any

Pair = tuple[int, int]


@dataclass(frozen=True)
class ForceFieldBonds:
    """Pairs (i < j) with a bond term and pairs at a fixed distance."""

    bonded: frozenset[Pair]
    constrained: frozenset[Pair]


def force_field_bonds(system_xml: str) -> ForceFieldBonds:
    """The bond terms (of any two-atom bond force, Urey-Bradley terms included) and constraints of a System."""
    import openmm

    system = openmm.XmlSerializer.deserialize(system_xml)
    bonded: set[Pair] = set()
    for force in system.getForces():
        if isinstance(force, openmm.HarmonicBondForce | openmm.CustomBondForce):
            bonded |= {_pair(*force.getBondParameters(k)[:2]) for k in range(force.getNumBonds())}
    constraints = [system.getConstraintParameters(k) for k in range(system.getNumConstraints())]
    return ForceFieldBonds(frozenset(bonded), frozenset(_pair(c[0], c[1]) for c in constraints))


def _pair(i: Any, j: Any) -> Pair:
    return min(int(i), int(j)), max(int(i), int(j))
