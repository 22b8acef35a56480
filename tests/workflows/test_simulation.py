from pathlib import Path
from typing import Any

import mdtraj
import numpy as np
import pytest

from molgen.coordinates.violations import peptide_bonds
from molgen.dynamics.schedule import SimulationSettings
from molgen.dynamics.starts import _half_turn
from molgen.errors import InputError, InterruptedRunError, UsageError
from molgen.interruption import Interruption
from molgen.observables.table import evaluate_cvs
from molgen.progress import ProgressEvent
from molgen.rundir import read_manifest
from molgen.systems.loading import data_root, load_system
from molgen.systems.system import MolecularSystem, System
from molgen.trajectories.reading import read_frames
from molgen.workflows.simulation import plan_simulation, simulate

_SHORT = SimulationSettings(
    save_every_ps=0.02,
    equilibration_ps=0.1,
    hot_interval_ps=0.2,
    segment_ps=0.1,
    seeds_per_task=2,
    plain_chains=2,
    piece_ps=0.2,
)
_TIME = {"explore": 2.6, "plain": 1.2}


@pytest.fixture(scope="module")
def system() -> System:
    return load_system("alanine-dipeptide")


def run(system: System, path: Path, mode: Any, **more: Any) -> Any:
    options = {"time_ps": _TIME[mode], "settings": _SHORT, "seed": 5, "platform": "Reference", **more}
    return simulate(system, path, mode=mode, **options)


@pytest.mark.parametrize("mode", ["explore", "plain"])
def test_frames_are_the_same_with_two_workers_and_after_an_interruption(
    system: System, tmp_path: Path, mode: str
) -> None:
    one = run(system, tmp_path / "one", mode)
    two = run(system, tmp_path / "two", mode, workers=2)
    stop = Interruption()

    def stop_after_first_shard(event: ProgressEvent) -> None:
        if event.unit == "shards":
            stop.request("the test asked")

    with pytest.raises(InterruptedRunError):
        run(system, tmp_path / "three", mode, progress=stop_after_first_shard, interruption=stop)
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "three").glob("frames-*.h5")}
    assert 0 < len(kept) < one.shards
    three = run(system, tmp_path / "three", mode)
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    frames = [read_frames([tmp_path / name], system) for name in ("one", "two", "three")]
    for other in frames[1:]:
        np.testing.assert_array_equal(frames[0].positions, other.positions)
        np.testing.assert_array_equal(frames[0].lineage, other.lineage)
    assert one.frames == len(frames[0].positions)
    assert one.lineages == len(set(frames[0].lineage.tolist()))
    assert one.evaluations == two.evaluations == three.evaluations == frames[0].evaluations
    assert frames[0].kind == ("explore" if mode == "explore" else "equilibrium")


def test_a_finished_run_is_returned_as_it_is_and_another_time_is_refused(tmp_path: Path) -> None:
    well = load_system("double-well")
    settings = SimulationSettings(segment_ps=2.0, hot_interval_ps=1.0, equilibration_ps=1.0)
    first = simulate(well, tmp_path / "run", time_ps=30.0, settings=settings)
    again = simulate(well, tmp_path / "run", time_ps=30.0, settings=settings)
    assert again == first
    assert read_manifest(tmp_path / "run", "simulate").seed == first.seed
    with pytest.raises(InputError, match="time_ps"):
        simulate(well, tmp_path / "run", time_ps=31.0, settings=settings)


def test_explore_finds_both_wells_and_samples_each_at_the_target_temperature(tmp_path: Path) -> None:
    """Hot particles (3 kT) cross the 5 kT barrier often; cold ones stay near a well's 0.16-wide minimum."""
    well = load_system("double-well")
    settings = SimulationSettings(segment_ps=4.0, hot_interval_ps=5.0, equilibration_ps=4.0)
    result = simulate(well, tmp_path / "run", time_ps=600.0, settings=settings, seed=1)
    x = read_frames([tmp_path / "run"], well).positions[:, 0, 0]
    assert result.frames == len(x)
    assert min((x < -0.5).mean(), (x > 0.5).mean()) > 0.1
    assert np.quantile(np.abs(x), 0.99) < 1.6


def test_the_plan_says_what_the_run_then_does(tmp_path: Path) -> None:
    well = load_system("double-well")
    settings = SimulationSettings(segment_ps=2.0, hot_interval_ps=1.0, equilibration_ps=1.0)
    plan = plan_simulation(well, mode="explore", time_ps=30.0, settings=settings)
    result = simulate(well, tmp_path / "run", time_ps=30.0, settings=settings, seed=2)
    assert (plan["frames"], plan["files"], plan["steps"]) == (result.frames, result.shards, result.evaluations)


BIAS = "harmonic(x,center=0.2, k=30 kT)"
WINDOW = SimulationSettings(plain_chains=2, piece_ps=4.0, equilibration_ps=1.0, save_every_ps=0.01)


@pytest.fixture(scope="module")
def window(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An umbrella run of the double well."""
    path = tmp_path_factory.mktemp("window") / "md"
    simulate(load_system("double-well"), path, mode="plain", time_ps=12.0, bias=BIAS, settings=WINDOW, seed=3)
    return path


def test_an_umbrella_run_says_what_it_is(window: Path) -> None:
    well = load_system("double-well")
    manifest = read_manifest(window, "simulate")
    text = "harmonic(x, center=0.2, k=30 kT)"
    assert (manifest.result["kind"], manifest.result["bias"], manifest.config["bias"]) == ("umbrella", text, text)
    frames = read_frames([window], well, biased=True)
    assert (frames.kind, frames.biases, frames.n_lineages) == ("umbrella", (text,), 2)
    assert abs(frames.positions.mean() - 0.2) < 0.2
    shard = read_frames([window / "frames-0001.h5"], well, biased=True)
    assert (shard.kind, shard.biases) == ("umbrella", (text,))
    assert read_frames([window, window], well, biased=True).kind == "umbrella"
    assert plan_simulation(well, mode="plain", time_ps=12.0, bias=BIAS, settings=WINDOW)["bias"] == text
    with pytest.raises(InputError, match="bias"):
        simulate(well, window, mode="plain", time_ps=12.0, settings=WINDOW)


def test_umbrella_frames_are_never_taken_for_others(window: Path, tmp_path: Path) -> None:
    """Every reader of frames gets them refused in one sentence, whole runs and single shards alike."""
    from molgen.workflows.checking import check
    from molgen.workflows.exporting import export
    from molgen.workflows.frames import open_frames
    from molgen.workflows.training import train

    well = load_system("double-well")
    plain = tmp_path / "plain"
    simulate(well, plain, mode="plain", time_ps=4.0, settings=WINDOW, seed=3)
    for path in (window, window / "frames-0000.h5"):
        with pytest.raises(InputError, match="made under the bias harmonic"):
            read_frames([path], well)
        with pytest.raises(InputError, match=r"All frames were made under the bias harmonic.* beside them"):
            train(well, [path], tmp_path / "model")
        joined = read_frames([path, plain], well, biased=True)
        assert joined.kind == "explore"
        assert joined.unbiased.sum() == len(read_frames([plain], well))
        with pytest.raises(InputError, match="made under the bias harmonic"):
            open_frames([path], well)  # what evaluate and reweight --reference call
        checked = check("double-well", [path])
        assert any(found.sentence == "All frames were made under a bias." for found in checked.problems)
        assert any("made under the bias harmonic" in found.sentence for found in checked.findings)
        assert not any("bias" in found.sentence for found in check("double-well", [path, plain]).problems)
    assert not (tmp_path / "model").exists()
    with pytest.raises(InputError, match="not the Boltzmann ensemble"):
        export(window, tmp_path / "x.dcd")
    written = export(window, tmp_path / "x.dcd", raw=True)
    assert any("made under the bias" in warning for warning in written.warnings)
    assert read_frames([plain / "frames-0000.h5"], well, kind="explore").kind == "equilibrium"


def test_a_window_of_a_molecule_is_the_same_with_two_workers(system: System, tmp_path: Path) -> None:
    text = "harmonic(phi, center=60deg, k=50 kJ/mol/rad^2) + flat-bottom(psi, center=0deg, width=90deg, k=9 kT/rad^2)"
    for name, workers in (("one", 1), ("two", 2)):
        run(system, tmp_path / name, "plain", bias=text, workers=workers)
    one, two = (read_frames([tmp_path / name], system, biased=True) for name in ("one", "two"))
    np.testing.assert_array_equal(one.positions, two.positions)
    assert one.biases == (text.replace("deg", " deg"),)


def test_what_cannot_be_biased_is_refused_and_nothing_is_written(system: System, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Exploring cannot be biased"):
        run(system, tmp_path / "x", "explore", bias="harmonic(phi, center=60deg, k=50 kJ/mol/rad^2)")
    with pytest.raises(InputError, match="no collective variable 'ph'"):
        run(system, tmp_path / "x", "plain", bias="harmonic(ph, center=60deg, k=50 kJ/mol/rad^2)")
    assert not (tmp_path / "x").exists()


def test_a_run_starts_from_the_last_frame_of_a_file_or_run(system: System, tmp_path: Path) -> None:
    """PDB, DCD and run directory; a window far away is where it starts, and another start is another run."""
    assert isinstance(system, MolecularSystem)
    far = "harmonic(phi, center=60deg, k=900 kJ/mol/rad^2)"
    short = _SHORT.model_copy(update={"plain_chains": 1, "equilibration_ps": 2.0})
    first = run(system, tmp_path / "first", "plain", bias=far, settings=short, time_ps=2.2)
    frames = read_frames([first.directory], system, biased=True).positions
    assert abs(evaluate_cvs(system, frames)["phi"][-1] - 1.05) < 0.4
    topology = mdtraj.load(str(data_root() / "systems" / system.name / "topology.pdb")).topology
    for name, chosen in (("last.pdb", frames[-1:]), ("all.dcd", np.concatenate([system.positions[None], frames]))):
        mdtraj.Trajectory(chosen, topology).save(str(tmp_path / name))
    # No window holds these: after 0.02 ps they are still where they began.
    options = {"settings": _SHORT.model_copy(update={"equilibration_ps": 0.0}), "time_ps": 0.08}
    for name in ("first", "last.pdb", "all.dcd"):
        found = run(system, tmp_path / f"from-{name}", "plain", start=tmp_path / name, **options)
        phi = evaluate_cvs(system, read_frames([found.directory], system).positions)["phi"]
        assert np.all(np.abs(phi[[0, 2]] - evaluate_cvs(system, frames[-1:])["phi"]) < 0.35), name
    assert run(system, tmp_path / "from-first", "plain", start=tmp_path / "first", **options).frames == 4
    with pytest.raises(InputError, match="start"):
        run(system, tmp_path / "from-first", "plain", start=tmp_path / "last.pdb", **options)
    with pytest.raises(InputError, match="start"):
        run(system, tmp_path / "from-first", "plain", **options)
    plan = plan_simulation(system, mode="plain", time_ps=1.2, start=tmp_path / "last.pdb", settings=_SHORT)
    assert plan["start"] == str(tmp_path / "last.pdb")


def test_what_cannot_be_started_from_is_refused_and_nothing_is_written(system: System, tmp_path: Path) -> None:
    assert isinstance(system, MolecularSystem)
    topology = mdtraj.load(str(data_root() / "systems" / system.name / "topology.pdb")).topology
    bond = next((i, j) for i, j in system.topology.bonds if _is_peptide(system, i, j))
    turned = _half_turn(system, system.positions, bond)
    fewer = topology.subset(range(1, 22))
    for positions, atoms, message in (
        (system.positions * [-1, 1, 1], topology, "handedness at the stereocentre CA of ALA 2"),
        (turned, topology, "cis-trans at the peptide bond"),
        (system.positions[1:], fewer, "21"),
    ):
        mdtraj.Trajectory(positions[None], atoms).save(str(tmp_path / "start.pdb"))
        for call in (run, _planned):
            with pytest.raises(InputError, match=message):
                call(system, tmp_path / "x", "plain", start=tmp_path / "start.pdb")
    with pytest.raises(InputError, match="no file or directory"):
        run(system, tmp_path / "x", "plain", start=tmp_path / "none.pdb")
    with pytest.raises(UsageError, match="Exploring starts"):
        run(system, tmp_path / "x", "explore", start=tmp_path / "start.pdb")
    assert not (tmp_path / "x").exists()


def _planned(system: System, _: Path, mode: Any, start: Path) -> None:
    plan_simulation(system, mode=mode, time_ps=1.2, start=start, settings=_SHORT)


def _is_peptide(system: MolecularSystem, i: int, j: int) -> bool:
    return {i, j} in [set(torsion[1:3]) for torsion in peptide_bonds(system.topology)]
