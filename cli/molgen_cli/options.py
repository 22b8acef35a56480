"""Options that several subcommands share, each with one spelling and one meaning."""

from pathlib import Path
from typing import Annotated, NoReturn

import typer

from molgen.errors import UsageError
from molgen.provenance import available_cpus
from molgen.units import parse_duration_s, parse_time_ps


def _refuse(error: UsageError) -> NoReturn:
    raise typer.BadParameter(str(error))


def simulation_time(text: str | float) -> float:
    """``5ns`` in picoseconds, for Typer."""
    try:
        return parse_time_ps(str(text))
    except UsageError as error:
        _refuse(error)


def duration(text: str | float) -> float:
    """``30m`` in seconds, for Typer."""
    try:
        return parse_duration_s(str(text))
    except UsageError as error:
        _refuse(error)


def numbered(items: list[str], option: str, separator: str, example: str) -> dict[int, str]:
    """``["3=HID"]`` as ``{3: "HID"}``; ``UsageError`` for anything else and for a number given twice."""
    table: dict[int, str] = {}
    for item in items:
        number, found, value = item.partition(separator)
        if not found or not number.strip().isdecimal() or not value.strip():
            raise UsageError(f"{option} {item!r} is not of the form {example}.", f"Write {option} {example}.")
        if int(number) in table:
            raise UsageError(f"{option} names residue {int(number)} twice.", "Give every residue once.")
        table[int(number)] = value.strip()
    return table


def number_pairs(items: list[str], option: str, example: str) -> tuple[tuple[int, int], ...]:
    """``["2-7"]`` as ``((2, 7),)``; ``UsageError`` for anything else."""
    pairs = []
    for item in items:
        first, _, second = item.partition("-")
        if not first.strip().isdecimal() or not second.strip().isdecimal():
            raise UsageError(f"{option} {item!r} is not of the form {example}.", f"Write {option} {example}.")
        pairs.append((int(first), int(second)))
    return tuple(pairs)


SystemArgument = Annotated[
    str, typer.Argument(metavar="SYSTEM", help="Built-in name (see `molgen systems`) or path of a system.toml.")
]
OutputOption = Annotated[
    Path, typer.Option("--output", "-o", metavar="DIR", help="Run directory; the same command again continues it.")
]
SeedOption = Annotated[
    int | None, typer.Option("--seed", min=0, help="Root seed of all randomness; drawn and recorded if not given.")
]
WorkersOption = Annotated[
    int, typer.Option("--workers", min=1, help="Processes that share the work; results do not depend on it.")
]
PlatformOption = Annotated[
    str, typer.Option("--platform", help="OpenMM platform, or auto: the fastest, found by timing a few steps.")
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change one setting, e.g. --set a.b=3; repeatable."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output, nothing else.")]
VerboseOption = Annotated[
    bool, typer.Option("--verbose", "-v", help="Show every progress message, and tracebacks of errors.")
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Print steps, evaluations, memory and files; compute nothing.")
]
MaxTimeOption = Annotated[
    float | None,
    typer.Option(
        "--max-time", metavar="DURATION", parser=duration, help="Stop in good order after, e.g., 30m or 2h (exit 75)."
    ),
]
AllowRefusedOption = Annotated[
    bool, typer.Option("--allow-refused", help="Exit 0 where the verdict is refused; the verdict stays.")
]
StrideOption = Annotated[
    int, typer.Option("--stride", min=1, metavar="N", help="Take every N-th frame of each trajectory.")
]
SelectionOption = Annotated[
    str | None,
    typer.Option(
        "--selection", metavar="TEXT", help='Atoms of trajectory files to take, e.g. "protein" (mdtraj\'s language).'
    ),
]
TopologyOption = Annotated[
    Path | None,
    typer.Option(
        "--topology", metavar="FILE", help="PDB that names all atoms of DCD, XTC, TRR and NetCDF files with solvent."
    ),
]
FromOption = Annotated[
    str | None, typer.Option("--from", metavar="STATE", help="State A; not needed where there are just two.")
]
ToOption = Annotated[str | None, typer.Option("--to", metavar="STATE", help="State B.")]
LimitOption = Annotated[
    float | None, typer.Option("--limit", metavar="TIME", parser=simulation_time, help="Longest shot, e.g. 50ps.")
]
FeaturesOption = Annotated[
    str, typer.Option("--features", help="What q is a function of: internal (all coordinates), cv or equivariant.")
]

DEFAULT_WORKERS = available_cpus()


def at_temperature(overrides: list[str] | None, temperature_k: float | None) -> list[str]:
    """``overrides`` (--set) with ``--temperature`` as one of them, the last."""
    return [*(overrides or ()), *([] if temperature_k is None else [f"temperature_k={temperature_k!r}"])]
