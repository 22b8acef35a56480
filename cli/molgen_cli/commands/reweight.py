"""`molgen reweight`: weights, populations, free energies and the verdict."""

from pathlib import Path
from typing import Annotated

import typer

from molgen_cli import options as opt
from molgen_cli.output import print_plan, print_reweighting
from molgen_cli.progress import show_progress
from molgen_cli.session import guarded_run


def reweight(
    ensembles: Annotated[
        list[Path],
        typer.Argument(
            metavar="ENSEMBLE...",
            help="Directories of `molgen sample`, weighed together if there are several; then also of plain dynamics.",
        ),
    ],
    output: opt.OutputOption,
    reference: Annotated[
        Path | None,
        typer.Option("--reference", metavar="PATH", help="Frames at equilibrium, not trained on, to compare with."),
    ] = None,
    stride: opt.StrideOption = 1,
    selection: opt.SelectionOption = None,
    topology: opt.TopologyOption = None,
    model: Annotated[
        Path | None,
        typer.Option(
            "--model", metavar="DIR", help="The ensemble's model, if it was moved; found by itself otherwise."
        ),
    ] = None,
    allow_refused: opt.AllowRefusedOption = False,
    allow_noisy_density: Annotated[
        bool, typer.Option("--allow-noisy-density", help="Weigh draws whose log-density is an estimate with noise.")
    ] = False,
    seed: opt.SeedOption = None,
    workers: opt.WorkersOption = opt.DEFAULT_WORKERS,
    platform: opt.PlatformOption = "auto",
    overrides: opt.SetOption = None,
    max_time: opt.MaxTimeOption = None,
    dry_run: opt.DryRunOption = False,
    as_json: opt.JsonOption = False,
    verbose: opt.VerboseOption = False,
    quiet: opt.QuietOption = False,
) -> None:
    """Reweight one or more ENSEMBLES to the Boltzmann distribution; they are not changed themselves."""
    with guarded_run(output, max_time) as interruption:
        from molgen import workflows

        settings = workflows.ReweightSettings().with_overrides(overrides or ())
        reading = workflows.ReadingOptions(stride, selection, topology)
        if dry_run:
            print_plan(workflows.plan_reweighting(ensembles, reference=reference, settings=settings), as_json=as_json)
            return
        with show_progress(quiet=quiet, verbose=verbose) as progress:
            result = workflows.reweight(
                ensembles,
                output,
                reference=reference,
                reading=reading,
                model=model,
                settings=settings,
                seed=seed,
                workers=workers,
                platform=platform,
                progress=progress,
                interruption=interruption,
                allow_refused=True,  # so that the numbers are there to print; the exit code is set below
                allow_noisy_density=allow_noisy_density,
            )
        print_reweighting(result.to_json(), as_json=as_json, allow_refused=allow_refused)
