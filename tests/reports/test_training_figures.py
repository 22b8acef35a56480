"""Figures of a training log that holds more or less."""

from molgen.reports.training_figures import training_figures


def test_only_what_the_log_holds_is_drawn() -> None:
    assert training_figures([]) == ()
    (likelihood,) = training_figures(
        [{"step": 0, "train_nll": 5.0}, {"step": 10, "train_nll": 1.25, "validation_nll": None}]
    )
    assert likelihood.title == "Likelihood"
    assert "last 1.25 nat" in likelihood.alt


def test_effective_size_and_guard() -> None:
    rows = [
        {"step": 0, "ess": 0.2, "guard": {"a": 0.1, "b": None}},
        {"step": 5, "ess": float("nan")},
        {"step": 9, "ess": 0.5, "guard": {"a": -0.7, "b": 0.3}},
    ]
    effective, guard = training_figures(rows)
    assert "last 50.0\u00a0%" in effective.alt
    assert "at most 0.70 kT" in guard.alt


def test_a_loss_is_drawn_where_there_is_no_likelihood() -> None:
    (loss,) = training_figures([{"step": 0, "train_loss": 3.0, "validation_loss": 3.5}, {"step": 9, "train_loss": 1.0}])
    assert loss.title == "Loss"
    assert "last 3.50." in loss.alt
