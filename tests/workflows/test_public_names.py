"""The names that `molgen.workflows` offers."""

import importlib
from pathlib import Path

from molgen import workflows


def test_no_function_has_the_name_of_a_module() -> None:
    """An imported module becomes an attribute of its package, and would stand where the function is looked for."""
    folder = Path(workflows.__file__).parent
    modules = {path.stem for path in folder.glob("*.py")}
    assert not modules & set(workflows.__all__)


def test_every_name_is_there_before_and_after_its_module_was_imported() -> None:
    for name in workflows.__all__:
        found = getattr(workflows, name)
        importlib.import_module(found.__module__)
        assert getattr(workflows, name) is found
