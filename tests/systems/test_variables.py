"""Collective variables of peptides and of other molecules: atoms, names, and what is left out."""

from pathlib import Path

import numpy as np
import pytest

from molgen.systems.definition import CVSection
from molgen.systems.forcefield import create_system_xml
from molgen.systems.peptide_chain import assemble
from molgen.systems.rotation import rotatable_bonds, symmetric_rotor
from molgen.systems.sequence import parse_sequence
from molgen.systems.topology import Atom, MolecularTopology
from molgen.systems.variables import collective_variables


def topology_of(text: str, **options: object) -> MolecularTopology:
    return assemble(parse_sequence(text, **options)).topology()  # type: ignore[arg-type]


def named(topology: MolecularTopology, variables: tuple[CVSection, ...]) -> dict[str, str]:
    """Atom names with residue indices of every variable."""
    atoms = topology.atoms
    return {cv.name: " ".join(f"{atoms[k].name}{atoms[k].residue_index}" for k in cv.torsion or ()) for cv in variables}


def test_a_zwitterion_has_the_standard_torsions_and_no_others() -> None:
    topology = topology_of("GTF", termini="zwitterion")
    assert named(topology, collective_variables(topology, ())) == {
        "psi_1": "N0 CA0 C0 N1",
        "phi_2": "C0 N1 CA1 C1",
        "psi_2": "N1 CA1 C1 N2",
        "phi_3": "C1 N2 CA2 C2",
        "psi_3": "N2 CA2 C2 O2",
        "chi1_2": "N1 CA1 CB1 OG11",
        "chi2_2": "CA1 CB1 OG11 HG11",
        "chi1_3": "N2 CA2 CB2 CG2",
        "chi2_3": "CA2 CB2 CG2 CD12",
    }


def test_a_capped_chain_keeps_the_numbers_of_its_sequence() -> None:
    topology = topology_of("A")
    assert named(topology, collective_variables(topology, ())) == {"phi_1": "C0 N1 CA1 C1", "psi_1": "N1 CA1 C1 N2"}


def test_omega_before_proline_always_and_elsewhere_if_free() -> None:
    topology = topology_of("APA")
    fixed = named(topology, collective_variables(topology, ()))
    assert {name: atoms for name, atoms in fixed.items() if "omega" in name} == {"omega_1": "CA1 C1 N2 CA2"}
    free = named(topology, collective_variables(topology, (), cis_trans="free"))
    assert [name for name in free if "omega" in name] == ["omega_0", "omega_1", "omega_2", "omega_3"]
    assert free["omega_0"] == "CH30 C0 N1 CA1"
    assert free["omega_3"] == "CA3 C3 N4 C4"


@pytest.mark.parametrize(
    ("letter", "chis"),
    [("R", 4), ("K", 4), ("E", 3), ("M", 3), ("W", 2), ("V", 1), ("A", 0), ("G", 0), ("C", 2), ("Y", 2)],
)
def test_number_of_side_chain_torsions(letter: str, chis: int) -> None:
    topology = topology_of(letter)
    names = [cv.name for cv in collective_variables(topology, ()) if cv.name.startswith("chi")]
    assert names == [f"chi{k}_1" for k in range(1, chis + 1)]


def test_a_disulphide_has_three_more_torsions() -> None:
    topology = topology_of("CGC", disulphides=((1, 3),))
    variables = named(topology, collective_variables(topology, ()))
    assert variables["chi2_1"] == "CA1 CB1 SG1 SG3"
    assert variables["chi2_3"] == "CA3 CB3 SG3 SG1"
    assert variables["chi3_1"] == "CB1 SG1 SG3 CB3"
    assert len(variables) == 6 + 2 + 3


def test_every_rotatable_bond_has_a_variable_and_symmetric_rotors_have_none() -> None:
    from pathlib import Path

    from molgen.systems.definition import ForceFieldSection

    topology = topology_of("YK")
    xml = create_system_xml(topology, ForceFieldSection(), Path(), "it")
    rotatable = [bond for bond in rotatable_bonds(topology, xml) if not symmetric_rotor(topology, bond)]
    variables = collective_variables(topology, rotatable)
    turned = {frozenset(cv.torsion[1:3]) for cv in variables if cv.torsion}
    assert {frozenset(bond) for bond in rotatable} <= turned
    assert len(turned) == len(variables)
    assert "torsion_CZ_OH" in [cv.name for cv in variables]
    ends = {topology.atoms[k].name for cv in variables if cv.torsion for k in cv.torsion}
    assert not ends & {"HZ1", "HB2", "H1", "HH31"}


def test_names_of_other_molecules_are_unique_identifiers() -> None:
    elements = "CCCCOO"
    names = ("C1", "C1'", "C2", "C2", "O1", "O2*")
    atoms = tuple(
        Atom(name, element, "LIG", k // 3, 12.0) for k, (name, element) in enumerate(zip(names, elements, strict=True))
    )
    topology = MolecularTopology(atoms, tuple((k, k + 1) for k in range(5)))
    variables = collective_variables(topology, [(1, 2), (2, 3), (3, 4)])
    assert [cv.name for cv in variables] == ["torsion_C1p_C2_1", "torsion_C2_1_C2_2", "torsion_C2_2_O1"]
    assert [cv.torsion for cv in variables] == [(0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5)]
    twice = collective_variables(topology, [(1, 2), (1, 2)])
    assert len({cv.name for cv in twice}) == 2


def test_heavy_atoms_end_a_torsion_where_there_are_any() -> None:
    elements = "HCCHC"
    atoms = tuple(Atom(f"{element}{k}", element, "LIG", 0, 1.0) for k, element in enumerate(elements))
    topology = MolecularTopology(atoms, ((0, 1), (1, 2), (1, 4), (2, 3)))
    (cv,) = collective_variables(topology, [(1, 2)])
    assert cv.torsion == (4, 1, 2, 3)
    assert np.isfinite(cv.torsion).all()


def test_rings_that_may_flip_have_torsions_and_flat_ones_none(tmp_path: Path) -> None:
    from molgen.workflows import init

    menthol = init(tmp_path / "menthol", smiles="C[C@@H]1CC[C@H]([C@@H](C1)O)C(C)C").cvs
    assert sum(name.startswith("ring_") for name in menthol) == 3
    assert not any(name.startswith("ring_") for name in init(tmp_path / "cresol", smiles="Cc1ccc(O)cc1").cvs)
    assert not any(name.startswith("ring_") for name in init(tmp_path / "proline", sequence="P").cvs)


def test_an_amide_without_a_hydrogen_may_be_cis_or_trans_in_any_molecule(tmp_path: Path) -> None:
    from molgen.workflows import init

    assert "torsion_C2_N1" in init(tmp_path / "amide", smiles="CC(=O)N(C)CC").cvs
