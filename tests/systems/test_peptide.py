"""Peptides from sequences: every residue at every place is the right molecule in a sound structure."""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from molgen.errors import InputError
from molgen.systems import peptide
from molgen.systems.built import BuiltMolecule
from molgen.systems.extended_chain import clockwise_orders
from molgen.systems.forcefield import create_system_xml
from molgen.systems.peptide import build_peptide, structure_faults
from molgen.systems.peptide_chain import assemble
from molgen.systems.sequence import LETTERS, parse_sequence
from molgen.systems.topology import MolecularTopology


@cache
def built(text: str, termini: Any = "capped", disulphides: tuple[tuple[int, int], ...] = ()) -> BuiltMolecule:
    return build_peptide(parse_sequence(text, termini=termini, disulphides=disulphides), name="it")


def energy(molecule: BuiltMolecule) -> float:
    import openmm

    xml = create_system_xml(molecule.topology, molecule.forcefield, Path(), "it")
    platform = openmm.Platform.getPlatformByName("Reference")
    context = openmm.Context(openmm.XmlSerializer.deserialize(xml), openmm.VerletIntegrator(0.001), platform)
    context.setPositions(molecule.positions)
    return float(context.getState(getEnergy=True).getPotentialEnergy()._value)


def cip_labels(topology: MolecularTopology, positions: np.ndarray) -> dict[tuple[str, str], str]:
    """CIP labels of the carbons by residue and atom name, perceived by RDKit from the positions alone."""
    from rdkit import Chem

    molecule = Chem.RWMol()
    for atom in topology.atoms:
        molecule.AddAtom(Chem.Atom(atom.element))
    doubles = {("C", "O"), ("CG", "OD1"), ("CD", "OE1"), ("CZ", "NH2")}
    for i, j in topology.bonds:
        pair = (topology.atoms[i].name, topology.atoms[j].name)
        kind = Chem.BondType.DOUBLE if pair in doubles or pair[::-1] in doubles else Chem.BondType.SINGLE
        molecule.AddBond(i, j, kind)
    conformer = Chem.Conformer(topology.n_atoms)
    for k, position in enumerate(positions * 10.0):
        conformer.SetAtomPosition(k, [float(x) for x in position])
    molecule.AddConformer(conformer)
    for atom in molecule.GetAtoms():
        atom.SetNoImplicit(True)
    molecule.UpdatePropertyCache(strict=False)
    Chem.AssignStereochemistryFrom3D(molecule)
    return {
        (topology.atoms[a.GetIdx()].residue_name, topology.atoms[a.GetIdx()].name): a.GetProp("_CIPCode")
        for a in molecule.GetAtoms()
        if a.HasProp("_CIPCode") and a.GetSymbol() == "C"
    }


@pytest.mark.parametrize("termini", ["capped", "zwitterion"])
@pytest.mark.parametrize("letter", LETTERS)
def test_every_residue_in_the_middle_and_at_both_ends(letter: str, termini: Any) -> None:
    """``build_peptide`` checks lengths, handedness, omega and contacts; the energy says that the templates fit."""
    molecule = built(letter if termini == "capped" else letter * 2, termini)
    atoms = molecule.topology.n_atoms
    assert molecule.positions.shape == (atoms, 3)
    assert energy(molecule) / atoms < 20.0  # a clash costs hundreds of kJ/mol
    names = [(atom.residue_index, atom.name) for atom in molecule.topology.atoms]
    assert len(set(names)) == atoms


@pytest.mark.parametrize("termini", ["capped", "zwitterion"])
@pytest.mark.parametrize("text", ["ACDEFGHIKL", "MNPQRSTVWY"])
def test_longer_chains(text: str, termini: Any) -> None:
    molecule = built(text, termini)
    assert energy(molecule) / molecule.topology.n_atoms < 20.0


def test_the_handedness_is_that_of_the_amino_acids() -> None:
    """Against RDKit, which knows nothing of our orders: L residues are S but for cysteine, and Thr and Ile at CB."""
    first, second = (built(text) for text in ("ACDEFGHIKL", "MNPQRSTVWY"))
    labels = {**cip_labels(first.topology, first.positions), **cip_labels(second.topology, second.positions)}
    alphas = {residue: label for (residue, atom), label in labels.items() if atom == "CA"}
    assert set(alphas) == set(LETTERS.values()) - {"GLY"}
    assert {residue for residue, label in alphas.items() if label == "R"} == {"CYS"}
    assert labels["THR", "CB"] == "R"
    assert labels["ILE", "CB"] == "S"


def test_hydrogens_of_methylene_groups_are_labelled_as_iupac_does() -> None:
    """Made heavier, each of these atoms shows whether it is pro-R: HA2 of Gly, HB2 and CD1 of Leu, CG1 of Val are."""
    from rdkit import Chem
    from rdkit.Chem import rdCIPLabeler

    def made_heavier(text: str, residue: str, name: str) -> str:
        molecule = built(text)
        atoms = molecule.topology.atoms
        index = next(k for k, atom in enumerate(atoms) if (atom.residue_name, atom.name) == (residue, name))
        graph = Chem.RWMol()
        for k, atom in enumerate(atoms):
            new = Chem.Atom(atom.element)
            new.SetIsotope((2 if atom.element == "H" else 13) if k == index else 0)
            new.SetNoImplicit(True)
            graph.AddAtom(new)
        for i, j in molecule.topology.bonds:
            carbonyl = {atoms[i].name, atoms[j].name} == {"C", "O"}
            graph.AddBond(i, j, Chem.BondType.DOUBLE if carbonyl else Chem.BondType.SINGLE)
        conformer = Chem.Conformer(len(atoms))
        for k, position in enumerate(molecule.positions * 10.0):
            conformer.SetAtomPosition(k, [float(x) for x in position])
        graph.AddConformer(conformer)
        graph.UpdatePropertyCache(strict=False)
        Chem.AssignStereochemistryFrom3D(graph)
        rdCIPLabeler.AssignCIPLabels(graph)  # the older rules of RDKit put isotopes before constitution
        centre = molecule.topology.neighbours()[index]
        heavy = next(k for k in centre if atoms[k].element != "H" and atoms[k].name in ("CA", "CB", "CG"))
        return str(graph.GetAtomWithIdx(heavy).GetProp("_CIPCode"))

    assert made_heavier("G", "GLY", "HA2") == "R"
    assert made_heavier("G", "GLY", "HA3") == "S"
    assert made_heavier("L", "LEU", "HB2") == "R"
    assert made_heavier("L", "LEU", "CD1") == "R"
    assert made_heavier("V", "VAL", "CG1") == "R"


def test_the_same_sequence_gives_the_same_structure() -> None:
    sequence = parse_sequence("GTF", termini="zwitterion")
    first, second = (build_peptide(sequence, name="it").positions for _ in range(2))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize(
    ("text", "pairs"), [("CC", ((1, 2),)), ("CGGGGC", ((1, 6),)), ("CPPC", ((1, 4),)), ("CCGGCC", ((1, 5), (2, 6)))]
)
def test_disulphides_are_closed(text: str, pairs: tuple[tuple[int, int], ...]) -> None:
    molecule = built(text, "capped", pairs)
    atoms = molecule.topology.atoms
    bridges = [(i, j) for i, j in molecule.topology.bonds if atoms[i].element == atoms[j].element == "S"]
    assert [(atoms[i].residue_index, atoms[j].residue_index) for i, j in bridges] == list(pairs)
    for i, j in bridges:
        assert np.linalg.norm(molecule.positions[i] - molecule.positions[j]) == pytest.approx(0.205, abs=0.01)
    assert not any(atom.name == "HG" and atom.residue_name == "CYS" for atom in atoms)


@pytest.mark.parametrize(("variant", "hydrogens"), [("HID", {"HD1"}), ("HIE", {"HE2"}), ("HIP", {"HD1", "HE2"})])
def test_histidines_have_their_hydrogens(variant: str, hydrogens: set[str]) -> None:
    molecule = build_peptide(parse_sequence("H", variants={1: variant}), name="it")
    names = {atom.name for atom in molecule.topology.atoms if atom.residue_name == "HIS"}
    assert names & {"HD1", "HE2"} == hydrogens


@pytest.mark.parametrize("variant", ["ASH", "GLH", "LYN", "CYM"])
def test_other_variants_inside_a_chain(variant: str) -> None:
    letter = {"ASH": "D", "GLH": "E", "LYN": "K", "CYM": "C"}[variant]
    molecule = build_peptide(parse_sequence(letter, variants={1: variant}), name="it")
    assert energy(molecule) < 1e4


def test_faults_are_found() -> None:
    molecule = built("AT")
    chain = assemble(parse_sequence("AT"))
    assert structure_faults(chain, molecule.positions) == []
    assert any("handedness of THR 2 CB" in fault for fault in structure_faults(chain, -molecule.positions))
    stretched = molecule.positions.copy()
    stretched[chain.index[1, "HA"]] *= 1.3
    assert any("HA" in fault and "bond" in fault for fault in structure_faults(chain, stretched))
    moved = molecule.positions.copy()
    moved[chain.index[2, "HG1"]] = moved[chain.index[0, "O"]] + 0.01
    assert any("too close" in fault for fault in structure_faults(chain, moved))
    assert structure_faults(chain, molecule.positions * np.nan) == ["positions that are not finite"]
    assert set(clockwise_orders(chain)) == {
        k for k, around in enumerate(molecule.topology.neighbours()) if len(around) == 4
    }


def test_a_structure_that_is_not_sound_is_never_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peptide, "relax", lambda topology, start, *_: -start)
    with pytest.raises(InputError, match=r"No sound structure of A was found \(.*handedness"):
        build_peptide(parse_sequence("A"), name="it")
