"""A molecule from a SMILES: parsed, refused where it is not one defined molecule, embedded, with MMFF94."""

from typing import Any

import numpy as np

from molgen.arrays import FloatArray
from molgen.errors import InputError
from molgen.seeds import child_seed
from molgen.systems.built import BuiltMolecule
from molgen.systems.definition import ForceFieldSection
from molgen.systems.isomers import (
    atom_names,
    defined_stereo,
    has_stereo_of,
    open_isomers,
    stereo_of,
    trans_in_small_ring,
)
from molgen.systems.mmff import mmff_properties, mmff_system
from molgen.systems.topology import Atom, MolecularTopology

MAX_ATOMS = 300
RESIDUE = "LIG"
_MIN_ATOMS = 4
_CONFORMERS, _FEWEST, _CONFORMER_ATOMS = 20, 5, 1200  # fewer of a large molecule: they take seconds each
_SAME_ENERGY = 1e-3  # kcal/mol: of mirror images of a conformer the first is taken, whatever the rounding
_ELEMENTS = ("H", "C", "N", "O", "F", "Si", "P", "S", "Cl", "Br", "I")
_ANOTHER_FIELD = "Give a PDB with a system.xml of a force field that has it."


def molecule_from_smiles(smiles: str, *, name: str, seed: int = 1) -> BuiltMolecule:
    """The molecule of ``smiles`` with every hydrogen, a minimised conformer and MMFF94 in vacuum.

    The conformer is the lowest in energy of several that ETKDG embeds; the same seed gives the same one.
    ``InputError`` for a SMILES that does not parse, is a mixture or salt, leaves stereo undefined, has radicals,
    elements or atoms MMFF94 knows nothing of, fewer than 4 or more than 300 atoms, or no structure in space.
    """
    from rdkit import Chem, rdBase

    with rdBase.BlockLogs():
        molecule = _parsed(smiles)
        _check_atoms(molecule, smiles)
        hydrogenated = Chem.AddHs(molecule)
        _check_size(hydrogenated.GetNumAtoms(), smiles)
        if mmff_properties(hydrogenated) is None:
            message = f"MMFF94 has no parameters for an atom of {smiles}, in the bonding and charge it is given."
            raise InputError(message, f"Check charges and valences, or: {_ANOTHER_FIELD}")
        _check_stereo(molecule, smiles)
        system = mmff_system(hydrogenated)
        conformer, embedded = _conformer(hydrogenated, molecule, smiles, seed)
        return BuiltMolecule(
            name,
            _topology(hydrogenated),
            conformer,
            ForceFieldSection(files=(), system_xml="system.xml"),
            _serialised(system),
            _choices(hydrogenated, molecule, seed, embedded),
        )


def _parsed(smiles: str) -> Any:
    from rdkit import Chem

    if not smiles.strip():
        raise InputError("The SMILES is empty.", 'Give one in quotes, for example "CC(=O)Oc1ccccc1C(=O)O".')
    molecule = Chem.MolFromSmiles(smiles)
    if molecule is None:
        raw = Chem.MolFromSmiles(smiles, sanitize=False)
        problems = [] if raw is None else Chem.DetectChemistryProblems(raw)
        reason = problems[0].Message() if problems else "its brackets, rings or symbols do not fit together"
        raise InputError(
            f"{smiles!r} is not a valid SMILES: {'; '.join(reason.rstrip('. ').split('.  '))}.",
            "Correct it; quote it, since a shell reads brackets and # as its own.",
        )
    for atom in molecule.GetAtoms():
        atom.SetAtomMapNum(0)
    return molecule


def _check_atoms(molecule: Any, smiles: str) -> None:
    from rdkit import Chem

    parts = Chem.GetMolFrags(molecule, asMols=True)
    if len(parts) > 1:
        largest = Chem.MolToSmiles(max(parts, key=lambda part: part.GetNumAtoms()))
        message = f"{smiles} is {len(parts)} molecules (a mixture or a salt), but one is simulated."
        raise InputError(message, f"Give one of them without a dot, for example {largest}.")
    names = atom_names(molecule)
    for atom, label in zip(molecule.GetAtoms(), names, strict=True):
        if atom.GetSymbol() not in _ELEMENTS:
            what = "a placeholder" if atom.GetAtomicNum() == 0 else f"the element {atom.GetSymbol()}"
            known = ", ".join(_ELEMENTS)
            message = f"{smiles} holds {what} ({label}), which MMFF94 has no parameters for."
            raise InputError(message, f"MMFF94 covers {known}. {_ANOTHER_FIELD}")
    radicals = [label for atom, label in zip(molecule.GetAtoms(), names, strict=True) if atom.GetNumRadicalElectrons()]
    if radicals:
        message = f"{smiles} is a radical: {', '.join(radicals)} lacks a bond or a hydrogen."
        hint = "An atom in square brackets has only the hydrogens written there: add them, or leave the brackets out."
        raise InputError(message, hint)


def _check_size(n_atoms: int, smiles: str) -> None:
    if n_atoms < _MIN_ATOMS:
        message = f"{smiles} has {n_atoms} atoms with its hydrogens, too few for a torsion."
        raise InputError(message, f"Give a molecule of {_MIN_ATOMS} atoms or more.")
    if n_atoms > MAX_ATOMS:
        message = f"{smiles} has {n_atoms} atoms with its hydrogens, more than the {MAX_ATOMS} that a SMILES may give."
        raise InputError(message, "Give a smaller molecule, or a PDB with its force field.")


def _check_stereo(molecule: Any, smiles: str) -> None:
    from rdkit import Chem

    if any(group.GetGroupType() != Chem.StereoGroupType.STEREO_ABSOLUTE for group in molecule.GetStereoGroups()):
        message = f"{smiles} marks a mixture of stereoisomers, but one is simulated."
        raise InputError(message, "Remove the marks in | | and give the isomer you mean.")
    if trans_in_small_ring(smiles):
        message = f"{smiles} asks for a trans double bond in a ring of less than eight atoms."
        raise InputError(message, "Remove the marks / and \\ of the bonds in the ring: it is cis.")
    undefined, isomers = open_isomers(molecule)
    if undefined:
        message = f"{smiles} leaves the stereochemistry of {', '.join(undefined)} undefined."
        raise InputError(message, f"Give one isomer, for example {' or '.join(isomers)}.")


def _conformer(hydrogenated: Any, molecule: Any, smiles: str, seed: int) -> tuple[FloatArray, int]:
    """Positions (N, 3) in nm of the lowest minimum with the right stereo, and of how many; kept in ``hydrogenated``."""
    from rdkit import Chem
    from rdkit.Chem import rdForceFieldHelpers

    candidates = _embedded(hydrogenated, seed)
    outcome = []
    if candidates.GetNumConformers():
        outcome = rdForceFieldHelpers.MMFFOptimizeMoleculeConfs(candidates, numThreads=1, maxIters=500)
    right = []
    for conformer, (_, energy) in zip(candidates.GetConformers(), outcome, strict=True):
        single = Chem.Mol(candidates, confId=conformer.GetId())
        if has_stereo_of(single, hydrogenated):
            right.append((energy, single))
    if not right:
        message = f"No structure in space with the stereochemistry of {smiles} could be found."
        raise InputError(message, "Check its stereo marks (a trans double bond in a small ring?), or try another seed.")
    lowest = min(energy for energy, _ in right)
    best = next(single for energy, single in right if energy < lowest + _SAME_ENERGY)
    field = rdForceFieldHelpers.MMFFGetMoleculeForceField(best, mmff_properties(best))
    field.Minimize(maxIts=20_000, forceTol=1e-4, energyTol=1e-9)
    hydrogenated.RemoveAllConformers()
    hydrogenated.AddConformer(best.GetConformer(), assignId=True)
    return 0.1 * np.asarray(best.GetConformer().GetPositions(), dtype=np.float64), len(right)


def _embedded(hydrogenated: Any, seed: int) -> Any:
    """A copy with the conformers ETKDG embeds; from random coordinates where its usual start finds none."""
    from rdkit import Chem
    from rdkit.Chem import rdDistGeom

    number = min(_CONFORMERS, max(_FEWEST, _CONFORMER_ATOMS // hydrogenated.GetNumAtoms()))
    for random_start in (False, True):
        candidates = Chem.Mol(hydrogenated)
        parameters: Any = rdDistGeom.ETKDGv3()
        parameters.randomSeed = child_seed(seed, "smiles", bits=31)
        parameters.numThreads = 1
        parameters.useRandomCoords = random_start
        parameters.maxIterations = 20
        if len(rdDistGeom.EmbedMultipleConfs(candidates, number, parameters)) > 0:
            break
    return candidates


def _topology(hydrogenated: Any) -> MolecularTopology:
    atoms = tuple(
        Atom(label, atom.GetSymbol(), RESIDUE, 0, atom.GetMass())
        for label, atom in zip(atom_names(hydrogenated), hydrogenated.GetAtoms(), strict=True)
    )
    ends = [sorted((bond.GetBeginAtomIdx(), bond.GetEndAtomIdx())) for bond in hydrogenated.GetBonds()]
    return MolecularTopology(atoms, tuple(sorted((i, j) for i, j in ends)))


def _serialised(system: Any) -> str:
    import openmm

    return str(openmm.XmlSerializer.serialize(system))


def _choices(structure: Any, molecule: Any, seed: int, conformers: int) -> tuple[str, ...]:
    from rdkit import Chem

    charge = Chem.GetFormalCharge(structure)
    defined = defined_stereo(molecule)
    found = stereo_of(structure)
    written = [f"{where} is {found.get(where, 'as written')}" for where in defined]
    taken = [f"{where} is {label}" for where, label in found.items() if where not in defined and "N" in where]
    choices = [
        f"The starting structure is the lowest in energy of {conformers} conformers (ETKDG, seed {seed}).",
        "The force field is MMFF94 in vacuum: dielectric constant 1, no cutoff, no solvent.",
        f"Stereochemistry, found again in the structure: {', '.join(written) or 'none to define'}.",
        f"The net charge is {charge:+d}, with the protonation the SMILES gives."
        if charge
        else "The net charge is 0, with the protonation the SMILES gives.",
    ]
    if taken:
        choices.append(f"Not written in the SMILES and taken as the structure has it: {', '.join(taken)}.")
    return tuple(choices)
