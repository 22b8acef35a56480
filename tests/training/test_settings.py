import pytest

from molgen.errors import InputError, UsageError
from molgen.training.settings import TrainingSettings


def test_overrides_reach_every_stage() -> None:
    settings = TrainingSettings().with_overrides(["learn.steps=7", "refine.clip=0.5", "flow.bins=3"])
    assert (settings.learn.steps, settings.refine.clip, settings.flow.bins) == (7, 0.5, 3)


def test_an_unknown_key_is_refused_with_the_nearest_known_one() -> None:
    with pytest.raises(UsageError) as caught:
        TrainingSettings().with_overrides(["learn.stepz=7"])
    assert "stepz" in caught.value.message
    assert "steps" in f"{caught.value.message} {caught.value.hint}"


@pytest.mark.parametrize(
    "text", ["learn.steps=0", "refine.clip=1.0", "learn.average=0", "refine.rounds=-1", "refine.weights.reverse=-1"]
)
def test_senseless_values_are_refused(text: str) -> None:
    with pytest.raises(InputError):
        TrainingSettings().with_overrides([text])


def test_an_objective_must_be_left() -> None:
    settings = TrainingSettings().with_overrides(["learn.weights.forward=0", "refine.weights.reverse=0.2"])
    assert settings.learn.weights.model_dump() == {"forward": 0.0, "likelihood": 0.3}
    assert settings.refine.weights.reverse == 0.2
    with pytest.raises(InputError, match="no objective has a weight"):
        settings.with_overrides(["learn.weights.likelihood=0"])
