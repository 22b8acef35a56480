"""`molgen demo`: alanine dipeptide from nothing to a reweighted ensemble."""

from pathlib import Path

from molgen_cli import options as opt
from molgen_cli.output import print_plan, print_reweighting
from molgen_cli.progress import show_progress
from molgen_cli.session import guarded_run


def demo(
    output: opt.OutputOption = Path("molgen-demo"),
    allow_refused: opt.AllowRefusedOption = False,
    seed: opt.SeedOption = None,
    workers: opt.WorkersOption = opt.DEFAULT_WORKERS,
    platform: opt.PlatformOption = "auto",
    max_time: opt.MaxTimeOption = None,
    dry_run: opt.DryRunOption = False,
    as_json: opt.JsonOption = False,
    verbose: opt.VerboseOption = False,
    quiet: opt.QuietOption = False,
) -> None:
    """Simulate, train, sample and reweight alanine dipeptide in a few minutes."""
    with guarded_run(output, max_time) as interruption:
        from molgen import workflows

        if dry_run:
            print_plan(workflows.plan_demo(), as_json=as_json)
            return
        with show_progress(quiet=quiet, verbose=verbose) as progress:
            result = workflows.demo(
                output,
                seed=seed,
                workers=workers,
                platform=platform,
                progress=progress,
                interruption=interruption,
            )
        figures = {**result.to_json(), **result.reweighting.to_json()}
        print_reweighting(figures, as_json=as_json, allow_refused=allow_refused)
