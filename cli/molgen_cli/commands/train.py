"""`molgen train`: a generative model from frames and the energy."""

from pathlib import Path
from typing import Annotated

import typer

from molgen_cli import options as opt
from molgen_cli.output import print_plan, print_result
from molgen_cli.progress import show_progress
from molgen_cli.session import guarded_run


def train(
    system: opt.SystemArgument,
    data: Annotated[
        list[Path], typer.Argument(metavar="DATA...", help="Directories of `molgen simulate`, ensembles, trajectories.")
    ],
    output: opt.OutputOption,
    model: Annotated[
        str,
        typer.Option(
            "--model",
            metavar="NAME",
            help="spline (torsions and bonds), flow-matching or diffusion (positions), or auto: what suits SYSTEM.",
        ),
    ] = "auto",
    stride: opt.StrideOption = 1,
    selection: opt.SelectionOption = None,
    topology: opt.TopologyOption = None,
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
    """Train a model of SYSTEM on DATA; --set takes the settings of the model chosen."""
    with guarded_run(output, max_time) as interruption:
        from molgen import workflows
        from molgen.systems import load_system

        reading = workflows.ReadingOptions(stride, selection, topology)
        loaded = load_system(system)
        settings = workflows.training_settings(loaded, model).with_overrides(overrides or ())
        if dry_run:
            plan = workflows.plan_training(loaded, data, model=model, reading=reading, settings=settings)
            print_plan(plan, as_json=as_json)
            return
        with show_progress(quiet=quiet, verbose=verbose) as progress:
            result = workflows.train(
                loaded,
                data,
                output,
                model=model,
                reading=reading,
                settings=settings,
                seed=seed,
                workers=workers,
                platform=platform,
                progress=progress,
                interruption=interruption,
            )
        print_result("train", result.to_json(), result.directory, as_json=as_json)
