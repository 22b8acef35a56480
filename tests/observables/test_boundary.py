"""In which of two states a frame is."""

import pickle

import numpy as np
import pytest

from molgen.errors import InputError
from molgen.observables.boundary import NEITHER, Boundary
from molgen.observables.states import build_states, with_states
from molgen.observables.table import evaluate_cvs
from molgen.systems import load_system
from molgen.systems.definition import StateSection


def test_it_agrees_with_the_states() -> None:
    system = load_system("muller-brown")
    frames = np.random.default_rng(1).uniform(-1.5, 1.5, size=(400, 1, 2))
    labels = build_states(system).assign(evaluate_cvs(system, frames))
    for a, b, codes in (("a", "b", {0: 0, 1: 1}), ("b", "a", {1: 0, 0: 1}), ("b", "intermediate", {1: 0, 2: 1})):
        boundary = pickle.loads(pickle.dumps(Boundary(system, a, b)))  # noqa: S301 - our own bytes
        expected = [codes.get(int(label), NEITHER) for label in labels]
        assert boundary.assign(frames).tolist() == expected
        assert [boundary.where_is(frame) for frame in frames] == expected
        assert len(set(expected)) == 3


def test_a_molecules_frames() -> None:
    system = load_system("alanine-dipeptide-vacuum")
    boundary = Boundary(system, "c7eq", "c7ax")
    frames = system.positions + 0.05 * np.random.default_rng(2).normal(size=(300, *system.positions.shape))
    labels = build_states(system).assign(evaluate_cvs(system, frames))
    assert boundary.assign(frames).tolist() == labels.tolist()
    assert [boundary.where_is(frame) for frame in frames] == labels.tolist()
    frames[0] = np.nan
    assert boundary.assign(frames)[0] == boundary.where_is(frames[0]) == NEITHER


def test_states_that_are_not_there_are_refused_with_the_nearest() -> None:
    system = load_system("alanine-dipeptide-vacuum")
    with pytest.raises(InputError, match="has no state 'c7ex'") as caught:
        Boundary(system, "c7eq", "c7ex")
    assert "c7eq" in caught.value.hint
    with pytest.raises(InputError, match="Both states"):
        Boundary(system, "c7eq", "c7eq")
    bare = with_states(system, ())
    with pytest.raises(InputError, match="no state") as caught:
        Boundary(bare, "c7eq", "c7ax")
    assert "[[state]]" in caught.value.hint


def test_the_first_state_that_holds_counts() -> None:
    system = with_states(
        load_system("double-well"),
        (StateSection(name="low", where="x < 0"), StateSection(name="all", where="otherwise")),
    )
    assert Boundary(system, "all", "low").assign(np.array([[[-1.0]], [[1.0]]])).tolist() == [1, 0]
