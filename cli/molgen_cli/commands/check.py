"""`molgen check`: what would go wrong, before hours are spent."""

from pathlib import Path
from typing import Annotated

import typer

from molgen_cli import options as opt
from molgen_cli.output import print_check
from molgen_cli.progress import show_progress
from molgen_cli.session import guarded_run


def check(
    system: opt.SystemArgument,
    trajectories: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[TRAJ...]", help="Frames to be trained on or compared with, as `molgen train` takes."),
    ] = None,
    stride: opt.StrideOption = 1,
    selection: opt.SelectionOption = None,
    topology: opt.TopologyOption = None,
    platform: opt.PlatformOption = "auto",
    as_json: opt.JsonOption = False,
    verbose: opt.VerboseOption = False,
    quiet: opt.QuietOption = False,
) -> None:
    """Check SYSTEM and the frames in TRAJ; exit 3 if there is a problem. Nothing is written."""
    with guarded_run(None):
        from molgen import workflows

        reading = workflows.ReadingOptions(stride, selection, topology)
        with show_progress(quiet=quiet, verbose=verbose) as progress:
            result = workflows.check(system, trajectories or [], reading=reading, platform=platform, progress=progress)
        print_check(result.to_json(), as_json=as_json)
