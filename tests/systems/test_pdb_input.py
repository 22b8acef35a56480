"""Molecules from PDB files: what is kept, and one sentence for everything that cannot be used."""

import itertools
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import openmm
import pytest
from openmm import app

from molgen.errors import InputError
from molgen.systems import MolecularSystem, load_system
from molgen.systems.definition import ForceFieldSection
from molgen.systems.forcefield import create_system_xml
from molgen.systems.loading import data_root
from molgen.systems.pdb_input import molecule_from_pdb
from molgen.systems.pdb_text import pdb_text
from molgen.systems.peptide import build_peptide
from molgen.systems.sequence import parse_sequence
from molgen.systems.system_bonds import bonds_with_system
from molgen.systems.topology import Atom, MolecularTopology

OBC1 = data_root() / "systems" / "alanine-dipeptide-obc1"
WATER = [
    "TER",
    "HETATM  900  O   HOH W 900      50.000  50.000  50.000  1.00  0.00           O",
    "HETATM  901  H1  HOH W 900      50.957  50.000  50.000  1.00  0.00           H",
    "HETATM  902  H2  HOH W 900      49.760  50.927  50.000  1.00  0.00           H",
]


@cache
def text_of(letters: str, disulphides: tuple[tuple[int, int], ...] = ()) -> str:
    molecule = build_peptide(parse_sequence(letters, disulphides=disulphides), name="it")
    return pdb_text(molecule.topology, molecule.positions)


def written(folder: Path, lines: list[str], name: str = "theirs.pdb") -> Path:
    path = folder / name
    path.write_text("\n".join(lines) + "\n")
    return path


def lines_of(letters: str = "AH") -> list[str]:
    return text_of(letters).splitlines()


def test_coordinates_names_and_bonds_are_kept(tmp_path: Path) -> None:
    built = build_peptide(parse_sequence("AHC"), name="it")
    path = written(tmp_path, pdb_text(built.topology, built.positions).splitlines())
    molecule = molecule_from_pdb(path, name="it")
    assert molecule.topology.bonds == built.topology.bonds
    assert [a.name for a in molecule.topology.atoms] == [a.name for a in built.topology.atoms]
    np.testing.assert_allclose(molecule.positions, built.positions, atol=1e-4)
    assert molecule.choices == ("HIS 2 is HIE: neutral with its hydrogen on NE2, as in the structure.",)
    assert molecule.forcefield == ForceFieldSection()


def test_a_mirrored_peptide_is_said_to_be_of_d_residues(tmp_path: Path) -> None:
    built = build_peptide(parse_sequence("AGT"), name="it")
    molecule = molecule_from_pdb(written(tmp_path, pdb_text(built.topology, -built.positions).splitlines()), name="it")
    assert molecule.choices == ("ALA 1 is a D residue, and stays one.", "THR 3 is a D residue, and stays one.")
    assert (
        molecule_from_pdb(written(tmp_path, pdb_text(built.topology, built.positions).splitlines()), name="it").choices
        == ()
    )


def test_a_cis_bond_and_an_inverted_side_chain_are_said(tmp_path: Path) -> None:
    built = build_peptide(parse_sequence("T"), name="it")
    at = {(a.residue_index, a.name): k for k, a in enumerate(built.topology.atoms)}
    positions = built.positions.copy()
    # The methyl of NME and its hydrogen change sides: half a turn about the amide bond.
    carbon, nitrogen = positions[at[1, "C"]], positions[at[2, "N"]]
    axis = (nitrogen - carbon) / np.linalg.norm(nitrogen - carbon)
    for (residue, name), k in at.items():
        if residue == 2 and name != "N":
            offset = positions[k] - nitrogen
            positions[k] = nitrogen + 2.0 * (offset @ axis) * axis - offset
    positions[[at[1, "OG1"], at[1, "HB"]]] = positions[[at[1, "HB"], at[1, "OG1"]]]
    molecule = molecule_from_pdb(written(tmp_path, pdb_text(built.topology, positions).splitlines()), name="it")
    assert "The peptide bond between THR 1 and NME 2 is cis." in molecule.choices
    assert "The side chain of THR 1 is inverted at CB (allo), and stays so." in molecule.choices


def test_other_numbers_models_and_chains_are_said(tmp_path: Path) -> None:
    model = [line[:21] + "B" + f"{int(line[22:26]) + 41:4d}" + line[26:] for line in lines_of() if "ATM" in line[:6]]
    model += [line[:21] + "B" + f"{int(line[22:26]) + 41:4d}" + line[26:] for line in lines_of() if line[:4] == "ATOM"]
    model.sort(key=lambda line: int(line[6:11]))
    bonds = [line for line in lines_of() if line.startswith("CONECT")]
    path = written(tmp_path, ["MODEL        1", *model, *WATER, "ENDMDL", "MODEL        2", *model, "ENDMDL", *bonds])
    molecule = molecule_from_pdb(path, name="it", chain="B")
    assert molecule.choices[:3] == (
        "theirs.pdb holds 2 models; the first was taken.",
        "Chain B of theirs.pdb was taken.",
        "Residues are numbered anew: ACE 41 is now ACE 0.",
    )


def edited(edit: Callable[[list[str]], list[str]], letters: str = "AH") -> list[str]:
    return edit(lines_of(letters))


def without(*names: str) -> Callable[[list[str]], list[str]]:
    return lambda lines: [line for line in lines if not (line[:4] in ("ATOM", "HETA") and line[12:16].strip() in names)]


def without_hydrogens(lines: list[str]) -> list[str]:
    return [line for line in lines if not (line[:4] in ("ATOM", "HETA") and line[76:78].strip() == "H")]


def shifted(lines: list[str]) -> list[str]:
    """Residue 2 and what follows moved by 50 ångström."""
    result = []
    for line in lines:
        if line[:4] in ("ATOM", "HETA") and int(line[22:26]) >= 2:
            line = f"{line[:30]}{float(line[30:38]) + 50.0:8.3f}{line[38:]}"
        result.append(line)
    return result


def second_chain(lines: list[str]) -> list[str]:
    copy = [
        f"{line[:6]}{int(line[6:11]) + 500:5d}{line[11:21]}B{line[22:30]}{float(line[30:38]) + 40.0:8.3f}{line[38:]}"
        for line in lines
        if line[:4] in ("ATOM", "HETA")
    ]
    return [*[line for line in lines if not line.startswith("END")], "TER", *copy, "END"]


def renamed(old: str, new: str) -> Callable[[list[str]], list[str]]:
    return lambda lines: [line.replace(old, new) if line[:4] in ("ATOM", "HETA") else line for line in lines]


def alternate(lines: list[str]) -> list[str]:
    k = next(k for k, line in enumerate(lines) if line[12:16] == " CB ")
    one, other = (lines[k][:16] + letter + lines[k][17:] for letter in "AB")
    return [*lines[:k], one, other, *lines[k + 1 :]]


def doubled(lines: list[str]) -> list[str]:
    k = next(k for k, line in enumerate(lines) if line[12:16] == " CB ")
    return [*lines[: k + 1], lines[k], *lines[k + 1 :]]


def on_top(lines: list[str]) -> list[str]:
    k, j = (next(k for k, line in enumerate(lines) if line[12:16] == name) for name in (" CB ", " HA "))
    return [*lines[:j], lines[j][:30] + lines[k][30:54] + lines[j][54:], *lines[j + 1 :]]


@pytest.mark.parametrize(
    ("edit", "message", "hint"),
    [
        (without_hydrogens, "has no hydrogens", "Modeller.addHydrogens"),
        (without("HB2"), "ALA 1 in .* lacks hydrogens", "pdbfixer"),
        (without("CB"), "ALA 1 in .* lacks 1 heavy atom", "pdbfixer"),
        (without("HH31"), "ACE 0 in .* lacks hydrogens", "pdbfixer"),
        (lambda lines: [*lines[:-1], *WATER, "END"], "holds solvent .1 HOH.", "Strip"),
        (
            lambda lines: [*lines[:-1], WATER[1].replace("O   HOH", "CL   CL").replace(" O", "CL"), "END"],
            "ion",
            "Strip",
        ),
        (second_chain, "several molecules: ACE 0 of chain B is not bonded to ACE 0 of chain A", "--chain A"),
        (renamed("ALA", "XYZ"), "no template for XYZ 1", "--smiles"),
        (alternate, "alternate locations .CB of ALA A 1", "column 17"),
        (doubled, "names 2 atoms CB", "its own name"),
        (on_top, "sit on one another", "Remove"),
        (shifted, "The bond between C of ALA 1 and N of HIS 2 in .* is 5.* nm long", "missing there"),
        (lambda lines: [lines[0][:30] + "     nan" + lines[0][38:], *lines[1:]], "not finite", "columns 31-54"),
        (lambda lines: ["nothing"], "holds no atoms", "every atom"),
        (lambda lines: [lines[0][:30] + "    what" + lines[0][38:], *lines[1:]], "cannot be read", "PDB"),
    ],
)
def test_what_cannot_be_used_is_refused_with_a_remedy(
    tmp_path: Path, edit: Callable[[list[str]], list[str]], message: str, hint: str
) -> None:
    with pytest.raises(InputError, match=message) as caught:
        molecule_from_pdb(written(tmp_path, edited(edit)), name="it")
    assert hint in caught.value.hint


def test_an_end_that_is_neither_charged_nor_capped(tmp_path: Path) -> None:
    built = build_peptide(parse_sequence("AAA", termini="zwitterion"), name="it")
    lines = without("OXT")(pdb_text(built.topology, built.positions).splitlines())
    with pytest.raises(InputError, match="end of the chain at ALA 3"):
        molecule_from_pdb(written(tmp_path, lines), name="it")


def test_missing_files_and_chains(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="There is no file"):
        molecule_from_pdb(tmp_path / "no.pdb", name="it")
    path = written(tmp_path, lines_of())
    with pytest.raises(InputError, match="has no chain 'Z'"):
        molecule_from_pdb(path, name="it", chain="Z")
    with pytest.raises(InputError, match=r"There is no file .*no\.xml"):
        molecule_from_pdb(path, name="it", system_xml=tmp_path / "no.xml")
    with pytest.raises(InputError, match="cannot be read"):
        molecule_from_pdb(path, name="it", forcefield=ForceFieldSection(files=("no-such.xml",)))


def test_a_force_field_of_the_users_own_is_kept_as_a_system(tmp_path: Path) -> None:
    own = tmp_path / "mine.xml"
    own.write_text((Path(app.__file__).parent / "data" / "amber99sb.xml").read_text())
    section = ForceFieldSection(files=(str(own),), constraints="h-bonds")
    molecule = molecule_from_pdb(written(tmp_path, lines_of()), name="it", forcefield=section)
    assert molecule.forcefield == ForceFieldSection(files=(), system_xml="system.xml")
    assert molecule.system_xml is not None
    assert "<Constraint " in molecule.system_xml
    assert "GBSAOBCForce" not in molecule.system_xml


# A System beside the PDB -----------------------------------------------------------------------------------------


def test_any_system_of_the_molecule(tmp_path: Path) -> None:
    molecule = molecule_from_pdb(OBC1 / "topology.pdb", name="it", system_xml=OBC1 / "system.xml")
    given = load_system("alanine-dipeptide-obc1")
    assert isinstance(given, MolecularSystem)
    assert molecule.topology.bonds == given.topology.bonds
    assert molecule.forcefield.system_xml == "system.xml"


def renamed_residues(lines: list[str]) -> list[str]:
    """All in one residue of no known name, without its bonds."""
    return [
        f"HETATM{line[6:12]} {'XC'[k % 2]}{k:<3d}"[:17] + "LIG A   1" + line[26:]
        for k, line in enumerate(line for line in lines if line[:4] in ("ATOM", "HETA"))
    ]


def test_bonds_the_file_does_not_hold_come_from_the_system(tmp_path: Path) -> None:
    lines = renamed_residues((OBC1 / "topology.pdb").read_text().splitlines())
    molecule = molecule_from_pdb(written(tmp_path, lines), name="it", system_xml=OBC1 / "system.xml")
    given = load_system("alanine-dipeptide-obc1")
    assert isinstance(given, MolecularSystem)
    assert molecule.topology.bonds == given.topology.bonds
    assert any("21 bonds that theirs.pdb does not hold" in choice for choice in molecule.choices)


def test_constraints_and_custom_forces_count_as_bonds(tmp_path: Path) -> None:
    """Hydrogens fixed, other bonds in a CustomBondForce, 1-3 terms beside them: the same bonds come out."""
    system = openmm.XmlSerializer.deserialize((OBC1 / "system.xml").read_text())
    for index in reversed(range(system.getNumForces())):
        system.removeForce(index)
    given = load_system("alanine-dipeptide-obc1")
    assert isinstance(given, MolecularSystem)
    custom, urey = openmm.CustomBondForce("r"), openmm.HarmonicBondForce()
    for i, j in given.topology.bonds:
        if "H" in (given.topology.atoms[i].element, given.topology.atoms[j].element):
            system.addConstraint(i, j, float(np.linalg.norm(given.positions[i] - given.positions[j])))
        else:
            custom.addBond(i, j)
    neighbours = given.topology.neighbours()
    for around in neighbours:
        for a, b in itertools.pairwise(around):
            urey.addBond(a, b, float(np.linalg.norm(given.positions[a] - given.positions[b])), 1.0)
    system.addForce(custom)
    system.addForce(urey)
    (tmp_path / "own.xml").write_text(openmm.XmlSerializer.serialize(system))
    lines = renamed_residues((OBC1 / "topology.pdb").read_text().splitlines())
    molecule = molecule_from_pdb(written(tmp_path, lines), name="it", system_xml=tmp_path / "own.xml")
    assert molecule.topology.bonds == given.topology.bonds


def altered(folder: Path, alter: Callable[[openmm.System], None]) -> Path:
    system = openmm.XmlSerializer.deserialize((OBC1 / "system.xml").read_text())
    alter(system)
    (folder / "own.xml").write_text(openmm.XmlSerializer.serialize(system))
    return folder / "own.xml"


def bond_force(system: openmm.System) -> openmm.HarmonicBondForce:
    return next(force for force in system.getForces() if isinstance(force, openmm.HarmonicBondForce))


def moved_bond(system: openmm.System) -> None:
    """The bond of the first hydrogen leads to another atom, at the distance it has."""
    force = bond_force(system)
    for index in range(force.getNumBonds()):
        i, j, _, k = force.getBondParameters(index)
        if 0 in (i, j):
            force.setBondParameters(index, 0, 2, 0.18, k)


def extra_bond(system: openmm.System) -> None:
    bond_force(system).addBond(4, 7, 0.2, 1.0)


def periodic(system: openmm.System) -> None:
    force = openmm.NonbondedForce()
    force.setNonbondedMethod(openmm.NonbondedForce.CutoffPeriodic)
    for _ in range(system.getNumParticles()):
        force.addParticle(0.0, 0.1, 0.0)
    system.addForce(force)


def swapped_masses(system: openmm.System) -> None:
    system.setParticleMass(4, 15.999)


@pytest.mark.parametrize(
    ("alter", "message"),
    [
        (lambda system: system.addParticle(1.0), "has 23 particles, .* has 22 atoms"),
        (moved_bond, "bonds HH31 of ACE 1 and CH3 of ACE 1, but the System has no such bond"),
        (lambda system: bond_force(system).setBondParameters(0, 4, 8, 0.15, 1.0), "nm apart in .* the System wants"),
        (periodic, "is a periodic System"),
        (lambda system: system.setParticleMass(3, 0.0), "particles that cannot move"),
        (swapped_masses, "C of ACE 1 in .* weighs 12.0 with its hydrogens, in the System 16.0"),
    ],
)
def test_a_system_of_another_molecule_is_refused(
    tmp_path: Path, alter: Callable[[openmm.System], None], message: str
) -> None:
    with pytest.raises(InputError, match=message) as caught:
        molecule_from_pdb(OBC1 / "topology.pdb", name="it", system_xml=altered(tmp_path, alter))
    assert caught.value.hint


def test_atoms_of_unusual_names_get_their_bonds_from_the_system(tmp_path: Path) -> None:
    built = build_peptide(parse_sequence("CC", disulphides=((1, 2),)), name="it")
    (tmp_path / "own.xml").write_text(create_system_xml(built.topology, ForceFieldSection(), Path(), "it"))
    lines = [line.replace(" SG ", " SX ") for line in text_of("CC", ((1, 2),)).splitlines()]
    path = written(tmp_path, [line for line in lines if not line.startswith("CONECT")])
    assert molecule_from_pdb(path, name="it", system_xml=tmp_path / "own.xml").topology.bonds == built.topology.bonds


def test_a_bond_of_the_system_between_known_atoms_must_be_in_the_file() -> None:
    topology = MolecularTopology(tuple(Atom(f"C{k}", "C", "ALA", 0, 12.0) for k in range(3)), ((0, 1),))
    positions = np.array([[0.0, 0.0, 0.0], [0.15, 0.0, 0.0], [0.15, 0.15, 0.0]])
    system = openmm.System()
    force = openmm.HarmonicBondForce()
    for i, j in ((0, 1), (1, 2)):
        force.addBond(i, j, 0.15, 1000.0)
    system.addForce(force)

    def bonds(implied: bool) -> tuple[tuple[int, int], ...]:
        return bonds_with_system(
            topology, positions, system, implied=[implied] * 3, labels=["a", "b", "c"], source="file"
        )

    assert bonds(implied=False) == ((0, 1), (1, 2))
    with pytest.raises(InputError, match="The System bonds b and c, but file has no such bond"):
        bonds(implied=True)


def test_hydrogens_made_heavier_pass(tmp_path: Path) -> None:
    def repartitioned(system: openmm.System) -> None:
        topology = app.PDBFile(str(OBC1 / "topology.pdb")).topology
        for a, b in topology.bonds():
            heavy, light = (a, b) if b.element.symbol == "H" else (b, a)
            if light.element.symbol == "H":
                system.setParticleMass(light.index, 3.0)
                system.setParticleMass(heavy.index, system.getParticleMass(heavy.index)._value - 1.992)

    xml = altered(tmp_path, repartitioned)
    assert molecule_from_pdb(OBC1 / "topology.pdb", name="it", system_xml=xml).system_xml is not None
