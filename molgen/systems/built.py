"""A molecule that was built for the user and is not yet a system on disk."""

from dataclasses import dataclass

from molgen.arrays import FloatArray
from molgen.systems.definition import ForceFieldSection
from molgen.systems.topology import MolecularTopology


@dataclass(frozen=True, eq=False)
class BuiltMolecule:
    """A molecule before it is written as a system: what `init` makes from a sequence, a PDB or a SMILES.

    ``positions`` (N, 3) are in nm. ``system_xml`` is a serialised OpenMM System without a centre-of-mass motion
    remover, or None where the System is made from ``forcefield.files``. ``choices`` are sentences for the user:
    what was chosen for them.
    """

    name: str
    topology: MolecularTopology
    positions: FloatArray
    forcefield: ForceFieldSection
    system_xml: str | None = None
    choices: tuple[str, ...] = ()
