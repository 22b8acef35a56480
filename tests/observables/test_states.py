"""States of the built-in systems."""

from dataclasses import replace

import numpy as np
import pytest

from molgen.errors import InputError
from molgen.observables.states import build_states
from molgen.observables.table import evaluate_cvs
from molgen.systems import load_system
from molgen.systems.definition import StateSection


@pytest.mark.parametrize("name", ["alanine-dipeptide", "alanine-dipeptide-obc1"])
def test_the_states_in_solvent_partition_the_plane_as_defined(name: str) -> None:
    states = build_states(load_system(name))
    assert states.names == ("alpha_l", "alpha_r", "extended")
    generator = np.random.default_rng(0)
    phi, psi = generator.uniform(-180.0, 180.0, size=(2, 2000))
    left = (phi > 0) & (phi < 137.5)
    right = ~left & (np.abs((psi + 40 + 180) % 360 - 180) <= 69)
    expected = np.where(left, 0, np.where(right, 1, 2))
    labels = states.assign({"phi": np.deg2rad(phi), "psi": np.deg2rad(psi)})
    np.testing.assert_array_equal(labels, expected)


def test_the_states_in_vacuum_leave_frames_between_them() -> None:
    states = build_states(load_system("alanine-dipeptide-vacuum"))
    angles = {"phi": np.deg2rad([-75.0, 65.0, 0.0, 65.0]), "psi": np.deg2rad([55.0, -45.0, 0.0, -66.0])}
    assert states.names == ("c7eq", "c7ax")
    assert states.assign(angles).tolist() == [0, 1, -1, -1]


def test_a_frame_without_finite_variables_has_no_state() -> None:
    states = build_states(load_system("double-well"))
    assert states.assign({"x": np.array([-1.0, 1.0, np.nan, np.inf])}).tolist() == [0, 1, -1, -1]
    assert states.assign({"x": np.empty(0)}).shape == (0,)


def test_populations_of_the_analytic_systems_are_as_their_readme_says() -> None:
    x = np.linspace(-3.0, 3.0, 6001)
    weight = np.exp(-(5.0 * (x**2 - 1.0) ** 2 + 0.5 * x))
    labels = build_states(load_system("double-well")).assign({"x": x})
    assert weight[labels == 1].sum() / weight.sum() == pytest.approx(0.279, abs=1e-3)


def test_the_built_in_starting_points_lie_in_their_first_state() -> None:
    for name in ("double-well", "muller-brown"):
        system = load_system(name)
        values = evaluate_cvs(system, system.positions[None])
        assert build_states(system).assign(values).tolist() == [0]


def test_otherwise_must_come_last() -> None:
    system = load_system("double-well")
    sections = tuple(StateSection(name=name, where="otherwise") for name in ("p", "q"))
    with pytest.raises(InputError, match="leaves nothing"):
        build_states(replace(system, definition=system.definition.model_copy(update={"state": sections})))


def test_no_states_at_all() -> None:
    system = load_system("double-well")
    none = build_states(replace(system, definition=system.definition.model_copy(update={"state": ()})))
    assert none.names == ()
    assert none.assign({"x": np.zeros(2)}).tolist() == [-1, -1]
