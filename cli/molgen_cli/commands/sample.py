"""`molgen sample`: independent draws from a trained model."""

from pathlib import Path
from typing import Annotated

import typer

from molgen_cli import options as opt
from molgen_cli.output import print_plan, print_result
from molgen_cli.progress import show_progress
from molgen_cli.session import guarded_run


def sample(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="Directory of `molgen train`.")],
    output: opt.OutputOption,
    n: Annotated[int, typer.Option("--number", "-n", min=1, help="Number of draws.")] = 20_000,
    bias: Annotated[
        str | None,
        typer.Option(
            "--bias",
            metavar="TEXT",
            help='Push the draws, e.g. "harmonic(phi, center=60deg, k=50 kJ/mol/rad^2)" or auto:phi, or a TOML file; '
            "weights stay exact.",
        ),
    ] = None,
    method: Annotated[
        str,
        typer.Option("--method", help="How draws reach the target: auto, latent, guided, or annealed (by forces)."),
    ] = "auto",
    temperature: Annotated[
        float | None,
        typer.Option("--temperature", metavar="K", min=1.0, help="In kelvin; for a model trained on several."),
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
    """Draw an ensemble from MODEL, each frame with the logarithm of its density."""
    with guarded_run(output, max_time) as interruption:
        from molgen import workflows

        settings = workflows.SamplingSettings().with_overrides(opt.at_temperature(overrides, temperature))
        if dry_run:
            plan = workflows.plan_sampling(model, n=n, bias=bias, method=method, settings=settings)
            print_plan(plan, as_json=as_json)
            return
        with show_progress(quiet=quiet, verbose=verbose) as progress:
            result = workflows.sample(
                model,
                output,
                n=n,
                bias=bias,
                method=method,
                settings=settings,
                seed=seed,
                workers=workers,
                platform=platform,
                progress=progress,
                interruption=interruption,
            )
        print_result("sample", result.to_json(), result.directory, as_json=as_json)
