"""`molgen committor paths`, `passages`, `flux` and `rate`: transition paths, and rates by several routes."""

from pathlib import Path
from typing import Annotated

import typer

from molgen_cli import options as opt
from molgen_cli.output import print_plan, print_rate, print_result
from molgen_cli.progress import show_progress
from molgen_cli.session import guarded_run

WayOption = Annotated[str, typer.Option("--way", metavar="WAY", help="both, ab (from A to B) or ba.")]


def paths(
    system: opt.SystemArgument,
    data: Annotated[
        list[Path], typer.Argument(metavar="DATA...", help="Where first paths are shot from: shots, or frames.")
    ],
    output: opt.OutputOption,
    count: Annotated[int, typer.Option("--count", "-n", min=1, help="Paths in all chains.")] = 500,
    committor: Annotated[
        Path | None,
        typer.Option("--committor", metavar="DIR", help="Shoot where this committor is near 1/2; without, alike."),
    ] = None,
    start: opt.FromOption = None,
    end: opt.ToOption = None,
    limit: opt.LimitOption = None,
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
    """Sample transition paths between two states of SYSTEM by two-way shooting."""
    with guarded_run(output, max_time) as interruption:
        from molgen import workflows
        from molgen.systems import load_system

        chosen = [*(overrides or ()), *([] if limit is None else [f"limit_ps={limit!r}"])]
        settings = workflows.PathsSettings().with_overrides(chosen)
        loaded = load_system(system)
        if dry_run:
            print_plan(workflows.plan_paths(loaded, n=count, a=start, b=end, settings=settings), as_json=as_json)
            return
        with show_progress(quiet=quiet, verbose=verbose) as progress:
            result = workflows.sample_paths(
                loaded,
                data,
                output,
                n=count,
                a=start,
                b=end,
                committor=committor,
                reading=workflows.ReadingOptions(stride, selection, topology),
                settings=settings,
                seed=seed,
                workers=workers,
                platform=platform,
                progress=progress,
                interruption=interruption,
            )
        print_result("committor paths", result.to_json(), result.directory, as_json=as_json)


def passages(
    system: opt.SystemArgument,
    output: opt.OutputOption,
    data: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[DATA...]", help="Where to begin: `committor paths`, or frames; else its structure."),
    ] = None,
    count: Annotated[int, typer.Option("--count", "-n", min=1, help="Passages each way.")] = 100,
    way: WayOption = "both",
    start: opt.FromOption = None,
    end: opt.ToOption = None,
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
    """Count and time direct passages between two states of SYSTEM, where these are affordable."""
    with guarded_run(output, max_time) as interruption:
        from molgen import workflows
        from molgen.systems import load_system

        settings = workflows.PassagesSettings().with_overrides(overrides or ())
        loaded = load_system(system)
        if dry_run:
            plan = workflows.plan_passages(loaded, count=count, a=start, b=end, way=way, settings=settings)
            print_plan(plan, as_json=as_json)
            return
        with show_progress(quiet=quiet, verbose=verbose) as progress:
            result = workflows.count_passages(
                loaded,
                data or [],
                output,
                count=count,
                a=start,
                b=end,
                way=way,
                reading=workflows.ReadingOptions(stride, selection, topology),
                settings=settings,
                seed=seed,
                workers=workers,
                platform=platform,
                progress=progress,
                interruption=interruption,
            )
        print_result("committor passages", result.to_json(), result.directory, as_json=as_json)


def flux(
    system: opt.SystemArgument,
    output: opt.OutputOption,
    interface: Annotated[
        str,
        typer.Option("--interface", metavar="CONDITION", help='Holds on the side of B, e.g. "phi > -20deg".'),
    ],
    data: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[DATA...]", help="Where to begin: `committor paths`, or frames; else its structure."),
    ] = None,
    count: Annotated[int, typer.Option("--count", "-n", min=1, help="First crossings each way.")] = 200,
    way: WayOption = "both",
    start: opt.FromOption = None,
    end: opt.ToOption = None,
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
    """Measure the flux through an interface of SYSTEM, and continue every first crossing to a state."""
    with guarded_run(output, max_time) as interruption:
        from molgen import workflows
        from molgen.systems import load_system

        settings = workflows.FluxSettings().with_overrides(overrides or ())
        loaded = load_system(system)
        if dry_run:
            plan = workflows.plan_flux(
                loaded, interface=interface, count=count, a=start, b=end, way=way, settings=settings
            )
            print_plan(plan, as_json=as_json)
            return
        with show_progress(quiet=quiet, verbose=verbose) as progress:
            result = workflows.measure_flux(
                loaded,
                data or [],
                output,
                interface=interface,
                count=count,
                a=start,
                b=end,
                way=way,
                reading=workflows.ReadingOptions(stride, selection, topology),
                settings=settings,
                seed=seed,
                workers=workers,
                platform=platform,
                progress=progress,
                interruption=interruption,
            )
        print_result("committor flux", result.to_json(), result.directory, as_json=as_json)


def rate(
    sources: Annotated[
        list[Path],
        typer.Argument(metavar="RUN...", help="Of `committor shoot` (frames at equilibrium), `flux`, `passages`."),
    ],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Directory for the result; a folder of the first RUN.")
    ] = None,
    committor: Annotated[
        Path | None,
        typer.Option("--committor", metavar="DIR", help="A committor, for the upper bound of overdamped dynamics."),
    ] = None,
    seed: opt.SeedOption = None,
    as_json: opt.JsonOption = False,
) -> None:
    """Rates between two states by every route that was measured, side by side."""
    with guarded_run(sources[0] if output is None else output):
        from molgen import workflows

        result = workflows.committor_rate(sources, output, committor=committor, seed=seed)
        print_rate(result.to_json(), as_json=as_json)
