"""States found from frames: wells recovered, none invented, and every found condition parts all of space."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from molgen.observables.basins import find_basins, find_states, parting_cvs
from molgen.observables.states import StateSet, states_of
from molgen.observables.table import build_cvs, evaluate_cvs
from molgen.systems import load_system
from molgen.systems.definition import CVSection, StateSection, SystemDefinition
from molgen.trajectories.reading import read_frames


@dataclass(frozen=True)
class Angle:
    name: str
    unit: str = "rad"
    periodic: bool = True


def torsions(*names: str) -> Any:
    return {name: Angle(name) for name in names}


def states_on(names: tuple[str, ...], sections: tuple[StateSection, ...]) -> StateSet:
    cv = tuple(CVSection(name=name, torsion=(0, 1, 2, 3)) for name in names)
    return states_of(SystemDefinition(name="x", cv=cv, state=sections), sections)


def wells(seed: int, *clouds: tuple[int, tuple[float, ...], float]) -> np.ndarray:
    """Points (n, D) in rad: ``count`` around a centre with a standard deviation, both in degrees."""
    generator = np.random.default_rng(seed)
    points = np.concatenate([generator.normal(centre, width, (count, len(centre))) for count, centre, width in clouds])
    return np.deg2rad((points + 180.0) % 360.0 - 180.0)


def labels_of(
    names: tuple[str, ...], points: np.ndarray, **options: Any
) -> tuple[tuple[StateSection, ...], np.ndarray]:
    values = dict(zip(names, points.T, strict=True))
    found = find_states(values, torsions(*names), **options)
    return found, states_on(names, found).assign(values)


def test_wells_in_two_dimensions_are_recovered() -> None:
    points = wells(1, (3000, (-80.0, 150.0), 15.0), (2000, (-80.0, -40.0), 15.0), (1000, (60.0, 40.0), 15.0))
    found, label = labels_of(("phi", "psi"), points)
    assert [state.name for state in found] == ["s1", "s2", "s3"]
    truth = np.repeat([0, 1, 2], [3000, 2000, 1000])
    assert np.mean(label == truth) > 0.995


def test_wells_in_three_dimensions_with_a_rare_one_kept_and_a_rarer_one_not() -> None:
    clouds = [
        (4000, (-70.0, -40.0, 60.0), 12.0),
        (4000, (-70.0, -40.0, -170.0), 12.0),
        (2000, (-70.0, 140.0, -60.0), 12.0),
    ]
    rare = wells(2, *clouds, (100, (60.0, 40.0, 60.0), 12.0))
    found, label = labels_of(("phi", "psi", "chi1"), rare)
    assert len(found) == 4
    assert np.array_equal(np.flatnonzero(label == 3), np.arange(10_000, 10_100))
    rarer = wells(2, *clouds, (40, (60.0, 40.0, 60.0), 12.0))
    assert len(labels_of(("phi", "psi", "chi1"), rarer)[0]) == 3


def test_a_basin_across_180_degrees_is_one_state() -> None:
    points = wells(3, (500, (180.0,), 20.0), (400, (0.0,), 20.0))
    found, label = labels_of(("phi",), points)
    assert len(found) == 2
    assert found[0].where.startswith("not (")
    assert np.mean(label == np.repeat([0, 1], [500, 400])) > 0.99


@pytest.mark.parametrize("kappa", [0.0, 0.5, 2.0, 8.0])
def test_unimodal_noise_is_not_split(kappa: float) -> None:
    """50 seeds, three sizes each, none split: with 95 % confidence fewer than 2 % of such samples are."""
    for seed in range(50):
        generator = np.random.default_rng(seed)
        centre = generator.uniform(-np.pi, np.pi)
        for n in (200, 2000, 5000):
            values = {"phi": generator.vonmises(centre, kappa, n), "psi": generator.uniform(-np.pi, np.pi, n)}
            assert find_states(values, torsions("phi", "psi")) == ()


def test_a_slow_free_rotor_is_not_split() -> None:
    """50 seeds of 20 pieces of dynamics whose memory is 20 frames long, none split: 95 % sure of a rate below 6 %."""
    for seed in range(50):
        generator = np.random.default_rng(seed)
        steps = generator.normal(0.0, np.sqrt(2.0 / 20.0), (20, 400))
        steps[:, 0] = generator.uniform(-np.pi, np.pi, 20)
        angle = np.mod(np.cumsum(steps, axis=1) + np.pi, 2.0 * np.pi) - np.pi
        lineage = np.repeat(np.arange(20), 400)
        assert find_states({"phi": angle.ravel()}, torsions("phi"), lineage=lineage) == ()


def test_a_basin_that_too_few_pieces_of_dynamics_visit_is_no_state() -> None:
    points = wells(4, (1000, (-80.0,), 15.0), (200, (60.0,), 15.0))
    lineage = np.r_[np.arange(1000) // 50, 100 + np.arange(200) // 50]  # four pieces in the second well
    assert labels_of(("phi",), points, lineage=lineage)[0] == ()
    lineage[-25:] = 104
    assert len(labels_of(("phi",), points, lineage=lineage)[0]) == 2
    single = np.zeros(1200, dtype=np.int64)
    assert len(labels_of(("phi",), points, lineage=single)[0]) == 2


def test_the_backbone_goes_first_where_barriers_are_alike_and_not_where_they_are_far_lower() -> None:
    generator = np.random.default_rng(5)

    def mixed(name: str, valley: float) -> np.ndarray:
        """Two wells with a flat floor that holds the part ``valley`` of the frames."""
        centre = generator.choice([-90.0, 90.0], 20_000)
        inside = generator.normal(centre, 15.0, 20_000)
        floor = generator.uniform(-180.0, 180.0, 20_000)
        return np.deg2rad(np.where(generator.random(20_000) < valley, floor, inside))

    alike = {"chi": mixed("chi", 0.05), "psi": mixed("psi", 0.08)}
    (first, _) = find_basins(alike, torsions("chi", "psi"), max_states=2)
    assert set(first.bounds) == {"psi"}
    unlike = {"chi": mixed("chi", 0.005), "psi": mixed("psi", 0.25)}
    (first, _) = find_basins(unlike, torsions("chi", "psi"), max_states=2)
    assert set(first.bounds) == {"chi"}


def test_the_highest_barriers_stay_when_there_is_room_for_few_states() -> None:
    centres = [(a, b) for a in (-60.0, 60.0, 180.0) for b in (-90.0, 90.0)]
    points = wells(6, *((1000, centre, 14.0) for centre in centres))
    assert [len(labels_of(("a", "b"), points, max_states=k)[0]) for k in (1, 2, 6, 8)] == [0, 2, 6, 6]
    found, label = labels_of(("a", "b"), points, max_states=4)
    assert 2 <= len(found) <= 4
    assert set(label) == set(range(len(found)))


def test_conditions_part_all_of_space_also_at_their_bounds_and_nothing_is_random() -> None:
    generator = np.random.default_rng(7)
    names = ("phi", "psi", "chi1")
    clouds = [(400, tuple(generator.uniform(-180.0, 180.0, 3)), 14.0) for _ in range(12)]
    points = wells(8, *clouds)
    found, _ = labels_of(names, points, max_states=12)
    again, _ = labels_of(names, points, max_states=12)
    assert found == again
    assert len(found) > 5
    grid = np.deg2rad(np.array(np.meshgrid(*[np.arange(-180, 181, 4)] * 3)).reshape(3, -1))
    values = dict(zip(names, grid, strict=True))
    states = states_on(names, found)
    holds = np.sum([condition.holds(values) for condition in states.conditions], axis=0)
    assert set(holds) == {1}


def test_shares_of_frames_give_the_order_and_weights_only_the_density() -> None:
    points = wells(9, (3000, (-80.0,), 15.0), (1000, (60.0,), 15.0))
    weight = np.repeat([0.1, 10.0], [3000, 1000])
    _, label = labels_of(("phi",), points, weight=weight)
    assert np.mean(label[:3000] == 0) > 0.99
    filled = np.concatenate([points, np.random.default_rng(1).uniform(-np.pi, np.pi, (4000, 1))])
    assert labels_of(("phi",), filled)[0] == ()
    assert len(labels_of(("phi",), filled, weight=np.repeat([1.0, 0.01], [4000, 4000]))[0]) == 2


def test_alanine_dipeptide_shows_its_three_states() -> None:
    system = load_system("alanine-dipeptide")
    assert system.reference_path is not None
    frames = read_frames([system.reference_path], system)
    assert frames.log_weight is not None
    values = evaluate_cvs(system, np.asarray(frames.positions, dtype=np.float64))
    weight = np.exp(frames.log_weight - frames.log_weight.max())
    found = find_states(values, build_cvs(system), lineage=frames.lineage, weight=weight)
    label = states_of(system.definition, found).assign(values)
    shipped = states_of(system.definition, system.definition.state).assign(values)
    assert len(found) == 3
    assert np.all(label >= 0)
    share = weight / weight.sum()
    left = [share[label == k].sum() for k in range(3) if found[k].where == "0deg <= phi < 129deg"]
    assert left == [pytest.approx(share[shipped == 0].sum(), rel=0.05)]


def test_an_analytic_system_is_parted_along_its_coordinates_in_plain_numbers() -> None:
    system = load_system("double-well")
    x = np.random.default_rng(10).normal(np.repeat([-1.0, 1.0], [2000, 1000]), 0.2)
    found = find_states({"x": x}, build_cvs(system))
    bare = replace(system, definition=system.definition.model_copy(update={"state": found}))
    label = states_of(bare.definition, found).assign({"x": x})
    assert np.mean(label == np.repeat([0, 1], [2000, 1000])) > 0.999
    assert "deg" not in found[0].where


def test_a_torsion_that_turns_equal_hydrogens_parts_nothing() -> None:
    system = load_system("alanine-dipeptide")
    methyl = CVSection(name="methyl", torsion=(0, 1, 4, 5))
    more = replace(system, definition=system.definition.model_copy(update={"cv": (*system.definition.cv, methyl)}))
    assert list(build_cvs(more)) == ["phi", "psi", "methyl"]
    assert list(parting_cvs(more)) == ["phi", "psi"]


def test_without_torsions_or_frames_there_is_no_state() -> None:
    distance = {"d": Angle("d", unit="nm", periodic=False)}
    assert find_states({"d": np.repeat([0.1, 0.9], 500)}, distance) == ()
    assert find_states({}, {}) == ()
    assert find_states({"phi": np.empty(0)}, torsions("phi")) == ()
    assert find_states({"phi": np.full(500, np.nan)}, torsions("phi")) == ()
    system = load_system("double-well")
    assert find_states({"x": np.zeros(500)}, build_cvs(system)) == ()
