"""What a command passes is what its workflow takes: the stand-in of the other tests would swallow anything."""

import inspect
from collections.abc import Callable
from typing import Any

import pytest

# The modules are imported before a test puts the stand-in in the place of their package.
from molgen.workflows import (
    checking,
    committor_flux,
    committor_passages,
    committor_paths,
    committor_run,
    conformer_export,
    demonstration,
    evaluation,
    exporting,
    reweighting,
    sampling,
    shooting,
    simulation,
    training,
)

COMMANDS = {
    "simulate": (simulation, ("simulate", "ala", "--time", "5ns", "-o", "out")),
    "train": (training, ("train", "ala", "md1", "-o", "out")),
    "sample": (sampling, ("sample", "model", "-o", "out")),
    "reweight": (reweighting, ("reweight", "ensemble", "-o", "out")),
    "shoot": (shooting, ("committor", "shoot", "ala", "md1", "-o", "out")),
    "committor run": (committor_run, ("committor", "run", "ala", "-o", "out")),
    "paths": (committor_paths, ("committor", "paths", "ala", "shots", "-o", "out", "--committor", "c")),
    "passages": (committor_passages, ("committor", "passages", "ala", "paths", "-o", "out", "--way", "ba")),
    "flux": (committor_flux, ("committor", "flux", "ala", "-o", "out", "--interface", "phi > -20deg")),
    "target": (
        reweighting,
        ("reweight", "e", "-o", "out", "--temperature", "310", "--system", "s.toml", "--restrain", "o.csv"),
    ),
    "umbrella": (simulation, ("simulate", "ala", "--plain", "--time", "5ns", "--bias", "harmonic(phi)", "-o", "out")),
    "demo": (demonstration, ("demo",)),
    "evaluate": (evaluation, ("evaluate", "model", "md", "--forces", "--noise", "0.01")),
    "export": (exporting, ("export", "result", "-o", "out.xtc", "-n", "5")),
    "conformers": (conformer_export, ("export", "result", "-o", "out", "--conformers", "5")),
}


def test_check_fits_its_workflow(workflows: Any, molgen_command: Callable[..., int]) -> None:
    molgen_command("check", "ala", "md1", "md2", "--stride", "2", "--platform", "CPU")
    ((name, given, options),) = workflows.calls
    inspect.signature(getattr(checking, name)).bind(*given, **options)


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_fit_their_workflows(workflows: Any, molgen_command: Callable[..., int], command: str) -> None:
    home, arguments = COMMANDS[command]
    assert molgen_command(*arguments) == 0
    assert molgen_command(*arguments, "--dry-run") == 0
    assert len(workflows.calls) == 2
    for name, given, options in workflows.calls:
        inspect.signature(getattr(home, name)).bind(*given, **options)
