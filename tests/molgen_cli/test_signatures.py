"""What a command passes is what its workflow takes: the stand-in of the other tests would swallow anything."""

import importlib
import inspect
from collections.abc import Callable
from typing import Any

import pytest

MODULES = {"simulate": "simulation", "train": "training", "sample": "sampling", "reweight": "reweighting"}
COMMANDS = {
    "simulate": ("simulate", "ala", "--time", "5ns", "-o", "out"),
    "train": ("train", "ala", "md1", "-o", "out"),
    "sample": ("sample", "model", "-o", "out"),
    "reweight": ("reweight", "ensemble", "-o", "out"),
    "demo": ("demo",),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_fit_their_workflows(workflows: Any, molgen_command: Callable[..., int], command: str) -> None:
    assert molgen_command(*COMMANDS[command]) == 0
    assert molgen_command(*COMMANDS[command], "--dry-run") == 0
    home = importlib.import_module(f"molgen.workflows.{MODULES.get(command, 'demonstration')}")
    assert len(workflows.calls) == 2
    for name, arguments, options in workflows.calls:
        inspect.signature(getattr(home, name)).bind(*arguments, **options)
