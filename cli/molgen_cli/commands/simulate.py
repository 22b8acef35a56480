"""`molgen simulate`: molecular dynamics, plain or exploring."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from molgen_cli import options as opt
from molgen_cli.output import print_plan, print_result
from molgen_cli.progress import show_progress
from molgen_cli.session import guarded_run

if TYPE_CHECKING:
    from molgen.dynamics.schedule import Mode


def simulate(
    system: opt.SystemArgument,
    output: opt.OutputOption,
    time: Annotated[
        float,
        typer.Option("--time", metavar="TIME", parser=opt.simulation_time, help="Time to simulate in all, e.g. 5ns."),
    ],
    explore: Annotated[
        bool,
        typer.Option(
            "--explore/--plain", help="Hot runs find the states, short runs at the temperature follow; or plain."
        ),
    ] = False,
    temperature: Annotated[
        float | None,
        typer.Option("--temperature", metavar="K", min=1.0, help="In kelvin; the system's own by default."),
    ] = None,
    bias: Annotated[
        str | None,
        typer.Option(
            "--bias",
            metavar="TEXT",
            help='Umbrella sampling: plain dynamics under, e.g., "harmonic(phi, center=60deg, k=50 kJ/mol/rad^2)".',
        ),
    ] = None,
    start: Annotated[
        Path | None,
        typer.Option(
            "--start",
            metavar="FILE",
            help="Plain runs begin at its last frame: a structure, a trajectory or another run's directory.",
        ),
    ] = None,
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
    """Simulate SYSTEM and keep frames to train on (--explore), to compare with (--plain), or of one window (--bias)."""
    with guarded_run(output, max_time) as interruption:
        from molgen import workflows
        from molgen.systems import load_system

        settings = workflows.SimulationSettings().with_overrides(opt.at_temperature(overrides, temperature))
        loaded = load_system(system)
        mode: Mode = "explore" if explore else "plain"
        if dry_run:
            plan = workflows.plan_simulation(loaded, mode=mode, time_ps=time, bias=bias, start=start, settings=settings)
            print_plan(plan, as_json=as_json)
            return
        with show_progress(quiet=quiet, verbose=verbose) as progress:
            result = workflows.simulate(
                loaded,
                output,
                mode=mode,
                time_ps=time,
                bias=bias,
                start=start,
                settings=settings,
                seed=seed,
                workers=workers,
                platform=platform,
                progress=progress,
                interruption=interruption,
            )
        print_result("simulate", result.to_json(), result.directory, as_json=as_json)
