"""Training as a run: what it refuses, what it repeats, and the double well from nothing to populations."""

from pathlib import Path
from typing import Any

import mdtraj
import numpy as np
import pytest

from molgen.errors import InputError, InterruptedRunError
from molgen.interruption import Interruption
from molgen.models.artifact import load_model
from molgen.observables.states import with_states
from molgen.systems.definition import StateSection
from molgen.systems.loading import load_system
from molgen.systems.mdtraj_topology import mdtraj_topology
from molgen.systems.system import MolecularSystem, System
from molgen.training.guard import GUARD_STATE_FRAMES, guard_rows
from molgen.training.settings import LearnSettings, RefineSettings, TrainingSettings
from molgen.trajectories.options import ReadingOptions
from molgen.trajectories.shards import write_shard
from molgen.workflows.reweighting import reweight
from molgen.workflows.sampling import sample
from molgen.workflows.simulation import simulate
from molgen.workflows.training import plan_training, train

TINY = TrainingSettings.parse(
    {
        "flow": {"hidden": 8, "bins": 4, "spline": 1, "torsion_hidden": 8, "torsion_bins": 4},
        "learn": {"steps": 6, "batch": 32},
        "refine": {"rounds": 1, "draws": 64, "steps": 1, "batch": 32},
        "guard_draws": 128,
        "torch_threads": 1,
    },
    source="test",
)


@pytest.fixture(scope="module")
def dipeptide() -> MolecularSystem:
    system = load_system("alanine-dipeptide")
    assert isinstance(system, MolecularSystem)
    return system


def write_frames(path: Path, system: System, positions: np.ndarray, lineages: int = 4) -> Path:
    lineage = np.sort(np.arange(len(positions)) % lineages)
    write_shard(path, positions, lineage, system, system.temperature_k)
    return path


def shaken(system: System, n: int, seed: int = 1) -> np.ndarray:
    """Frames around the system's structure, near enough to have finite energies."""
    return np.asarray(system.positions + 0.002 * np.random.default_rng(seed).normal(size=(n, *system.positions.shape)))


def test_a_mirrored_molecule_is_refused(dipeptide: MolecularSystem, tmp_path: Path) -> None:
    data = write_frames(tmp_path / "mirrored.h5", dipeptide, shaken(dipeptide, 40) * np.array([-1.0, 1.0, 1.0]))
    with pytest.raises(InputError, match=r"40 of 40 frames .* handedness at the stereocentre CA of ALA 2"):
        train(dipeptide, [data], tmp_path / "out", settings=TINY, platform="Reference")
    assert not (tmp_path / "out").exists()


def test_frames_that_are_not_finite_are_refused(dipeptide: MolecularSystem, tmp_path: Path) -> None:
    positions = shaken(dipeptide, 40)
    positions[7, 3, 1] = np.nan
    data = write_frames(tmp_path / "broken.h5", dipeptide, positions)
    with pytest.raises(InputError, match="finite"):
        train(dipeptide, [data], tmp_path / "out", settings=TINY, platform="Reference")
    assert not (tmp_path / "out").exists()


def test_frames_without_a_finite_energy_are_refused(dipeptide: MolecularSystem, tmp_path: Path) -> None:
    positions = shaken(dipeptide, 40)
    positions[7, 0] = positions[7, 21] + 1e-9
    data = write_frames(tmp_path / "overlap.h5", dipeptide, positions)
    with pytest.raises(InputError):
        train(dipeptide, [data], tmp_path / "out", settings=TINY, platform="Reference")


def test_few_frames_outside_the_domain_are_left_out_and_counted(dipeptide: MolecularSystem, tmp_path: Path) -> None:
    positions = shaken(dipeptide, 200)
    positions[0] *= np.array([-1.0, 1.0, 1.0])
    data = write_frames(tmp_path / "one.h5", dipeptide, positions)
    result = train(without_states(dipeptide), [data], tmp_path / "out", settings=TINY, seed=1, platform="Reference")
    assert (result.frames, result.frames_outside_domain) == (199, 1)
    assert any("1 frames outside the domain" in note for note in result.notes)


def test_other_labels_and_other_atoms_of_a_trajectory(dipeptide: MolecularSystem, tmp_path: Path) -> None:
    """A solvated XTC whose methyl hydrogens are numbered the other way round: stripped, relabelled and learned."""
    system = without_states(dipeptide)
    positions = shaken(dipeptide, 400)
    positions[:, [11, 12]] = positions[:, [12, 11]]
    topology = mdtraj_topology(dipeptide)
    ion = topology.add_residue("NA", topology.chain(0))
    topology.add_atom("NA", mdtraj.element.sodium, ion)
    solvated = np.concatenate([positions, np.full((400, 1, 3), 1.5)], axis=1).astype(np.float32)
    mdtraj.Trajectory(solvated, topology).save(str(tmp_path / "t.xtc"))
    mdtraj.Trajectory(solvated[:1], topology).save(str(tmp_path / "all.pdb"))
    settings = TINY.model_copy(update={"refine": RefineSettings(rounds=0)})
    options = ReadingOptions(2, "protein", tmp_path / "all.pdb")
    assert plan_training(system, [tmp_path / "t.xtc"], reading=options, settings=settings)["frames"] == 200
    where = tmp_path / "out"
    result = train(
        system, [tmp_path / "t.xtc"], where, reading=options, settings=settings, seed=1, platform="Reference"
    )
    assert (result.frames, result.frames_outside_domain) == (200, 0)
    assert result.frames_relabelled == {"CB of ALA 2": 200}
    assert any("CB of ALA 2 in 200" in note for note in result.notes)
    again = train(system, [tmp_path / "t.xtc"], where, reading=options, settings=settings, platform="Reference")
    assert again.to_json() == result.to_json()
    with pytest.raises(InputError, match=r"reading"):
        other = ReadingOptions(3, "protein", tmp_path / "all.pdb")
        train(system, [tmp_path / "t.xtc"], where, reading=other, settings=settings, platform="Reference")


def test_missing_data_are_refused(dipeptide: MolecularSystem, tmp_path: Path) -> None:
    with pytest.raises(InputError):
        train(dipeptide, [tmp_path / "nothing"], tmp_path / "out", settings=TINY, platform="Reference")
    assert not (tmp_path / "out").exists()


def well_frames(tmp_path: Path, n: int = 400) -> tuple[System, Path]:
    system = load_system("double-well")
    generator = np.random.default_rng(3)
    x = generator.normal(generator.choice([-1.0, 1.0], n), 0.25).reshape(n, 1, 1)
    return system, write_frames(tmp_path / "well.h5", system, generator.permutation(x))


class StopAfter(Interruption):
    """Asks to stop at the n-th look."""

    def __init__(self, looks: int) -> None:
        super().__init__()
        self.looks = looks

    @property
    def reason(self) -> str | None:
        self.looks -= 1
        return "a test said so" if self.looks <= 0 else None


def test_resumed_repeated_and_changed_runs(tmp_path: Path) -> None:
    system, data = well_frames(tmp_path)
    whole = train(system, [data], tmp_path / "whole", settings=TINY, seed=5)
    with pytest.raises(InterruptedRunError):
        train(system, [data], tmp_path / "parts", settings=TINY, seed=5, interruption=StopAfter(3))
    parts = train(system, [data], tmp_path / "parts", settings=TINY)
    assert parts.seed == 5
    assert parts.model_sha256 == whole.model_sha256
    other = train(system, [data], tmp_path / "other", settings=TINY, seed=6)
    assert other.model_sha256 != whole.model_sha256
    written = (tmp_path / "whole" / "model.safetensors").stat().st_mtime_ns
    assert train(system, [data], tmp_path / "whole", settings=TINY).to_json() == whole.to_json()
    assert (tmp_path / "whole" / "model.safetensors").stat().st_mtime_ns == written
    changed = TINY.model_copy(update={"learn": LearnSettings(steps=7, batch=32)})
    with pytest.raises(InputError, match=r"settings\.learn\.steps = 6"):
        train(system, [data], tmp_path / "whole", settings=changed)


def test_data_that_changed_are_noticed(tmp_path: Path) -> None:
    system, data = well_frames(tmp_path)
    train(system, [data], tmp_path / "out", settings=TINY, seed=5)
    data.unlink()
    well_frames(tmp_path, n=300)
    with pytest.raises(InputError, match=r"data\..*well\.h5 = "):
        train(system, [data], tmp_path / "out", settings=TINY)


def test_the_plan_counts_what_training_then_takes(tmp_path: Path) -> None:
    system, data = well_frames(tmp_path)
    plan = plan_training(system, [data], settings=TINY)
    result = train(system, [data], tmp_path / "out", settings=TINY, seed=1)
    assert plan["frames"] == result.frames == 400
    assert result.evaluations["training"] <= plan["evaluations_at_most"] + TINY.guard_draws
    assert plan["steps"] == 7


def test_the_double_well_from_nothing_to_populations(tmp_path: Path) -> None:
    """Simulate, train, sample, reweight; seeds fixed. At 4 standard errors the false-alarm rate is 6e-5."""
    system = load_system("double-well")
    settings = TrainingSettings(
        flow=replace_flow(hidden=16, bins=8, spline=2),
        learn=LearnSettings(steps=120, batch=256, rate=5e-3, average=0.95),
        refine=RefineSettings(rounds=5, draws=512, batch=256, rate=2e-3, guard_every=5, average=0.95),
        guard_draws=1024,
        torch_threads=1,
    )
    md = simulate(system, tmp_path / "md", mode="explore", time_ps=500.0, seed=1)
    model = train(system, [md.directory], tmp_path / "model", settings=settings, seed=2)
    assert 0 < model.learning_steps <= 120
    draws = sample(model.directory, tmp_path / "ensemble", n=8000, seed=3)
    result = reweight(draws.directory, tmp_path / "result", seed=4, allow_refused=True).to_json()
    axis = np.linspace(-3.0, 3.0, 60_001)
    boltzmann = np.exp(-5.0 * (axis**2 - 1.0) ** 2 - 0.5 * axis)
    exact = boltzmann[axis >= 0].sum() / boltzmann.sum()
    found = result["populations"]["right"]
    error = (found["high"] - found["low"]) / (2 * 1.96)
    assert 0.0 < error < 0.02
    assert abs(found["value"] - exact) < 4.0 * error
    assert found["value"] + result["populations"]["left"]["value"] == pytest.approx(1.0)
    assert result["delta_f"]["right->left"]["value"] == pytest.approx(np.log(exact / (1.0 - exact)), abs=0.15)
    assert result["ess_raw"] > 0.5
    assert result["verdict"] in ("reliable", "caution")
    assert result["audit"]["passed"]


def replace_flow(**shape: Any) -> Any:
    return TrainingSettings().flow.model_copy(update=shape)


def test_the_guard_asks_held_out_frames_and_others_only_where_too_few_are_held_out() -> None:
    rare, common = GUARD_STATE_FRAMES - 1, 10 * GUARD_STATE_FRAMES
    states = np.repeat([0, 1, -1], [2 * rare, 2 * common, 10])
    held_out = np.flatnonzero(np.arange(len(states)) % 2)
    training = np.flatnonzero(np.arange(len(states)) % 2 == 0)
    kept = guard_rows(states, 2, training, held_out)
    assert set(held_out) <= set(kept)
    assert set(kept) - set(held_out) == set(training[states[training] == 0])
    assert list(kept) == sorted(set(kept))


def without_states(system: System) -> System:
    return with_states(system, ())


def test_a_declared_state_that_no_frame_visits_is_named_and_nothing_is_written(tmp_path: Path) -> None:
    system, _ = well_frames(tmp_path)
    system = with_states(system, (*system.definition.state[:1], StateSection(name="far", where="x > 3")))
    one_sided = write_frames(tmp_path / "left.h5", system, np.full((400, 1, 1), -1.0))
    with pytest.raises(InputError, match=r"None of the 400 frames visits the state 'far' \(x > 3\)"):
        train(system, [one_sided], tmp_path / "out", settings=TINY)
    assert not (tmp_path / "out").exists()


def test_without_declared_states_those_of_the_frames_are_found_kept_and_used(tmp_path: Path) -> None:
    declared, data = well_frames(tmp_path, n=1000)
    system = without_states(declared)
    result = train(system, [data], tmp_path / "model", settings=TINY, seed=5)
    assert result.states_found
    assert list(result.state_conditions) == ["s1", "s2"]
    assert {row["name"] for row in result.states} == {"s1", "s2"}
    assert any("2 states were found" in note for note in result.notes)
    loaded = load_model(tmp_path / "model")
    assert loaded.fingerprint == system.fingerprint == declared.fingerprint
    assert {s.name: s.where for s in loaded.system.definition.state} == result.state_conditions
    assert loaded.training["state_conditions"] == result.state_conditions
    assert loaded.training["states_found"] is True
    draws = sample(tmp_path / "model", tmp_path / "ensemble", n=500, seed=3)
    record = reweight(draws.directory, tmp_path / "result", seed=4, allow_refused=True).to_json()
    assert set(record["populations"]) == {"s1", "s2"}
    given = reweight(
        draws.directory, tmp_path / "given", seed=4, states={"far": "x > 1.2", "rest": "otherwise"}, allow_refused=True
    )
    assert set(given.to_json()["populations"]) == {"far", "rest"}


def test_a_continued_training_has_the_same_found_states(tmp_path: Path) -> None:
    declared, data = well_frames(tmp_path, n=1000)
    system = without_states(declared)
    whole = train(system, [data], tmp_path / "whole", settings=TINY, seed=5)
    with pytest.raises(InterruptedRunError):
        train(system, [data], tmp_path / "parts", settings=TINY, seed=5, interruption=StopAfter(3))
    parts = train(system, [data], tmp_path / "parts", settings=TINY)
    assert parts.state_conditions == whole.state_conditions
    assert parts.model_sha256 == whole.model_sha256
    assert train(system, [data], tmp_path / "whole", settings=TINY).to_json() == whole.to_json()


def test_declared_states_are_left_alone_and_settings_decide_what_is_found(tmp_path: Path) -> None:
    declared, data = well_frames(tmp_path, n=1000)
    result = train(declared, [data], tmp_path / "declared", settings=TINY, seed=5)
    assert not result.states_found
    assert list(result.state_conditions) == ["left", "right"]
    one = TINY.with_overrides(["states.max=1"])
    none = train(without_states(declared), [data], tmp_path / "none", settings=one, seed=5)
    assert none.state_conditions == {}
    assert not none.states_found
    assert any("coverage is untested" in note for note in none.notes)
    with pytest.raises(InputError, match=r"settings\.states\.max"):
        train(without_states(declared), [data], tmp_path / "none", settings=TINY)
