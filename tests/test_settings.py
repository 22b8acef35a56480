"""Settings refuse what they do not know and say what was meant."""

import pytest
from pydantic import ValidationError

from molgen.errors import InputError, UsageError
from molgen.settings import Settings, nearest_hint


class Flow(Settings):
    bins: int = 8
    kind: str = "spline"
    widths: tuple[int, ...] = (64, 64)


class Training(Settings):
    steps: int = 100
    flow: Flow = Flow()


def test_overrides_make_a_copy() -> None:
    first = Training()
    second = first.with_overrides(["flow.bins=16", "steps = 5", "flow.kind=other", "flow.widths=[1, 2]"])
    assert second == Training(steps=5, flow=Flow(bins=16, kind="other", widths=(1, 2)))
    assert first == Training()


def test_none_is_none_where_a_setting_may_be() -> None:
    class Masses(Settings):
        hydrogen: float | None = 3.0
        kind: str = "heavy"

    class Run(Settings):
        masses: Masses = Masses()

    found = Run().with_overrides(["masses.hydrogen=none", "masses.kind=none"]).masses
    assert found.hydrogen is None
    assert found.kind == "none"


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("flow.bin=3", "Did you mean bins"),
        ("flo.bins=3", "Did you mean flow"),
        ("steps.x=3", "names no setting"),
        ("zzz=3", "Known: flow, steps"),
        ("steps", "is not an override"),
    ],
)
def test_unknown_settings_are_usage_errors_with_the_nearest(override: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        Training().with_overrides([override])


def test_wrong_values_name_the_field() -> None:
    with pytest.raises(InputError, match=r"--set: flow\.bins: input should be a valid integer"):
        Training().with_overrides(["flow.bins=many"])


def test_unknown_keys_in_a_file_name_the_nearest() -> None:
    with pytest.raises(InputError, match=r"my\.toml: unknown key 'flow\.bin'\. Did you mean bins"):
        Training.parse({"flow": {"bin": 3}}, source="my.toml")


def test_settings_are_frozen() -> None:
    with pytest.raises(ValidationError):
        Training().steps = 3  # type: ignore[misc]


def test_nearest_hint_lists_all_if_none_is_near() -> None:
    assert nearest_hint("alpha", ["alphb", "z"]) == "Did you mean alphb?"
    assert nearest_hint("q", ["b", "a"]) == "Known: a, b."
