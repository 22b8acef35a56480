"""`molgen committor`: shooting between two states, and what is learned from it."""

from pathlib import Path
from typing import Annotated

import typer

from molgen_cli import options as opt
from molgen_cli.commands import committor_routes
from molgen_cli.output import print_committor, print_plan, print_result, print_selftest, print_transition_states
from molgen_cli.progress import show_progress
from molgen_cli.session import guarded_run

app = typer.Typer(
    help="Shoot between two states, and learn how transitions happen.", no_args_is_help=True, rich_markup_mode=None
)


@app.command("shoot")
def shoot(
    system: opt.SystemArgument,
    data: Annotated[
        list[Path], typer.Argument(metavar="DATA...", help="Frames to shoot from: run directories, trajectories.")
    ],
    output: opt.OutputOption,
    points: Annotated[int, typer.Option("--points", "-n", min=1, help="Configurations to shoot from.")] = 200,
    start: opt.FromOption = None,
    end: opt.ToOption = None,
    limit: opt.LimitOption = None,
    along: Annotated[
        Path | None,
        typer.Option("--along", metavar="COMMITTOR", help="Take points evenly along q of this committor."),
    ] = None,
    within: Annotated[
        float | None, typer.Option("--within", help="Only points whose q is nearer to 1/2 than this, as they weigh.")
    ] = None,
    region: Annotated[
        str | None,
        typer.Option("--region", metavar="CONDITION", help='Half of the points lie there: "-20deg < phi < 20deg".'),
    ] = None,
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
    """Shoot from frames of DATA between two states of SYSTEM until each shot has reached one of them."""
    with guarded_run(output, max_time) as interruption:
        from molgen import workflows
        from molgen.systems import load_system

        chosen = [*(overrides or ()), *([] if limit is None else [f"limit_ps={limit!r}"])]
        settings = workflows.ShootingSettings().with_overrides(chosen)
        loaded = load_system(system)
        if dry_run:
            plan = workflows.plan_shooting(loaded, points=points, a=start, b=end, settings=settings)
            print_plan(plan, as_json=as_json)
            return
        with show_progress(quiet=quiet, verbose=verbose) as progress:
            result = workflows.shoot(
                loaded,
                data,
                output,
                points=points,
                a=start,
                b=end,
                along=along,
                within=within,
                region=region,
                reading=workflows.ReadingOptions(stride, selection, topology),
                settings=settings,
                seed=seed,
                workers=workers,
                platform=platform,
                progress=progress,
                interruption=interruption,
            )
        print_result("shoot", result.to_json(), result.directory, as_json=as_json)


@app.command("run")
def run(
    system: opt.SystemArgument,
    output: opt.OutputOption,
    data: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[DATA...]", help="Frames to begin with; without any, hot dynamics finds them."),
    ] = None,
    shots: Annotated[int, typer.Option("--shots", "-n", min=1, help="Shots in all.")] = 20_000,
    start: opt.FromOption = None,
    end: opt.ToOption = None,
    features: opt.FeaturesOption = "internal",
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
    """Learn the committor between two states of SYSTEM: explore, then shoot in rounds where it is least known."""
    with guarded_run(output, max_time) as interruption:
        from molgen import workflows
        from molgen.systems import load_system

        chosen = [*(overrides or ()), *([] if limit is None else [f"limit_ps={limit!r}"])]
        if features != "internal":
            chosen.append(f"fitting.model.features={features}")
        settings = workflows.CommittorRunSettings().with_overrides(chosen)
        loaded, frames = load_system(system), data or []
        if dry_run:
            plan = workflows.plan_committor_run(loaded, frames, shots=shots, a=start, b=end, settings=settings)
            print_plan(plan, as_json=as_json)
            return
        with show_progress(quiet=quiet, verbose=verbose) as progress:
            result = workflows.run_committor(
                loaded,
                frames,
                output,
                shots=shots,
                a=start,
                b=end,
                reading=workflows.ReadingOptions(stride, selection, topology),
                settings=settings,
                seed=seed,
                workers=workers,
                platform=platform,
                progress=progress,
                interruption=interruption,
            )
        print_result("committor run", result.to_json(), result.directory, as_json=as_json)


SystemOption = Annotated[
    str | None,
    typer.Option("--system", metavar="SYSTEM", help="Whose structures a file holds; a shooting run knows its own."),
]


@app.command("fit")
def fit(
    shots: Annotated[
        Path,
        typer.Argument(metavar="SHOTS", help="Directory of `committor shoot`, or NPZ or CSV with S and K."),
    ],
    output: opt.OutputOption,
    system: SystemOption = None,
    start: Annotated[str | None, typer.Option("--from", metavar="STATE", help="State A, for a file.")] = None,
    end: Annotated[str | None, typer.Option("--to", metavar="STATE", help="State B, for a file.")] = None,
    features: opt.FeaturesOption = "internal",
    ensemble: Annotated[
        list[Path] | None,
        typer.Option("--ensemble", metavar="RUN", help="Boltzmann-weighted frames, for the variational term."),
    ] = None,
    stride: opt.StrideOption = 1,
    selection: opt.SelectionOption = None,
    topology: opt.TopologyOption = None,
    seed: opt.SeedOption = None,
    platform: opt.PlatformOption = "auto",
    overrides: opt.SetOption = None,
    as_json: opt.JsonOption = False,
    verbose: opt.VerboseOption = False,
    quiet: opt.QuietOption = False,
) -> None:
    """Fit the chance to reach state B before A to SHOTS."""
    with guarded_run(output):
        from molgen import workflows
        from molgen.systems import load_system

        settings = workflows.FittingSettings().with_overrides([f"model.features={features}", *(overrides or ())])
        with show_progress(quiet=quiet, verbose=verbose) as progress:
            result = workflows.fit(
                shots,
                output,
                system=None if system is None else load_system(system),
                a=start,
                b=end,
                ensemble=ensemble or [],
                reading=workflows.ReadingOptions(stride, selection, topology),
                settings=settings,
                seed=seed,
                platform=platform,
                progress=progress,
            )
        print_result("committor fit", result.to_json(), result.directory, as_json=as_json)


@app.command("evaluate")
def evaluate(
    committor: Annotated[Path, typer.Argument(metavar="COMMITTOR", help="Directory of `committor fit` or `run`.")],
    output: opt.OutputOption,
    shots: Annotated[
        Path | None,
        typer.Argument(metavar="[SHOTS]", help="Shots that it was not fitted to; without, those `run` kept."),
    ] = None,
    system: SystemOption = None,
    seed: opt.SeedOption = None,
    as_json: opt.JsonOption = False,
) -> None:
    """Judge COMMITTOR by SHOTS: log loss beside its floor, calibration, and the spread of q where it predicts 1/2."""
    with guarded_run(output):
        from molgen import workflows
        from molgen.systems import load_system

        loaded = None if system is None else load_system(system)
        result = workflows.evaluate_committor(committor, shots, output, system=loaded, seed=seed)
        print_committor(result.to_json(), as_json=as_json)


@app.command("transition-states")
def transition_states(
    committor: Annotated[Path, typer.Argument(metavar="COMMITTOR", help="Directory of `committor fit` or `run`.")],
    ensembles: Annotated[
        list[Path],
        typer.Argument(metavar="ENSEMBLE...", help="Directory of `molgen reweight`, or frames at equilibrium."),
    ],
    output: opt.OutputOption,
    delta: Annotated[float, typer.Option("--delta", help="Frames with |q - 1/2| below this.")] = 0.05,
    ending: Annotated[str, typer.Option("--format", help="Of the trajectory: dcd, xtc or pdb.")] = "dcd",
    stride: opt.StrideOption = 1,
    selection: opt.SelectionOption = None,
    topology: opt.TopologyOption = None,
    allow_refused: opt.AllowRefusedOption = False,
    as_json: opt.JsonOption = False,
) -> None:
    """Write the Boltzmann-weighted frames of ENSEMBLE with q near 1/2, with their weights."""
    with guarded_run(output):
        from molgen import workflows

        result = workflows.transition_ensemble(
            committor,
            ensembles,
            output,
            delta=delta,
            ending=ending,
            reading=workflows.ReadingOptions(stride, selection, topology),
            allow_refused=allow_refused,
        )
        print_transition_states(result.to_json(), as_json=as_json)


@app.command("selftest")
def selftest(
    parts: Annotated[
        list[str] | None, typer.Argument(metavar="[PART...]", help="Some of its parts; all of them unless given.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Root seed of all randomness.")] = 1,
    workers: opt.WorkersOption = opt.DEFAULT_WORKERS,
    as_json: opt.JsonOption = False,
    verbose: opt.VerboseOption = False,
    quiet: opt.QuietOption = False,
) -> None:
    """Shoot, fit and estimate rates on systems with known answers; exit 4 if a figure is beyond its bound."""
    with guarded_run(None) as interruption:
        from molgen import workflows

        with show_progress(quiet=quiet, verbose=verbose) as progress:
            result = workflows.selftest(
                tuple(parts or ()), seed=seed, workers=workers, progress=progress, interruption=interruption
            )
        print_selftest(result.to_json(), as_json=as_json)


app.command("paths")(committor_routes.paths)
app.command("passages")(committor_routes.passages)
app.command("flux")(committor_routes.flux)
app.command("rate")(committor_routes.rate)
