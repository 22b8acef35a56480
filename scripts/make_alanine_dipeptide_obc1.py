"""Make data/systems/alanine-dipeptide-obc1/system.xml from openmmtools (needed only here; molgen does not import it).

    python scripts/make_alanine_dipeptide_obc1.py [-o FILE]

The atoms of openmmtools' ``AlanineDipeptideImplicit`` are checked one by one against topology.pdb.
"""

import argparse
from pathlib import Path

import openmm
from openmm import app
from openmmtools import testsystems

CAP_NAMES = {"HH31": "H1", "HH32": "H2", "HH33": "H3"}


def atoms(topology: app.Topology) -> list[tuple[str, str, str]]:
    """(residue, name, element) of every atom, cap hydrogens and the NME methyl under one spelling."""
    spelling = {
        ("NME", "CH3"): "C",
        **{(cap, name): short for cap in ("ACE", "NME") for name, short in CAP_NAMES.items()},
    }
    residue_and_name = [(a.residue.name, a.name) for a in topology.atoms()]
    elements = [a.element.symbol for a in topology.atoms()]
    return [(r, spelling.get((r, n), n), e) for (r, n), e in zip(residue_and_name, elements, strict=True)]


def main() -> None:
    """Check the atoms, drop the centre-of-mass motion remover, write the System."""
    folder = Path(__file__).resolve().parent.parent / "data" / "systems" / "alanine-dipeptide-obc1"
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, default=folder / "system.xml")
    output = parser.parse_args().output
    theirs = testsystems.AlanineDipeptideImplicit(constraints=None)
    ours = app.PDBFile(str(folder / "topology.pdb"))
    for index, (a, b) in enumerate(zip(atoms(ours.topology), atoms(theirs.topology), strict=True)):
        if a != b:
            raise SystemExit(f"atom {index} is {b} in openmmtools and {a} in topology.pdb")
    bonds = [sorted((a.index, b.index) for a, b in topology.bonds()) for topology in (ours.topology, theirs.topology)]
    if {tuple(sorted(bond)) for bond in bonds[0]} != {tuple(sorted(bond)) for bond in bonds[1]}:
        raise SystemExit("the bonds differ")
    system = theirs.system
    for index in reversed(range(system.getNumForces())):
        if isinstance(system.getForce(index), openmm.CMMotionRemover):
            system.removeForce(index)
    if system.getNumConstraints() != 0:
        raise SystemExit("the System has constraints")
    output.write_text(openmm.XmlSerializer.serialize(system))
    print(output)


if __name__ == "__main__":
    main()
