"""`molgen init`: a system from a sequence, a PDB file or a SMILES, with nothing about it written by hand."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from molgen.errors import UsageError
from molgen.systems.built import BuiltMolecule
from molgen.systems.definition import CVSection, DomainSection, ForceFieldSection, SystemDefinition, TopologySection
from molgen.systems.sequence import Termini
from molgen.systems.writing import TOPOLOGY_FILE, write_system

Constraints = Literal["none", "h-bonds"]
CisTrans = Literal["fixed", "free"]

DEFAULT_TEMPERATURE_K = 300.0


@dataclass(frozen=True)
class InitResult:
    """What was made: the folder, the system in it, and the sentences that say what was chosen for the user."""

    directory: Path
    system: str
    n_atoms: int
    temperature_k: float
    cvs: tuple[str, ...]
    choices: tuple[str, ...]
    files: tuple[Path, ...]

    @property
    def system_file(self) -> Path:
        """The system.toml, which every other command takes."""
        return self.files[0]

    def to_json(self) -> dict[str, Any]:
        """The fields as JSON-able values."""
        return {
            "directory": str(self.directory),
            "system": self.system,
            "n_atoms": self.n_atoms,
            "temperature_k": self.temperature_k,
            "cvs": list(self.cvs),
            "choices": list(self.choices),
            "files": [str(path) for path in self.files],
        }


def init(
    output: Path,
    *,
    sequence: str | None = None,
    pdb: Path | None = None,
    smiles: str | None = None,
    name: str | None = None,
    temperature_k: float = DEFAULT_TEMPERATURE_K,
    termini: Termini | None = None,
    ph: float | None = None,
    variants: Mapping[int, str] | None = None,
    disulphides: tuple[tuple[int, int], ...] = (),
    system_xml: Path | None = None,
    forcefield: tuple[str, ...] | None = None,
    chain: str | None = None,
    constraints: Constraints = "none",
    cis_trans: CisTrans = "fixed",
    seed: int = 1,
) -> InitResult:
    """Make a system of one molecule and write it to the folder ``output``.

    Exactly one of ``sequence`` (one-letter codes, with ``termini``, ``ph``, ``variants`` and ``disulphides`` as
    :func:`molgen.systems.sequence.parse_sequence` takes them), ``pdb`` (with ``system_xml``, or ``forcefield`` files,
    and ``chain``) and ``smiles`` (with ``seed``, that of its conformer) is given. ``name`` is that of the folder if it
    is None. ``UsageError`` where the arguments do not fit together, ``InputError`` where the molecule cannot be used;
    nothing is written then.
    """
    _check_arguments(locals())
    chosen = name or _name_of(output)
    if sequence is not None:
        options = (termini or "capped", 7.0 if ph is None else ph, variants, disulphides)
        molecule = _from_sequence(sequence, chosen, *options)
    elif pdb is not None:
        molecule = _from_pdb(pdb, chosen, system_xml, forcefield, chain, constraints)
    else:
        from molgen.systems.smiles import molecule_from_smiles

        molecule = molecule_from_smiles(smiles or "", name=chosen, seed=seed)
    description = f"{smiles or _residues(molecule)}, {_field(molecule, smiles)}"
    definition = _definition(molecule, description, temperature_k, constraints, cis_trans)
    files = write_system(molecule, definition, output)
    return InitResult(
        directory=output,
        system=molecule.name,
        n_atoms=molecule.topology.n_atoms,
        temperature_k=temperature_k,
        cvs=tuple(cv.name for cv in definition.cv),
        choices=molecule.choices,
        files=files,
    )


def _check_arguments(given: Mapping[str, Any]) -> None:
    sources = [key for key in ("sequence", "pdb", "smiles") if given[key] is not None]
    if len(sources) != 1:
        found = " and ".join(f"--{key}" for key in sources) or "none"
        raise UsageError(
            f"init needs one source of the molecule, {found} given.", "Give --sequence, --pdb or --smiles."
        )
    belongs = {
        "sequence": ("termini", "ph", "variants", "disulphides"),
        "pdb": ("system_xml", "forcefield", "chain"),
        "smiles": (),
    }
    if given["system_xml"] is not None and given["forcefield"]:
        raise UsageError("--system-xml is a whole force field; --forcefield names another.", "Give one of them.")
    if given["constraints"] != "none" and (given["system_xml"] is not None or given["smiles"] is not None):
        raise UsageError("A System XML says itself which bonds are fixed.", "Leave out --constraints.")
    for source, keys in belongs.items():
        for key in keys:
            if source != sources[0] and given[key] not in (None, (), {}):
                option = "--" + key.replace("_", "-").removesuffix("s")
                raise UsageError(f"{option} belongs to --{source}, not to --{sources[0]}.", f"Leave out {option}.")


def _name_of(output: Path) -> str:
    """The folder's name with what a name should not hold replaced."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", output.resolve().name).strip("-") or "molecule"


def _from_sequence(
    sequence: str,
    name: str,
    termini: Termini,
    ph: float,
    variants: Mapping[int, str] | None,
    disulphides: tuple[tuple[int, int], ...],
) -> BuiltMolecule:
    from molgen.systems.peptide import build_peptide
    from molgen.systems.sequence import parse_sequence

    parsed = parse_sequence(sequence, termini=termini, ph=ph, variants=variants, disulphides=disulphides)
    return build_peptide(parsed, name=name)


def _from_pdb(
    path: Path,
    name: str,
    system_xml: Path | None,
    files: tuple[str, ...] | None,
    chain: str | None,
    constraints: Constraints,
) -> BuiltMolecule:
    from molgen.systems.pdb_input import molecule_from_pdb

    forcefield = ForceFieldSection(constraints=constraints)
    if files is not None:
        forcefield = forcefield.model_copy(update={"files": files})
    return molecule_from_pdb(path, name=name, system_xml=system_xml, forcefield=forcefield, chain=chain)


def _definition(
    molecule: BuiltMolecule, description: str, temperature_k: float, constraints: Constraints, cis_trans: CisTrans
) -> SystemDefinition:
    forcefield = molecule.forcefield
    if molecule.system_xml is None:
        forcefield = forcefield.model_copy(update={"constraints": constraints})
    return SystemDefinition(
        name=molecule.name,
        description=description,
        temperature_k=temperature_k,
        topology=TopologySection(file=TOPOLOGY_FILE),
        forcefield=forcefield,
        domain=DomainSection(cis_trans=cis_trans),
        cv=_variables(molecule, forcefield, cis_trans),
    )


def _variables(molecule: BuiltMolecule, forcefield: ForceFieldSection, cis_trans: CisTrans) -> tuple[CVSection, ...]:
    from molgen.systems.forcefield import create_system_xml
    from molgen.systems.rotation import puckered_rings, rotatable_bonds, symmetric_rotor, tertiary_amides
    from molgen.systems.variables import collective_variables

    topology = molecule.topology
    xml = molecule.system_xml
    if xml is None:
        xml = create_system_xml(topology, forcefield, Path(), molecule.name)
    turning = sorted({*rotatable_bonds(topology, xml), *tertiary_amides(topology)})
    rotatable = [bond for bond in turning if not symmetric_rotor(topology, bond)]
    rings = puckered_rings(topology, molecule.positions)
    return collective_variables(topology, rotatable, rings=rings, cis_trans=cis_trans)


def _residues(molecule: BuiltMolecule) -> str:
    residues = {atom.residue_index: atom.residue_name for atom in molecule.topology.atoms}
    return "-".join(residues[key].capitalize() for key in sorted(residues))


def _field(molecule: BuiltMolecule, smiles: str | None) -> str:
    if smiles is not None:
        return "MMFF94"
    return "a System of its own" if molecule.system_xml is not None else ", ".join(molecule.forcefield.files)
