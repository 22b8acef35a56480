"""`molgen evaluate`: what a model has learned of the forces."""

from pathlib import Path
from typing import Annotated

import typer

from molgen_cli import options as opt
from molgen_cli.output import print_evaluation, print_plan
from molgen_cli.progress import show_progress
from molgen_cli.session import guarded_run


def evaluate(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="Directory of `molgen train`.")],
    data: Annotated[
        list[Path], typer.Argument(metavar="DATA...", help="Simulate directories, ensembles or trajectory files.")
    ],
    forces: Annotated[
        bool, typer.Option("--forces", help="Compare the model's score with the forces of the force field.")
    ] = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="DIR", help="Run directory for evaluation.json.")
    ] = None,
    frames: Annotated[int, typer.Option("--frames", min=2, help="Frames compared, at even distance.")] = 500,
    noise: Annotated[
        list[float] | None,
        typer.Option("--noise", min=0.0, metavar="NM", help="Noise level in nm of a score that has one; repeatable."),
    ] = None,
    stride: opt.StrideOption = 1,
    selection: opt.SelectionOption = None,
    topology: opt.TopologyOption = None,
    seed: opt.SeedOption = None,
    workers: opt.WorkersOption = opt.DEFAULT_WORKERS,
    platform: opt.PlatformOption = "auto",
    max_time: opt.MaxTimeOption = None,
    dry_run: opt.DryRunOption = False,
    as_json: opt.JsonOption = False,
    verbose: opt.VerboseOption = False,
    quiet: opt.QuietOption = False,
) -> None:
    """Compare what MODEL has learned with the forces on the frames of DATA."""
    with guarded_run(output, max_time) as interruption:
        from molgen import workflows

        if dry_run:
            print_plan(workflows.plan_evaluation(model, frames=frames, noise=noise), as_json=as_json)
            return
        with show_progress(quiet=quiet, verbose=verbose) as progress:
            result = workflows.evaluate(
                model,
                data,
                output,
                forces=forces,
                frames=frames,
                noise=noise,
                reading=workflows.ReadingOptions(stride, selection, topology),
                seed=seed,
                workers=workers,
                platform=platform,
                progress=progress,
                interruption=interruption,
            )
        print_evaluation(result.to_json(), as_json=as_json)
