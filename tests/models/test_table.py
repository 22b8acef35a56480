import inspect

import pytest

from molgen.errors import InputError
from molgen.models.base import GenerativeModel
from molgen.models.table import MODELS, model_class


@pytest.mark.parametrize("name", sorted(MODELS))
def test_every_model_has_the_methods_of_the_contract(name: str) -> None:
    found = model_class(name)
    for method, contract in inspect.getmembers(GenerativeModel, inspect.isfunction):
        if not method.startswith("_"):
            assert list(inspect.signature(getattr(found, method)).parameters) == list(
                inspect.signature(contract).parameters
            )


def test_an_unknown_model_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(InputError, match="splin") as caught:
        model_class("splin")
    assert "spline" in str(caught.value.hint)
