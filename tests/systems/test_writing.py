"""Folders of systems: what is in them, that they read back, and that nothing else is ever touched."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from molgen.errors import InputError
from molgen.systems import MolecularSystem, load_system, writing
from molgen.systems.built import BuiltMolecule
from molgen.systems.definition import CVSection, SystemDefinition, TopologySection
from molgen.systems.pdb_text import pdb_text
from molgen.systems.peptide import build_peptide
from molgen.systems.sequence import parse_sequence
from molgen.systems.topology import Atom, MolecularTopology
from molgen.systems.writing import write_system


@cache
def cysteines() -> BuiltMolecule:
    return build_peptide(parse_sequence("CHC", disulphides=((1, 3),)), name="cys")


def definition(molecule: BuiltMolecule, **options: object) -> SystemDefinition:
    return SystemDefinition(
        name=molecule.name,
        topology=TopologySection(file="topology.pdb"),
        forcefield=molecule.forcefield,
        cv=(CVSection(name="phi_1", torsion=(4, 6, 8, 10)),),
        **options,  # type: ignore[arg-type]
    )


def test_a_folder_reads_back_as_the_same_molecule(tmp_path: Path) -> None:
    molecule = cysteines()
    files = write_system(molecule, definition(molecule, temperature_k=310.5), tmp_path / "deep" / "cys")
    assert [path.name for path in files] == ["system.toml", "topology.pdb"]
    system = load_system(tmp_path / "deep" / "cys")
    assert isinstance(system, MolecularSystem)
    assert system.temperature_k == 310.5
    assert system.topology.bonds == molecule.topology.bonds
    assert [a.name for a in system.topology.atoms] == [a.name for a in molecule.topology.atoms]
    np.testing.assert_allclose(system.positions, molecule.positions, atol=1e-4)
    assert system.definition.cv == definition(molecule).cv
    text = files[0].read_text()
    assert all(word in text for word in ("# His 2 is HIE", "# Cysteines 1 and 3 form a disulphide.", "[[cv]]"))


def test_writing_again_changes_nothing_and_is_allowed_beside_runs(tmp_path: Path) -> None:
    molecule = cysteines()
    files = write_system(molecule, definition(molecule), tmp_path / "cys")
    before = [path.read_bytes() for path in files]
    (tmp_path / "cys" / "md").mkdir()
    write_system(molecule, definition(molecule), tmp_path / "cys")
    assert [path.read_bytes() for path in files] == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cys"]


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    write_system(cysteines(), definition(cysteines()), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["system.toml", "topology.pdb"]


def test_other_content_is_never_overwritten(tmp_path: Path) -> None:
    molecule = cysteines()
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(InputError, match="holds other files"):
        write_system(molecule, definition(molecule), tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is a file"):
        write_system(molecule, definition(molecule), tmp_path / "file")
    write_system(molecule, definition(molecule), tmp_path / "cys")
    with pytest.raises(InputError, match=r"system\.toml is already there"):
        write_system(molecule, definition(molecule, temperature_k=400.0), tmp_path / "cys")
    assert load_system(tmp_path / "cys").temperature_k == 300.0


def test_a_failure_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    molecule = cysteines()
    torn = replace(molecule, topology=MolecularTopology(molecule.topology.atoms, molecule.topology.bonds[1:]))
    with pytest.raises((InputError, RuntimeError)):
        write_system(torn, definition(torn), tmp_path / "new" / "cys")
    monkeypatch.setattr(writing, "_ROUNDING_NM", 0.0)
    with pytest.raises(RuntimeError, match="positions are not the same"):
        write_system(molecule, definition(molecule), tmp_path / "new" / "cys")
    assert list(tmp_path.iterdir()) == []


def test_text_that_toml_must_escape_survives(tmp_path: Path) -> None:
    molecule = replace(cysteines(), name='a "b"\\c', choices=("First line\nsecond = 'line'", "ä" * 300))
    write_system(molecule, definition(molecule, description='[C@@H]\\/=C "quoted" \x7f é'), tmp_path / "odd")
    system = load_system(tmp_path / "odd")
    assert system.name == 'a "b"\\c'
    assert system.definition.description == '[C@@H]\\/=C "quoted" \x7f é'


def test_a_system_xml_is_kept_and_reads_back(tmp_path: Path) -> None:
    given = load_system("alanine-dipeptide-obc1")
    assert isinstance(given, MolecularSystem)
    molecule = BuiltMolecule(
        "ala", given.topology, given.positions, given.definition.forcefield, system_xml=given.system_xml
    )
    files = write_system(molecule, definition(molecule), tmp_path / "ala")
    assert [path.name for path in files] == ["system.toml", "topology.pdb", "system.xml"]
    again = load_system(tmp_path / "ala")
    assert again.fingerprint == given.fingerprint


def small(names: tuple[str, ...], residue: str = "LIG") -> MolecularTopology:
    atoms = tuple(Atom(name, "C", residue, 0, 12.0) for name in names)
    return MolecularTopology(atoms, tuple((0, k) for k in range(1, len(names))))


def test_the_columns_of_a_pdb_line_and_its_bonds() -> None:
    topology = small(("C1", "C2", "C3", "C4", "CXYZ", "C6"))
    text = pdb_text(topology, np.arange(18.0).reshape(6, 3) / 100.0 - 0.00001)
    lines = text.splitlines()
    assert lines[0] == "HETATM    1  C1  LIG A   1       0.000   0.100   0.200  1.00  0.00           C"
    assert lines[4][12:16] == "CXYZ"
    assert lines[6:8] == ["CONECT    1    2    3    4    5", "CONECT    1    6"]
    assert lines[-1] == "END"


@pytest.mark.parametrize(
    ("topology", "scale", "message"),
    [
        (small(("LONGNAME", "C2")), 1.0, "LONGNAME LIG is too long"),
        (small(("C1", "C2"), "LIGAND"), 1.0, "C1 LIGAND is too long"),
        (small(("C1", "C2")), 1e4, "coordinate is too large"),
    ],
)
def test_what_the_format_cannot_hold_is_refused(topology: MolecularTopology, scale: float, message: str) -> None:
    with pytest.raises(InputError, match=message):
        pdb_text(topology, np.ones((2, 3)) * scale)


def test_residues_that_are_not_bonded_are_in_different_chains() -> None:
    atoms = tuple(Atom("C1", "C", "LIG", k, 12.0) for k in range(3))
    lines = pdb_text(MolecularTopology(atoms, ((0, 1),)), np.eye(3)).splitlines()
    assert [line[21] for line in lines if line.startswith("HETATM")] == ["A", "A", "B"]
    assert lines[2] == "TER"
