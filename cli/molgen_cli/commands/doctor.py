"""`molgen doctor`: what this installation and machine can do, and what is missing."""

from pathlib import Path
from typing import Annotated

import typer

from molgen_cli import options as opt
from molgen_cli.output import print_diagnosis
from molgen_cli.session import guarded_run


def doctor(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where runs are to be kept.")] = Path(),
    as_json: opt.JsonOption = False,
) -> None:
    """Check packages, processors, memory, the disk of FOLDER and OpenMM's platforms; exit 3 if a needed one fails."""
    with guarded_run(None):
        from molgen import workflows

        print_diagnosis(workflows.diagnose(folder).to_json(), as_json=as_json)
