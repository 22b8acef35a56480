"""Make the topology.pdb of the three alanine dipeptide systems: RDKit embedding, OpenMM minimisation, fixed seed.

    python scripts/make_alanine_dipeptide.py [-o DIRECTORY]     # default: data/systems of this repository

The same versions of RDKit and OpenMM give the same file.
"""

import argparse
import io
from pathlib import Path

import numpy as np
import openmm
from openmm import app, unit
from rdkit import Chem
from rdkit.Chem import AllChem

SMILES = "CC(=O)N[C@@H](C)C(=O)NC"
SEED = 7
SYSTEMS = ("alanine-dipeptide", "alanine-dipeptide-obc1", "alanine-dipeptide-vacuum")
# (residue, name, heavy atom in the SMILES, which of its hydrogens or None for the heavy atom itself)
ATOMS = (
    ("ACE", "HH31", 0, 0), ("ACE", "CH3", 0, None), ("ACE", "HH32", 0, 1), ("ACE", "HH33", 0, 2),
    ("ACE", "C", 1, None), ("ACE", "O", 2, None),
    ("ALA", "N", 3, None), ("ALA", "H", 3, 0), ("ALA", "CA", 4, None), ("ALA", "HA", 4, 0),
    ("ALA", "CB", 5, None), ("ALA", "HB1", 5, 0), ("ALA", "HB2", 5, 1), ("ALA", "HB3", 5, 2),
    ("ALA", "C", 6, None), ("ALA", "O", 7, None),
    ("NME", "N", 8, None), ("NME", "H", 8, 0), ("NME", "C", 9, None),
    ("NME", "H1", 9, 0), ("NME", "H2", 9, 1), ("NME", "H3", 9, 2),
)  # fmt: skip


def embedded() -> np.ndarray:
    """Positions (22, 3) in ångström in the order of ``ATOMS``."""
    molecule = Chem.AddHs(Chem.MolFromSmiles(SMILES))
    if AllChem.EmbedMolecule(molecule, randomSeed=SEED) != 0:
        raise SystemExit("RDKit could not embed the molecule.")
    AllChem.MMFFOptimizeMolecule(molecule)
    indices = []
    for _, _, heavy, hydrogen in ATOMS:
        neighbours = molecule.GetAtomWithIdx(heavy).GetNeighbors()
        hydrogens = [atom.GetIdx() for atom in neighbours if atom.GetAtomicNum() == 1]
        indices.append(heavy if hydrogen is None else hydrogens[hydrogen])
    return np.asarray(molecule.GetConformer().GetPositions())[indices]


def pdb_text(positions: np.ndarray) -> str:
    """A PDB file of ``positions`` in ångström, with the bonds that standard residues do not imply."""
    lines = []
    for serial, ((residue, name, _, _), (x, y, z)) in enumerate(zip(ATOMS, positions, strict=True), start=1):
        record = "ATOM  " if residue == "ALA" else "HETATM"
        number = {"ACE": 1, "ALA": 2, "NME": 3}[residue]
        padded = name if len(name) == 4 else f" {name:<3s}"
        lines.append(
            f"{record}{serial:5d} {padded} {residue} A{number:4d}    "
            f"{x:8.3f}{y:8.3f}{z:8.3f}  1.00  0.00          {name[0]:>2s}"
        )
    bonds = ((1, 2), (2, 3), (2, 4), (2, 5), (5, 6), (5, 7), (15, 17), (17, 18), (17, 19), (19, 20), (19, 21), (19, 22))
    lines += [f"CONECT{i:5d}{j:5d}" for i, j in bonds]
    return "\n".join([*lines, "END", ""])


def minimised(text: str) -> np.ndarray:
    """Positions (22, 3) in ångström at the nearest minimum of amber99sbildn + OBC, centred at the origin."""
    pdb = app.PDBFile(io.StringIO(text))
    forcefield = app.ForceField("amber99sbildn.xml", "amber99_obc.xml")
    system = forcefield.createSystem(pdb.topology, nonbondedMethod=app.NoCutoff, constraints=None)
    platform = openmm.Platform.getPlatformByName("Reference")
    context = openmm.Context(system, openmm.VerletIntegrator(0.001), platform)
    context.setPositions(pdb.positions)
    openmm.LocalEnergyMinimizer.minimize(context, tolerance=0.1)
    result = context.getState(getPositions=True).getPositions(asNumpy=True).value_in_unit(unit.angstrom)
    return np.asarray(result) - np.mean(result, axis=0)


def main() -> None:
    """Write the same topology.pdb into the folder of each system."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = Path(__file__).resolve().parent.parent / "data" / "systems"
    parser.add_argument("-o", "--output", type=Path, default=default)
    output = parser.parse_args().output
    text = pdb_text(minimised(pdb_text(embedded())))
    for name in SYSTEMS:
        (output / name).mkdir(parents=True, exist_ok=True)
        (output / name / "topology.pdb").write_text(text)
        print(output / name / "topology.pdb")


if __name__ == "__main__":
    main()
