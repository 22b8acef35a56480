"""A system as one JSON-able record, embedded in models and ensembles so that they stand by themselves."""

from dataclasses import asdict
from typing import Any

import numpy as np

from molgen.errors import InputError, MolgenError
from molgen.systems.definition import SystemDefinition
from molgen.systems.loading import data_root, read_definition, read_system, system_names
from molgen.systems.system import AnalyticSystem, MolecularSystem, System
from molgen.systems.topology import Atom, MolecularTopology

_FORMAT = 1


def system_record(system: System) -> dict[str, Any]:
    """Everything about ``system`` as JSON-able values: definition, positions and, for a molecule, topology and XML."""
    record: dict[str, Any] = {
        "format": _FORMAT,
        "definition": system.definition.model_dump(mode="json"),
        "positions": system.positions.tolist(),
        "fingerprint": system.fingerprint,
    }
    if isinstance(system, MolecularSystem):
        atoms = [asdict(atom) for atom in system.topology.atoms]
        record["topology"] = {"atoms": atoms, "bonds": [list(bond) for bond in system.topology.bonds]}
        record["system_xml"] = system.system_xml
    return record


def system_from_record(record: dict[str, Any]) -> System:
    """The system of a record; needs no files.

    ``reference_path`` is set only when the built-in system of the same name and fingerprint ships a reference.
    ``InputError`` if the record is incomplete, of another format, or does not match its own fingerprint.
    """
    system = _plain(record)
    if system.fingerprint != record["fingerprint"]:
        raise InputError("The embedded system does not match its fingerprint.", "The file was altered; make it again.")
    return _with_reference(system)


def _plain(record: dict[str, Any]) -> System:
    if record.get("format") != _FORMAT:
        message = f"The embedded system has format {record.get('format')!r}, this version reads {_FORMAT}."
        raise InputError(message, "Use the version of molgen that wrote the file.")
    try:
        definition = SystemDefinition.parse(record["definition"], source="embedded system")
        positions = np.asarray(record["positions"], dtype=np.float64)
        record["fingerprint"]
        if definition.analytic is not None:
            return AnalyticSystem(definition, positions)
        topology = record["topology"]
        atoms = tuple(Atom(**atom) for atom in topology["atoms"])
        bonds = tuple((int(i), int(j)) for i, j in topology["bonds"])
        return MolecularSystem(definition, MolecularTopology(atoms, bonds), positions, str(record["system_xml"]))
    except (KeyError, ValueError, TypeError) as error:
        raise InputError(f"The embedded system is incomplete ({error}).", "Make the file again.") from error


def _with_reference(system: System) -> System:
    """``system`` with the reference of its built-in twin; the twin is built only if it ships one."""
    if system.definition.reference is None or system.name not in system_names():
        return system
    path = data_root() / "systems" / system.name / "system.toml"
    reference = read_definition(path).reference
    if reference is None or not (path.parent / reference.file).is_file():
        return system
    try:
        twin = read_system(path)
    except MolgenError:
        return system
    if twin.fingerprint != system.fingerprint:
        return system
    if isinstance(system, MolecularSystem):
        return MolecularSystem(
            system.definition, system.topology, system.positions, system.system_xml, twin.reference_path
        )
    return AnalyticSystem(system.definition, system.positions, twin.reference_path)
