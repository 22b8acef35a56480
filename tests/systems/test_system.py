"""The fingerprint: blind to versions and layout, not to physics."""

from dataclasses import replace

from molgen.systems import MolecularSystem, load_system


def molecule() -> MolecularSystem:
    system = load_system("alanine-dipeptide-obc1")
    assert isinstance(system, MolecularSystem)
    return system


def test_the_version_and_the_layout_of_the_xml_do_not_matter() -> None:
    system = molecule()
    assert 'openmmVersion="' in system.system_xml
    xml = system.system_xml.replace("\t", "  ").replace('openmmVersion="', 'openmmVersion="9.')
    assert xml != system.system_xml
    assert replace(system, system_xml=xml).fingerprint == system.fingerprint


def test_a_changed_parameter_changes_it() -> None:
    system = molecule()
    xml = system.system_xml.replace('k="284512"', 'k="284513"', 1)
    assert xml != system.system_xml
    assert replace(system, system_xml=xml).fingerprint != system.fingerprint


def test_atoms_and_bonds_count_and_the_starting_positions_do_not() -> None:
    system = molecule()
    fewer = replace(system.topology, bonds=system.topology.bonds[1:])
    assert replace(system, topology=fewer).fingerprint != system.fingerprint
    assert replace(system, positions=system.positions + 1.0).fingerprint == system.fingerprint


def test_neighbours_of_the_alpha_carbon() -> None:
    assert molecule().topology.neighbours()[8] == (6, 9, 10, 14)
