"""From a SMILES to a molecule: what is refused and why, stereo, names, determinism, a system on disk."""

from pathlib import Path

import numpy as np
import openmm
import pytest
from openmm import app, unit
from rdkit import Chem

from molgen.errors import InputError
from molgen.systems import MolecularSystem, load_system
from molgen.systems.built import BuiltMolecule
from molgen.systems.isomers import has_stereo_of, open_isomers, trans_in_small_ring
from molgen.systems.smiles import MAX_ATOMS, molecule_from_smiles

IBUPROFEN = "CC(C)Cc1ccc(cc1)[C@@H](C)C(=O)O"
DEFINED = [
    IBUPROFEN,
    "C/C=C/C=C\\C(=O)O",
    "[H]/N=C(/N)c1ccccc1",
    "[H]/N=C(\\N)c1ccccc1",
    "C[C@H]1CC[C@@H](C)CC1",
    "C[C@H]1CC[C@H](C)CC1",
    "CC[S@](C)=O",
    "F[C@](Cl)(Br)CI",
    "C[N@@+]1(CC)CC[C@H](O)C1",
    "C[C@]12CC[C@H]3[C@H]([C@@H]1CC[C@@H]2O)CCC4=CC(=O)CC[C@]34C",
]


def built(smiles: str, seed: int = 1) -> BuiltMolecule:
    return molecule_from_smiles(smiles, name="molecule", seed=seed)


def smiles_of(molecule: BuiltMolecule, smiles: str) -> str:
    """Canonical SMILES that the positions alone give, on the graph of ``smiles`` without its stereo."""
    graph = Chem.AddHs(Chem.MolFromSmiles(smiles))
    Chem.RemoveStereochemistry(graph)
    conformer = Chem.Conformer(graph.GetNumAtoms())
    for index, position in enumerate(10.0 * molecule.positions):
        conformer.SetAtomPosition(index, position.tolist())
    graph.AddConformer(conformer)
    Chem.AssignStereochemistryFrom3D(graph)
    return Chem.MolToSmiles(Chem.RemoveHs(graph))


@pytest.mark.parametrize("smiles", DEFINED)
def test_the_structure_has_the_stereo_that_was_written(smiles: str) -> None:
    assert smiles_of(built(smiles), smiles) == Chem.CanonSmiles(smiles)


def test_names_bonds_and_masses() -> None:
    molecule = built("ClCC(=O)N")
    atoms = molecule.topology.atoms
    assert [atom.name for atom in atoms] == ["CL1", "C1", "C2", "O1", "N1", "H1", "H2", "H3", "H4"]
    assert [atom.element for atom in atoms][:2] == ["Cl", "C"]
    assert {(atom.residue_name, atom.residue_index) for atom in atoms} == {("LIG", 0)}
    assert molecule.topology.bonds == ((0, 1), (1, 2), (1, 5), (1, 6), (2, 3), (2, 4), (4, 7), (4, 8))
    assert molecule.system_xml is not None
    system = openmm.XmlSerializer.deserialize(molecule.system_xml)
    masses = [system.getParticleMass(index)._value for index in range(len(atoms))]
    assert masses == pytest.approx([atom.mass_da for atom in atoms])
    assert not any(isinstance(force, openmm.CMMotionRemover) for force in system.getForces())


def test_the_structure_is_a_minimum_of_its_own_force_field() -> None:
    molecule = built("CC(=O)Nc1ccc(O)cc1")
    assert molecule.system_xml is not None
    system = openmm.XmlSerializer.deserialize(molecule.system_xml)
    context = openmm.Context(system, openmm.VerletIntegrator(1e-3), openmm.Platform.getPlatformByName("Reference"))
    context.setPositions(molecule.positions)
    forces = context.getState(forces=True).getForces(asNumpy=True)._value
    assert np.abs(forces).max() < 1.0  # kJ/mol/nm; bonds pull with hundreds when stretched by a picometre


def test_the_seed_decides_the_conformer_and_nothing_else() -> None:
    smiles = "CCCCCCO"
    first, again, other = built(smiles), built(smiles), built(smiles, seed=2)
    np.testing.assert_array_equal(first.positions, again.positions)
    assert np.abs(first.positions - other.positions).max() > 0.01
    assert first.system_xml == again.system_xml == other.system_xml
    assert first.topology == other.topology


def test_the_choices_are_told() -> None:
    text = " ".join(built("C[C@H]([NH3+])C(=O)O", seed=7).choices)
    for said in ("seed 7", "MMFF94 in vacuum", "dielectric constant 1", "C2 is S", "net charge is +1"):
        assert said in text
    assert "none to define" in " ".join(built("CCO").choices)


def test_nitrogen_that_was_not_asked_for_is_told() -> None:
    assert any("Not written" in choice and "N1 is" in choice for choice in built("CC[NH+](C)CO").choices)


@pytest.mark.parametrize(
    ("smiles", "said", "remedy"),
    [
        ("", "empty", "Give one"),
        ("CC(", "not a valid SMILES", "quote it"),
        ("c1cccc1", "kekulize", "Correct it"),
        ("CC(C)(C)(C)C", "valence for atom # 1 C", "Correct it"),
        ("CCO.[Na+].[Cl-]", "3 molecules", "CCO"),
        ("CC(O)CC", "stereochemistry of C2 undefined", "CC[C@H](C)O or CC[C@@H](C)O"),
        ("CC=CC", "stereochemistry of C2=C3 undefined", "C/C=C/C or C/C=C\\C"),
        ("CCS(C)=O", "stereochemistry of S1", "CC[S@](C)=O"),
        ("C[N+](CC)(CCC)CO", "stereochemistry of N1", "@"),
        ("C[C@H](F)C(Cl)O", "stereochemistry of C3 undefined", " or "),
        ("C[C@H](F)Cl |&1:1|", "mixture of stereoisomers", "| |"),
        ("C1CC/C=C/C1", "trans double bond in a ring", "it is cis"),
        ("CB(O)O", "element B (B1)", "Si, P, S"),
        ("C*", "placeholder", "MMFF94 covers"),
        ("F[S](F)(F)(F)(F)F", "no parameters for an atom", "system.xml"),
        ("C[CH2]", "radical: C2", "brackets"),
        ("O", "3 atoms", "4 atoms or more"),
        ("C" * 120, "362 atoms", "smaller"),
    ],
)
def test_refusals(smiles: str, said: str, remedy: str) -> None:
    with pytest.raises(InputError) as caught:
        built(smiles)
    assert said in caught.value.message
    assert remedy in caught.value.hint
    assert caught.value.exit_code == 3


def test_a_molecule_that_cannot_exist_in_space_is_refused() -> None:
    with pytest.raises(InputError, match="No structure in space"):
        built("C1C[C@H]2CC[C@H]1C2")  # norbornane with one bridgehead turned inside out


def test_the_largest_molecule_allowed_has_300_atoms() -> None:
    assert MAX_ATOMS == 300


@pytest.mark.parametrize(
    "smiles",
    [
        "C1CC2CCC1C2",  # one isomer only: the bridge decides
        "C1C2CC3CC1CC(C2)C3",
        "C12C3C4C1C5C2C3C45",
        "CCOP(=O)([O-])OC",  # two bare oxygens that only the drawing tells apart
        "CCN(C)CO",
        "CC[NH+](C)CO",
        "NC(=N)c1ccccc1",
        "CC(=O)NC",
        "C1=CCCCC1",
    ],
)
def test_what_is_no_stereo_is_not_asked_for(smiles: str) -> None:
    assert open_isomers(Chem.MolFromSmiles(smiles)) == ((), ())


@pytest.mark.parametrize(
    ("smiles", "trans"),
    [
        ("C1CC/C=C/C1", True),
        ("C1CC/C=C\\C1", False),
        ("C1CC/C(C)=C/C1", True),
        ("C/C1=C/CCCC1", False),  # trans to the methyl group: cis in the ring
        ("C/C1=C\\CCCC1", True),
        ("C/C1=C(/C)CCCC1", True),
        ("C/C1=C(\\C)CCCC1", False),
        ("C1CCC/C=C/CC1", False),  # eight atoms can have it
        ("C/C=C1/CCC(C)C1", False),  # beside the ring, not in it
        ("CC1=CCCCC1", False),
        ("C/C=C/C", False),
    ],
)
def test_trans_in_a_small_ring(smiles: str, trans: bool) -> None:
    assert trans_in_small_ring(smiles) is trans


def test_isomers_are_listed_up_to_four() -> None:
    undefined, isomers = open_isomers(Chem.MolFromSmiles("CC(F)C(Cl)C(C)Br"))
    assert undefined == ("C2", "C3", "C4")
    assert len(set(isomers)) == 4
    for isomer in isomers:
        assert open_isomers(Chem.MolFromSmiles(isomer)) == ((), ())


@pytest.mark.parametrize(
    "pair",
    [
        ("C[C@H](F)Cl", "C[C@@H](F)Cl"),
        ("C/C=C/C", "C/C=C\\C"),
        ("CC[P@](C)c1ccccc1", "CC[P@@](C)c1ccccc1"),
        ("CC[S@](C)=O", "CC[S@@](C)=O"),
    ],
)
def test_a_structure_of_the_other_isomer_is_noticed(pair: tuple[str, str]) -> None:
    from rdkit.Chem import AllChem

    ours, theirs = (Chem.AddHs(Chem.MolFromSmiles(smiles)) for smiles in pair)
    assert AllChem.EmbedMolecule(ours, randomSeed=3) == 0
    assert has_stereo_of(ours, ours)
    assert not has_stereo_of(ours, theirs)


def test_it_is_a_system_when_written(tmp_path: Path) -> None:
    molecule = built(IBUPROFEN)
    topology = app.Topology()
    residue = topology.addResidue("LIG", topology.addChain())
    atoms = [
        topology.addAtom(atom.name, app.Element.getBySymbol(atom.element), residue) for atom in molecule.topology.atoms
    ]
    for i, j in molecule.topology.bonds:
        topology.addBond(atoms[i], atoms[j])
    with (tmp_path / "topology.pdb").open("w") as file:
        app.PDBFile.writeFile(topology, molecule.positions * unit.nanometer, file)
    assert molecule.system_xml is not None
    (tmp_path / "system.xml").write_text(molecule.system_xml)
    (tmp_path / "system.toml").write_text(
        f'name = "{molecule.name}"\n[topology]\nfile = "topology.pdb"\n[forcefield]\nfiles = []\n'
        f'system_xml = "{molecule.forcefield.system_xml}"\n'
    )
    system = load_system(tmp_path)
    assert isinstance(system, MolecularSystem)
    assert system.topology == molecule.topology
    np.testing.assert_allclose(system.positions, molecule.positions, atol=6e-5)
