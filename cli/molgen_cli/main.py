"""The application and its entry point: errors become one line and an exit code."""

import os
import sys
import traceback
from typing import Annotated, NoReturn

import typer

import molgen
from molgen.errors import MolgenError
from molgen_cli.commands import (
    check,
    committor,
    demo,
    doctor,
    evaluate,
    export,
    init,
    reweight,
    sample,
    simulate,
    systems,
    train,
)
from molgen_cli.session import UnexpectedError

app = typer.Typer(
    name="molgen",
    help="Boltzmann ensembles of molecules, with error bars that can be believed.",
    no_args_is_help=True,
    rich_markup_mode=None,  # plain help: importing Rich for it would double the time of --help
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done, 2 usage, 3 bad input, 4 refused, 5 partial, 75 interrupted (run again to continue).",
)

app.command("init")(init.init)
app.command("check")(check.check)
app.command("simulate")(simulate.simulate)
app.command("train")(train.train)
app.command("sample")(sample.sample)
app.command("reweight")(reweight.reweight)
app.command("evaluate")(evaluate.evaluate)
app.command("export")(export.export)
app.add_typer(committor.app, name="committor")
app.command("demo")(demo.demo)
app.command("systems")(systems.systems)
app.command("doctor")(doctor.doctor)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"molgen {molgen.__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Boltzmann ensembles of molecules, with error bars that can be believed."""


def run() -> NoReturn:
    """Entry point of the command ``molgen``."""
    try:
        app()
    except MolgenError as error:
        _explain(error, str(error))
        sys.exit(error.exit_code)
    except UnexpectedError as error:
        _explain(error, f"Unexpected {error}. The traceback is in {error.where}.")
        sys.exit(1)
    except BrokenPipeError:  # the reader of our output, such as head, has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    sys.exit(0)


def _explain(error: Exception, sentence: str) -> None:
    if {"-v", "--verbose"} & set(sys.argv[1:]):
        traceback.print_exception(error)
    print(f"molgen: error: {' '.join(sentence.split())}", file=sys.stderr)
