"""`molgen init`: a system from a sequence, a PDB file or a SMILES."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from molgen_cli import options as opt
from molgen_cli.output import print_init
from molgen_cli.session import guarded_run


class Termini(StrEnum):
    """The ends of a peptide."""

    capped = "capped"
    zwitterion = "zwitterion"


class CisTrans(StrEnum):
    """Whether peptide bonds may turn."""

    fixed = "fixed"
    free = "free"


class Constraints(StrEnum):
    """Which bonds have a fixed length."""

    none = "none"
    h_bonds = "h-bonds"


def init(
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Folder to write the system to.")],
    sequence: Annotated[
        str | None, typer.Option("--sequence", metavar="LETTERS", help="Peptide in one-letter codes, 1 to 20.")
    ] = None,
    pdb: Annotated[
        Path | None, typer.Option("--pdb", metavar="FILE", help="One molecule with all its hydrogens.")
    ] = None,
    smiles: Annotated[
        str | None, typer.Option("--smiles", metavar="SMILES", help="A molecule, its stereo written out.")
    ] = None,
    termini: Annotated[
        Termini | None, typer.Option("--termini", help="Ends of the sequence: ACE and NME (default), or NH3+ and COO-.")
    ] = None,
    ph: Annotated[
        float | None, typer.Option("--ph", min=0.0, max=14.0, help="pH that decides the protonation; 7 if not given.")
    ] = None,
    variant: Annotated[
        list[str] | None,
        typer.Option("--variant", metavar="N=NAME", help="Protonation of one residue, e.g. 3=HID; repeatable."),
    ] = None,
    disulphide: Annotated[
        list[str] | None,
        typer.Option("--disulphide", metavar="N-M", help="A bond between two cysteines, e.g. 2-7; repeatable."),
    ] = None,
    system_xml: Annotated[
        Path | None,
        typer.Option("--system-xml", metavar="FILE", help="Serialised OpenMM System of the molecule in --pdb."),
    ] = None,
    forcefield: Annotated[
        str | None,
        typer.Option("--forcefield", metavar="A.XML,B.XML", help="Force field of --pdb instead of amber99sbildn, OBC."),
    ] = None,
    chain: Annotated[str | None, typer.Option("--chain", metavar="ID", help="The one chain of --pdb to take.")] = None,
    name: Annotated[
        str | None, typer.Option("--name", help="The system's name; that of the folder if not given.")
    ] = None,
    temperature: Annotated[float, typer.Option("--temperature", metavar="K", min=1.0, help="In kelvin.")] = 300.0,
    cis_trans: Annotated[
        CisTrans, typer.Option("--cis-trans", help="Whether peptide bonds may turn between cis and trans.")
    ] = CisTrans.fixed,
    constraints: Annotated[
        Constraints, typer.Option("--constraints", help="Fixed bond lengths (a System XML has its own).")
    ] = Constraints.none,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the conformer of --smiles.")] = 1,
    as_json: opt.JsonOption = False,
    verbose: opt.VerboseOption = False,
) -> None:
    """Make a system from --sequence, --pdb or --smiles: force field, starting structure, collective variables."""
    with guarded_run(None):
        variants = opt.numbered(variant or [], "--variant", "=", "3=HID")
        bridges = opt.number_pairs(disulphide or [], "--disulphide", "2-7")

        from molgen import workflows

        result = workflows.init(
            output,
            sequence=sequence,
            pdb=pdb,
            smiles=smiles,
            name=name,
            temperature_k=temperature,
            termini=termini.value if termini else None,
            ph=ph,
            variants=variants,
            disulphides=bridges,
            system_xml=system_xml,
            forcefield=tuple(part.strip() for part in forcefield.split(",")) if forcefield else None,
            chain=chain,
            constraints=constraints.value,
            cis_trans=cis_trans.value,
            seed=seed,
        )
        print_init(result.to_json(), as_json=as_json)
