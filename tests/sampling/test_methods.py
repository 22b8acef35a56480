"""The table of methods: every row leads to a function of the same arguments, other records are refused."""

import importlib
import inspect

import pytest

from molgen.errors import InputError
from molgen.sampling.methods import METHODS, check_record, model_of_record
from molgen.systems.loading import load_system


def test_every_row_has_the_same_arguments() -> None:
    expected = list(inspect.signature(model_of_record).parameters)
    for name, place in METHODS.items():
        module, _, function = place.partition(":")
        found = getattr(importlib.import_module(module), function)
        assert list(inspect.signature(found).parameters) == expected, name


@pytest.mark.parametrize("record", [{}, {"method": "annealed"}, {"method": None}, {"method": ["latent"]}])
def test_an_unknown_method_has_no_density(record: dict[str, object]) -> None:
    with pytest.raises(InputError, match="ensemble was drawn with a bias by"):
        check_record(record, "ensemble")
    with pytest.raises(InputError, match="not known here"):
        model_of_record(object(), record, load_system("double-well"), "ensemble")


@pytest.mark.parametrize("name", list(METHODS))
def test_a_model_of_another_kind_is_refused(name: str) -> None:
    record = {"method": name, "text": "linear(x, slope=1 kT)"}
    with pytest.raises(InputError):
        model_of_record(object(), record, load_system("double-well"), "ensemble")
