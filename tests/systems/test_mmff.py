"""MMFF94 as OpenMM forces, term by term and as a gradient, against RDKit's own implementation."""

import math
from functools import cache
from typing import Any

import numpy as np
import openmm
import pytest
from rdkit import Chem
from rdkit.Chem import AllChem, rdForceFieldHelpers

from molgen.errors import InputError
from molgen.systems import mmff

MOLECULES = {
    "ibuprofen": "CC(C)Cc1ccc(cc1)[C@@H](C)C(=O)O",
    "aspirin": "CC(=O)Oc1ccccc1C(=O)O",
    "caffeine": "Cn1cnc2c1c(=O)n(C)c(=O)n2C",
    "nitrile": "CC(C)CC#N",
    "alkyne": "CC#CCO",
    "phenylacetylene": "C#Cc1ccccc1",
    "allene": "CC=C=CC",
    "sulfonamide": "Cc1ccc(cc1)S(=O)(=O)NC",
    "nitro": "O=[N+]([O-])c1ccccc1C",
    "halogens": "F[C@](Cl)(Br)CI",
    "zwitterion": "C[C@H]([NH3+])C(=O)[O-]",
    "carboxylate": "CC(C)C(=O)[O-]",
    "macrocycle": "O=C1CCCCCCCCCCCCCO1",
    "phosphate": "CCOP(=O)([O-])OC",
    "thiophene": "Cc1cccs1",
    "imidazole": "Cc1c[nH]cn1",
    "imidazolium": "Cc1c[nH]c[nH+]1",
    "guanidinium": "CCNC(=[NH2+])N",
    "cyclohexane": "C1CCCCC1",
    "cyclopropanes": "CC1CC1C2CC2",
    "cyclobutane": "CC1CCC1",
    "bicycle": "C1CC2CCC1C2",
    "azide": "CCN=[N+]=[N-]",
    "isonitrile": "CC[N+]#[C-]",
    "disulfide": "CSSC",
    "silane": "C[Si](C)(C)C",
    "oxime": "C/C=N/O",
}
SWITCHES = ("Bond", "Angle", "StretchBend", "Oop", "Torsion", "VdW", "Ele")
TERMS = {
    "bond": (("Bond",), (mmff.BOND,)),
    "angle": (("Angle",), (mmff.ANGLE, mmff.LINEAR_ANGLE)),
    "stretch-bend": (("StretchBend",), (mmff.STRETCH_BEND,)),
    "out-of-plane": (("Oop",), (mmff.OUT_OF_PLANE,)),
    "torsion": (("Torsion",), (mmff.TORSION,)),
    "non-bonded": (("VdW", "Ele"), (mmff.NONBONDED,)),
    "all": (SWITCHES, mmff.TERMS),
}
KCAL = 4.184


@cache
def minimised(smiles: str) -> Any:
    molecule = Chem.AddHs(Chem.MolFromSmiles(smiles))
    assert AllChem.EmbedMolecule(molecule, randomSeed=7) == 0
    AllChem.MMFFOptimizeMolecule(molecule, maxIters=1000)
    return molecule


def moved(molecule: Any, shift_angstrom: float) -> Any:
    copy = Chem.Mol(molecule)
    positions = copy.GetConformer().GetPositions()
    positions += np.random.default_rng(1).normal(0.0, shift_angstrom, positions.shape)
    for index, position in enumerate(positions):
        copy.GetConformer().SetAtomPosition(index, position.tolist())
    return copy


def rdkit_terms(molecule: Any, switches: tuple[str, ...]) -> tuple[float, np.ndarray]:
    """Energy in kcal/mol and forces in kcal/mol/Å of RDKit's implementation."""
    properties = rdForceFieldHelpers.MMFFGetMoleculeProperties(molecule)
    for switch in SWITCHES:
        getattr(properties, f"SetMMFF{switch}Term")(switch in switches)
    field = rdForceFieldHelpers.MMFFGetMoleculeForceField(molecule, properties)
    return field.CalcEnergy(), -np.array(field.CalcGrad()).reshape(-1, 3)


def openmm_context(system: Any) -> tuple[Any, dict[str, int]]:
    groups = {}
    for group, force in enumerate(system.getForces()):
        force.setForceGroup(group)
        groups[force.getName()] = group
    platform = openmm.Platform.getPlatformByName("Reference")
    return openmm.Context(system, openmm.VerletIntegrator(1e-3), platform), groups


def openmm_terms(context: Any, groups: dict[str, int], names: tuple[str, ...]) -> tuple[float, np.ndarray]:
    chosen = {groups[name] for name in names if name in groups}
    if not chosen:  # OpenMM takes no group for every group
        return 0.0, np.zeros((context.getSystem().getNumParticles(), 3))
    state = context.getState(energy=True, forces=True, groups=chosen)
    forces = np.array(state.getForces(asNumpy=True)._value)
    return state.getPotentialEnergy()._value / KCAL, forces / KCAL / 10.0


@pytest.mark.parametrize("name", MOLECULES)
def test_every_term_and_its_forces_are_those_of_rdkit(name: str) -> None:
    system = mmff.mmff_system(minimised(MOLECULES[name]))
    assert {force.getName() for force in system.getForces()} <= set(mmff.TERMS)
    context, groups = openmm_context(system)
    for shift_angstrom in (0.0, 0.08):
        molecule = moved(minimised(MOLECULES[name]), shift_angstrom)
        context.setPositions(molecule.GetConformer().GetPositions() / 10.0)
        for switches, names in TERMS.values():
            reference, forces = rdkit_terms(molecule, switches)
            energy, found = openmm_terms(context, groups, names)
            assert energy == pytest.approx(reference, rel=1e-7, abs=1e-8)
            np.testing.assert_allclose(found, forces, rtol=0.0, atol=1e-6)


def test_the_terms_compared_are_not_empty() -> None:
    seen: set[str] = set()
    for smiles in MOLECULES.values():
        system = mmff.mmff_system(minimised(smiles))  # its forces do not keep it alive
        seen |= {force.getName() for force in system.getForces()}
    assert seen == set(mmff.TERMS)


@pytest.mark.parametrize("smiles", ["c1ccccc1", "CC(=O)NC", "C#CC#C", "CC=C=CC", "CN=[N+]=[N-]"])
def test_forces_are_the_slopes_of_the_energy_at_planar_and_linear_points(smiles: str) -> None:
    molecule = minimised(smiles)
    positions = np.round(molecule.GetConformer().GetPositions() / 10.0, 6)
    if smiles == "C#CC#C":  # exactly on a line
        axis = np.linalg.svd(positions - positions.mean(0))[2][0]
        positions = np.outer((positions - positions.mean(0)) @ axis, [1.0, 0.0, 0.0])
    elif smiles == "c1ccccc1":  # exactly in a plane
        axes = np.linalg.svd(positions - positions.mean(0))[2]
        positions = (positions - positions.mean(0)) @ axes.T * [1.0, 1.0, 0.0]
    context, _ = openmm_context(mmff.mmff_system(molecule))
    context.setPositions(positions)
    forces = np.array(context.getState(forces=True).getForces(asNumpy=True)._value)
    assert np.isfinite(forces).all()
    step = 1e-5
    for atom, axis_index in np.ndindex(*positions.shape):
        energies = []
        for sign in (1.0, -1.0):
            shifted = positions.copy()
            shifted[atom, axis_index] += sign * step
            context.setPositions(shifted)
            energies.append(context.getState(energy=True).getPotentialEnergy()._value)
        slope = -(energies[0] - energies[1]) / (2.0 * step)
        assert forces[atom, axis_index] == pytest.approx(slope, abs=2e-2)


def test_torsions_are_periodic_with_the_barriers_of_mmff() -> None:
    system = mmff.mmff_system(minimised("CCCC"))
    (force,) = (force for force in system.getForces() if isinstance(force, openmm.PeriodicTorsionForce))
    terms = [force.getTorsionParameters(index) for index in range(force.getNumTorsions())]
    carbons = {int(order): (phase._value, k._value) for *atoms, order, phase, k in terms if set(atoms) == {0, 1, 2, 3}}
    # V1, V2, V3 of C-C-C-C in MMFF94 are 0.103, 0.681 and 0.332 kcal/mol.
    assert carbons[1] == pytest.approx((0.0, 0.5 * KCAL * 0.103))
    assert carbons[2] == pytest.approx((math.pi, 0.5 * KCAL * 0.681))
    assert carbons[3] == pytest.approx((0.0, 0.5 * KCAL * 0.332))


def test_masses_are_those_of_the_isotopes() -> None:
    system = mmff.mmff_system(minimised("[2H]CO"))
    assert system.getParticleMass(0)._value == pytest.approx(2.014, abs=1e-3)
    assert system.getParticleMass(1)._value == pytest.approx(12.011, abs=1e-3)


def test_an_atom_without_a_type_is_refused() -> None:
    with pytest.raises(InputError, match="MMFF94 has no parameters"):
        mmff.mmff_system(Chem.AddHs(Chem.MolFromSmiles("CB(O)O")))
