"""MMFF94 as OpenMM forces, with the parameters RDKit assigns.

Functional forms: T. A. Halgren, J. Comput. Chem. 17, 490 (1996), in vacuum: no cutoff, dielectric constant 1. One force
for each kind of term, named as in ``TERMS``. The published units (kcal/mol, millidyne, ångström, degree) are
converted here once; the forces are in nm, rad and kJ/mol.
"""

import math
from collections.abc import Iterator
from itertools import combinations
from typing import Any

from molgen.errors import InputError

BOND, ANGLE, LINEAR_ANGLE = "mmff-bond", "mmff-angle", "mmff-linear-angle"
STRETCH_BEND, OUT_OF_PLANE = "mmff-stretch-bend", "mmff-out-of-plane"
TORSION, NONBONDED = "mmff-torsion", "mmff-nonbonded"
TERMS = (BOND, ANGLE, LINEAR_ANGLE, STRETCH_BEND, OUT_OF_PLANE, TORSION, NONBONDED)
"""Names of the forces; one without terms in a molecule is left out."""

_KJ = 4.184  # kJ in a kcal
_MDYN_A = 143.9325 * _KJ  # one mdyn·Å in kJ/mol
_COULOMB = 332.0716 * _KJ * 0.1  # kJ/mol nm / e²
_CUBIC_ANGLE = -0.006981317 * 180.0 / math.pi  # per rad
_ONE_FOUR_CHARGES = 0.75
_LINEAR_TYPES = frozenset({4, 53, 61})  # MMFF's linear centres: C of -C#, =C=; central N of azides; N of isonitriles
_TORSION_BOND = "[!$(*#*)&!D1]~[!$(*#*)&!D1]"  # nothing turns about a bond that continues a triple bond

_BOND_ENERGY = "k*d^2*(1+c*d+7/12*c^2*d^2); d=r-r0; c=-20"
_ANGLE_ENERGY = f"k*d^2*(1+({_CUBIC_ANGLE!r})*d); d=theta-theta0"
# 1 + cos(theta) by distances alone: the derivative of theta itself has no value at 180 degrees.
_LINEAR_ENERGY = "k*(1+(a^2+b^2-c^2)/(2*a*b)); a=distance(p1,p2); b=distance(p3,p2); c=distance(p1,p3)"
# Written in coordinates, the next two take half and a fifth of the time they take in terms of angle() and dihedral().
# The factor under acos and asin keeps rounding from leaving [-1, 1], and both derivatives finite there.
_SHRUNK = "0.999999999999"
_VECTORS = "ax=x1-x2; ay=y1-y2; az=z1-z2; bx=x3-x2; by=y3-y2; bz=z3-z2"
_STRETCH_BEND_ENERGY = (
    f"(k12*(a-r12)+k32*(b-r32))*(acos({_SHRUNK}*(ax*bx+ay*by+az*bz)/(a*b))-theta0);"
    f"a=sqrt(ax*ax+ay*ay+az*az); b=sqrt(bx*bx+by*by+bz*bz); {_VECTORS}"
)
# Wilson angles of the three bonds a, b, c at the centre p2, each with the plane of the other two: their sines are the
# triple product v over the lengths. The tiny constant is for two bonds in one line, where there is no plane.
_OUT_OF_PLANE_ENERGY = (
    f"k*(asin({_SHRUNK}*v/sqrt(ab*cc+tiny))^2+asin({_SHRUNK}*v/sqrt(bc*aa+tiny))^2"
    f"+asin({_SHRUNK}*v/sqrt(ca*bb+tiny))^2); tiny=1e-30;"
    "v=ax*(by*cz-bz*cy)+ay*(bz*cx-bx*cz)+az*(bx*cy-by*cx);"
    "ab=(ay*bz-az*by)^2+(az*bx-ax*bz)^2+(ax*by-ay*bx)^2;"
    "bc=(by*cz-bz*cy)^2+(bz*cx-bx*cz)^2+(bx*cy-by*cx)^2;"
    "ca=(cy*az-cz*ay)^2+(cz*ax-cx*az)^2+(cx*ay-cy*ax)^2;"
    "aa=ax*ax+ay*ay+az*az; bb=bx*bx+by*by+bz*bz; cc=cx*cx+cy*cy+cz*cz;"
    f"{_VECTORS}; cx=x4-x2; cy=y4-y2; cz=z4-z2"
)
_NONBONDED_ENERGY = "epsilon*(1.07/(x+0.07))^7*(1.12/(x^7+0.12)-2)+qq/(r+0.005); x=r/r_min"


def mmff_properties(molecule: Any) -> Any:
    """RDKit's MMFF94 atom types and parameters of ``molecule`` (hydrogens explicit); None if an atom has no type."""
    from rdkit.Chem import rdForceFieldHelpers

    properties = rdForceFieldHelpers.MMFFGetMoleculeProperties(molecule, mmffVariant="MMFF94")
    if properties is not None:
        properties.SetMMFFDielectricModel(1)
        properties.SetMMFFDielectricConstant(1.0)
    return properties


def mmff_system(molecule: Any) -> Any:
    """The ``openmm.System`` of an RDKit molecule with explicit hydrogens: MMFF94 in vacuum.

    ``InputError`` if MMFF94 has no type for an atom, or no parameters for a bond or an angle.
    """
    import openmm

    properties = mmff_properties(molecule)
    if properties is None:
        raise InputError("MMFF94 has no parameters for this molecule.", "Give a System of another force field.")
    system = openmm.System()
    for atom in molecule.GetAtoms():
        system.addParticle(atom.GetMass())
    for make in (_bonds, _angles, _linear_angles, _stretch_bends, _out_of_planes, _torsions, _nonbonded):
        force, count = make(molecule, properties)
        if count:
            system.addForce(force)
    return system


def _bonds(molecule: Any, properties: Any) -> tuple[Any, int]:
    import openmm

    force = _with_parameters(openmm.CustomBondForce(_BOND_ENERGY), BOND, "k", "r0")
    for bond in molecule.GetBonds():
        i, j = bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()
        k, r0 = _bond_parameters(molecule, properties, i, j)
        force.addBond(i, j, [0.5 * _MDYN_A * 100.0 * k, 0.1 * r0])
    return force, force.getNumBonds()


def _angles(molecule: Any, properties: Any) -> tuple[Any, int]:
    import openmm

    force = _with_parameters(openmm.CustomAngleForce(_ANGLE_ENERGY), ANGLE, "k", "theta0")
    for i, j, k in _bent(molecule, properties, linear=False):
        stiffness, theta0 = _angle_parameters(molecule, properties, i, j, k)
        force.addAngle(i, j, k, [0.5 * _MDYN_A * stiffness, math.radians(theta0)])
    return force, force.getNumAngles()


def _linear_angles(molecule: Any, properties: Any) -> tuple[Any, int]:
    import openmm

    force = _with_parameters(openmm.CustomCompoundBondForce(3, _LINEAR_ENERGY), LINEAR_ANGLE, "k")
    for i, j, k in _bent(molecule, properties, linear=True):
        force.addBond([i, j, k], [_MDYN_A * _angle_parameters(molecule, properties, i, j, k)[0]])
    return force, force.getNumBonds()


def _stretch_bends(molecule: Any, properties: Any) -> tuple[Any, int]:
    import openmm

    force = openmm.CustomCompoundBondForce(3, _STRETCH_BEND_ENERGY)
    _with_parameters(force, STRETCH_BEND, "k12", "k32", "r12", "r32", "theta0")
    for i, j, k in _bent(molecule, properties, linear=False):
        found = properties.GetMMFFStretchBendParams(molecule, i, j, k)
        if found is None or (found[1] == 0.0 and found[2] == 0.0):
            continue
        _, k12, k32 = found
        r12 = _bond_parameters(molecule, properties, i, j)[1]
        r32 = _bond_parameters(molecule, properties, k, j)[1]
        theta0 = math.radians(_angle_parameters(molecule, properties, i, j, k)[1])
        scale = _MDYN_A * 10.0
        force.addBond([i, j, k], [scale * k12, scale * k32, 0.1 * r12, 0.1 * r32, theta0])
    return force, force.getNumBonds()


def _out_of_planes(molecule: Any, properties: Any) -> tuple[Any, int]:
    import openmm

    force = _with_parameters(openmm.CustomCompoundBondForce(4, _OUT_OF_PLANE_ENERGY), OUT_OF_PLANE, "k")
    for atom in molecule.GetAtoms():
        if atom.GetDegree() != 3:
            continue
        centre = atom.GetIdx()
        i, k, l = (neighbour.GetIdx() for neighbour in atom.GetNeighbors())  # noqa: E741
        stiffness = properties.GetMMFFOopBendParams(molecule, i, centre, k, l)
        if stiffness:
            force.addBond([i, centre, k, l], [0.5 * _MDYN_A * stiffness])
    return force, force.getNumBonds()


def _torsions(molecule: Any, properties: Any) -> tuple[Any, int]:
    import openmm

    force = openmm.PeriodicTorsionForce()
    force.setName(TORSION)
    for i, j, k, l in _turning(molecule):  # noqa: E741
        found = properties.GetMMFFTorsionParams(molecule, i, j, k, l)
        if found is None:
            continue
        for order, phase, barrier in zip((1, 2, 3), (0.0, math.pi, 0.0), found[1:], strict=True):
            if barrier != 0.0:
                force.addTorsion(i, j, k, l, order, phase, 0.5 * _KJ * barrier)
    return force, force.getNumTorsions()


def _nonbonded(molecule: Any, properties: Any) -> tuple[Any, int]:
    """Buffered 14-7 and buffered Coulomb energies of all pairs three bonds apart or more.

    A pair list, since the parameters of a pair (donor and acceptor, 1-4) do not come from a rule of mixing, and
    since on the few hundred atoms allowed it is the fastest form.
    """
    import openmm
    from rdkit import Chem

    force = _with_parameters(openmm.CustomBondForce(_NONBONDED_ENERGY), NONBONDED, "r_min", "epsilon", "qq")
    apart = Chem.GetDistanceMatrix(molecule)
    charges = [properties.GetMMFFPartialCharge(i) for i in range(molecule.GetNumAtoms())]
    for i, j in combinations(range(molecule.GetNumAtoms()), 2):
        if apart[i, j] < 3:
            continue
        _, _, r_min, epsilon = properties.GetMMFFVdWParams(i, j)
        scale = _ONE_FOUR_CHARGES if apart[i, j] == 3 else 1.0
        force.addBond(i, j, [0.1 * r_min, _KJ * epsilon, scale * _COULOMB * charges[i] * charges[j]])
    return force, force.getNumBonds()


def _with_parameters(force: Any, name: str, *parameters: str) -> Any:
    force.setName(name)
    for parameter in parameters:
        add = getattr(force, f"addPer{'Angle' if hasattr(force, 'addAngle') else 'Bond'}Parameter")
        add(parameter)
    return force


def _bent(molecule: Any, properties: Any, *, linear: bool) -> Iterator[tuple[int, int, int]]:
    """Angles i-j-k at centres that are linear for MMFF, or at those that are not."""
    for centre in molecule.GetAtoms():
        j = centre.GetIdx()
        if (properties.GetMMFFAtomType(j) in _LINEAR_TYPES) == linear:
            for first, last in combinations(centre.GetNeighbors(), 2):
                yield first.GetIdx(), j, last.GetIdx()


def _turning(molecule: Any) -> Iterator[tuple[int, int, int, int]]:
    """Torsions i-j-k-l about bonds between sp2 or sp3 atoms."""
    from rdkit import Chem

    bent = {Chem.HybridizationType.SP2, Chem.HybridizationType.SP3}
    for j, k in molecule.GetSubstructMatches(Chem.MolFromSmarts(_TORSION_BOND), maxMatches=100_000):
        ends = molecule.GetAtomWithIdx(j), molecule.GetAtomWithIdx(k)
        if not all(atom.GetHybridization() in bent for atom in ends):
            continue
        for i in (atom.GetIdx() for atom in ends[0].GetNeighbors()):
            for l in (atom.GetIdx() for atom in ends[1].GetNeighbors()):  # noqa: E741
                if i != k and l != j and i != l:
                    yield i, j, k, l


def _bond_parameters(molecule: Any, properties: Any, i: int, j: int) -> tuple[float, float]:
    """Force constant in mdyn/Å and rest length in Å."""
    found = properties.GetMMFFBondStretchParams(molecule, i, j)
    if found is None:
        raise _missing(molecule, "bond", i, j)
    return float(found[1]), float(found[2])


def _angle_parameters(molecule: Any, properties: Any, i: int, j: int, k: int) -> tuple[float, float]:
    """Force constant in mdyn·Å/rad² and rest angle in degrees."""
    found = properties.GetMMFFAngleBendParams(molecule, i, j, k)
    if found is None:
        raise _missing(molecule, "angle", i, j, k)
    return float(found[1]), float(found[2])


def _missing(molecule: Any, what: str, *atoms: int) -> InputError:
    names = "-".join(f"{molecule.GetAtomWithIdx(index).GetSymbol()}{index}" for index in atoms)
    message = f"MMFF94 has no parameters for the {what} {names} (atoms counted from 0)."
    return InputError(message, "Give a System of another force field, as a PDB with a system.xml.")
