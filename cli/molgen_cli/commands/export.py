"""`molgen export`: frames and conformers for other programs."""

from pathlib import Path
from typing import Annotated, Any

import typer

from molgen.errors import UsageError
from molgen_cli import options as opt
from molgen_cli.output import print_conformers, print_export, print_plan
from molgen_cli.progress import show_progress
from molgen_cli.session import guarded_run


def export(
    source: Annotated[
        Path, typer.Argument(metavar="SOURCE", help="Directory of `molgen reweight`, `sample` or `simulate`.")
    ],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="FILE", help="File to write: .xtc, .dcd or .pdb says in what format."),
    ],
    n: Annotated[
        int | None, typer.Option("--number", "-n", min=1, help="Number of frames; 1000 where they are drawn by weight.")
    ] = None,
    state: Annotated[str | None, typer.Option("--state", metavar="NAME", help="Frames of this state only.")] = None,
    weighted: Annotated[
        bool, typer.Option("--weighted", help="All frames that have weight, and a CSV file with their weights.")
    ] = False,
    raw: Annotated[bool, typer.Option("--raw", help="Frames of a sample or umbrella run as they are.")] = False,
    conformers: Annotated[
        int | None,
        typer.Option("--conformers", metavar="N", min=1, help="The N most populated conformers instead of frames."),
    ] = None,
    ensemble: Annotated[
        Path | None, typer.Option("--ensemble", metavar="PATH", help="The draws behind SOURCE, if they were moved.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace files that are there already.")] = False,
    allow_refused: opt.AllowRefusedOption = False,
    seed: opt.SeedOption = None,
    dry_run: opt.DryRunOption = False,
    as_json: opt.JsonOption = False,
    verbose: opt.VerboseOption = False,
    quiet: opt.QuietOption = False,
) -> None:
    """Write the frames of SOURCE, drawn by their weights, or its conformers."""
    with guarded_run(None):
        from molgen import workflows

        common: dict[str, Any] = {"ensemble": ensemble, "allow_refused": allow_refused, "force": force}
        if conformers is not None:
            if weighted or raw or state is not None or n is not None or seed is not None:
                raise UsageError(
                    "--conformers takes all weighted frames.", "Leave out -n, --state, --weighted, --raw and --seed."
                )
            if dry_run:
                print_plan(workflows.plan_conformers(source, output, n=conformers, **common), as_json=as_json)
                return
            with show_progress(quiet=quiet, verbose=verbose) as progress:
                found = workflows.conformers(source, output, n=conformers, progress=progress, **common)
            print_conformers(found.to_json(), as_json=as_json)
            return
        choice: dict[str, Any] = {"n": n, "state": state, "weighted": weighted, "raw": raw}
        if dry_run:
            print_plan(workflows.plan_export(source, output, **choice, **common), as_json=as_json)
            return
        with show_progress(quiet=quiet, verbose=verbose) as progress:
            result = workflows.export(source, output, seed=seed, progress=progress, **choice, **common)
        print_export(result.to_json(), as_json=as_json)
