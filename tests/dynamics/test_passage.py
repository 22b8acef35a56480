"""Passages: time runs both ways, velocities are Maxwell's, states stop them."""

import pickle
from dataclasses import replace
from typing import Any

import numpy as np
import openmm
import pytest

from molgen.dynamics.analytic_passage import analytic_passages
from molgen.dynamics.molecular_passage import molecular_passages
from molgen.dynamics.passage import CRASHED, Doubling, EveryLook, PhasePoints, TrailRecorder
from molgen.errors import InputError
from molgen.observables.boundary import NEITHER, Boundary
from molgen.observables.regions import Region
from molgen.observables.states import with_states
from molgen.observables.table import evaluate_cvs
from molgen.systems import load_system
from molgen.systems.definition import StateSection
from molgen.units import thermal_energy

FAR = (StateSection(name="near", where="phi > 179.9deg"), StateSection(name="far", where="phi < -179.9deg"))
"""States that are hardly ever met."""


def alanine(**changes: Any) -> Any:
    system = with_states(load_system("alanine-dipeptide-vacuum"), FAR)
    return replace(molecular_passages(system, Boundary(system, "near", "far"), platform="Reference"), **changes)


def well(a: str = "x < -3", b: str = "x > 3", **changes: Any) -> Any:
    system = with_states(load_system("double-well"), (StateSection(name="a", where=a), StateSection(name="b", where=b)))
    return replace(analytic_passages(system, Boundary(system, "a", "b")), **changes)


def starts(dynamics: Any, n: int, seed: int = 1) -> PhasePoints:
    positions = np.repeat(dynamics.boundary.system.positions[None], n, axis=0)
    return PhasePoints(positions, dynamics.velocities(positions, np.random.default_rng(seed)))


@pytest.mark.parametrize("kind", ["molecule", "constrained", "particle"])
def test_without_friction_a_passage_retraces_itself(kind: str) -> None:
    if kind == "particle":
        dynamics = well()
        dynamics = replace(dynamics, dynamics=replace(dynamics.dynamics, friction_per_ps=0.0))
    else:
        dynamics = alanine(friction_per_ps=0.0)
    tolerance = 1e-12
    if kind == "constrained":
        dynamics, tolerance = constrained(friction_per_ps=0.0), 1e-5
    start = starts(dynamics, 2)
    if kind == "constrained":  # what is started from lies on the constraints
        start = dynamics.run(start, dynamics.check_every, 1).end
    there = dynamics.run(start, 300, 1)
    assert there.label.tolist() == [NEITHER, NEITHER]
    assert np.abs(there.end.positions - start.positions).max() > 1e-3
    back = dynamics.run(there.end.reversed(), 300, 2).end
    assert np.abs(back.positions - start.positions).max() < tolerance
    assert np.abs(back.velocities + start.velocities).max() < 100 * tolerance


def constrained(**changes: Any) -> Any:
    """Alanine dipeptide with its bonds to hydrogen held at the lengths of its structure."""
    dynamics = alanine(**changes)
    molecule = dynamics.boundary.system
    system = openmm.XmlSerializer.deserialize(dynamics.system_xml)
    for i, j in molecule.topology.bonds:
        if "H" in (molecule.topology.atoms[i].element, molecule.topology.atoms[j].element):
            system.addConstraint(i, j, float(np.linalg.norm(molecule.positions[i] - molecule.positions[j])))
    return replace(dynamics, system_xml=openmm.XmlSerializer.serialize(system))


def test_velocities_are_those_of_the_temperature() -> None:
    """Mean kinetic energy over 22 x 3 x 400 numbers: kT/2 each, to four standard errors (one in 15,000)."""
    dynamics = alanine()
    drawn = starts(dynamics, 400).velocities
    kinetic = 0.5 * drawn**2 / dynamics._inverse_masses[:, None]
    expected = 0.5 * thermal_energy(dynamics.temperature_k)
    assert abs(kinetic.mean() - expected) < 4 * expected * np.sqrt(2.0 / kinetic.size)


def test_states_stop_passages_and_the_limit_does() -> None:
    dynamics = well("x < -0.9", "x > 0.9")
    n = 400
    positions = np.zeros((n, 1, 1))
    start = PhasePoints(positions, dynamics.velocities(positions, np.random.default_rng(3)))
    found = dynamics.run(start, 100_000, 4)
    assert set(found.label.tolist()) == {0, 1}
    inside = np.where(found.label == 0, found.end.positions[:, 0, 0] < -0.9, found.end.positions[:, 0, 0] > 0.9)
    assert inside.all()
    assert found.steps.min() > 0
    short = dynamics.run(start, 50, 4)
    assert (short.label == NEITHER).any()
    assert short.steps.max() == 50
    early = found.steps <= 50
    assert np.array_equal(short.label[early], found.label[early])


def test_the_result_depends_on_the_arguments_alone() -> None:
    for dynamics in (alanine(check_every=5), well("x < -0.9", "x > 0.9")):
        start = starts(dynamics, 3)
        first = dynamics.run(start, 40, 7)
        again = pickle.loads(pickle.dumps(dynamics)).run(start, 40, 7)  # noqa: S301 - our own bytes
        other = dynamics.run(start, 40, 8)
        assert np.array_equal(first.end.positions, again.end.positions)
        assert np.array_equal(first.end.velocities, again.end.velocities)
        assert not np.array_equal(first.end.positions, other.end.positions)


def test_a_passage_goes_on_where_it_stopped() -> None:
    """Without friction two halves are the whole."""
    dynamics = alanine(friction_per_ps=0.0)
    start = starts(dynamics, 1)
    whole = dynamics.run(start, 200, 1).end
    half = dynamics.run(dynamics.run(start, 100, 1).end, 100, 2).end
    assert np.abs(whole.positions - half.positions).max() < 1e-12


def test_what_explodes_is_marked_and_leaves_the_others_alone() -> None:
    dynamics = alanine(check_every=5)
    start = starts(dynamics, 2)
    start.positions[0, 20] = start.positions[0, 0]
    found = dynamics.run(start, 20, 1)
    assert found.label.tolist() == [CRASHED, NEITHER]
    particle = well()
    far = PhasePoints(np.array([[[1e200]], [[0.0]]]), np.zeros((2, 1, 1)))
    assert particle.run(far, 10, 1).label.tolist()[1] == NEITHER
    assert particle.run(far, 10, 1).label.tolist()[0] == CRASHED


def test_a_molecule_is_not_moved_by_the_overdamped_integrator() -> None:
    system = load_system("alanine-dipeptide-vacuum")
    section = system.definition.dynamics.model_copy(update={"integrator": "overdamped"})
    system = replace(system, definition=system.definition.model_copy(update={"dynamics": section}))
    with pytest.raises(InputError, match="integrator 'overdamped'"):
        molecular_passages(system, Boundary(system, "c7eq", "c7ax"), platform="Reference")


def test_frames_on_the_way_cost_nothing_and_lie_outside_the_states() -> None:
    for dynamics in (alanine(check_every=5), well("x < -0.9", "x > 0.9", check_every=2)):
        start = starts(dynamics, 3)
        start.positions[0] *= 1.0 if dynamics.boundary.system.n_particles > 1 else 0.5
        plain, kept = dynamics.run(start, 120, 7), dynamics.run(start, 120, 7, keep=Doubling(4))
        assert plain.trail is None
        assert np.array_equal(plain.end.positions, kept.end.positions)
        assert kept.trail is not None
        assert (np.diff(kept.trail.passage) >= 0).all()
        assert np.bincount(kept.trail.passage, minlength=3).max() <= 4
        assert (dynamics.boundary.assign(kept.trail.positions) == NEITHER).all()


def test_looks_in_a_region_are_counted_and_change_nothing() -> None:
    for dynamics, variable, unit in ((alanine(check_every=5), "psi", "rad"), (well("x < -1.4", "x > 1.4"), "x", "")):
        start, system = starts(dynamics, 3), dynamics.boundary.system
        plain = dynamics.run(start, 120, 7, keep=EveryLook())
        middle = float(np.median(evaluate_cvs(system, plain.trail.positions)[variable]))
        region = Region(system, f"{variable} > {middle:.6f}{unit}")
        counted = pickle.loads(pickle.dumps(dynamics.counting(region))).run(start, 120, 7)  # noqa: S301 - our own
        assert plain.looks is None
        assert np.array_equal(plain.end.positions, counted.end.positions)
        inside = region.contains(plain.trail.positions)
        assert 0 < inside.sum() < len(inside)
        assert np.array_equal(counted.looks, np.bincount(plain.trail.passage[inside], minlength=3))


def test_a_trail_doubles_its_distance_and_ends() -> None:
    recorder = TrailRecorder(Doubling(5))
    for check in range(1, 42):
        rows = [0, 1] if check <= 6 else [1]
        recorder.add(check, rows, [np.full((1, 1), float(check)) for _ in rows])
    trail = recorder.trail((1, 1))
    assert trail.passage.tolist() == [0, 0, 0, 1, 1, 1, 1, 1]
    assert trail.positions[:, 0, 0].tolist() == [1.0, 2.0, 4.0, 1.0, 2.0, 4.0, 8.0, 16.0]
