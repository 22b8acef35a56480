"""The shipped reference ensemble of alanine dipeptide is what its record says."""

import argparse
import json
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from molgen.coordinates.domain import domain_of
from molgen.coordinates.geometry import torsion_angles
from molgen.dynamics.bias import FourierTorsionBias
from molgen.energies.factory import open_energy
from molgen.errors import UsageError
from molgen.observables.states import build_states
from molgen.observables.table import evaluate_cvs
from molgen.systems.loading import load_system
from molgen.systems.system import MolecularSystem
from molgen.trajectories.reading import read_frames
from molgen.units import thermal_energy

SCRIPT = Path(__file__).parents[2] / "scripts" / "make_reference.py"


@pytest.fixture(scope="module")
def system() -> MolecularSystem:
    found = load_system("alanine-dipeptide")
    assert isinstance(found, MolecularSystem)
    return found


@pytest.fixture(scope="module")
def record(system: MolecularSystem) -> dict[str, Any]:
    assert system.reference_path is not None
    found: dict[str, Any] = json.loads(system.reference_path.with_suffix(".json").read_text())
    return found


@pytest.fixture(scope="module")
def script() -> dict[str, Any]:
    return runpy.run_path(str(SCRIPT))


def test_weighted_frames_have_the_recorded_populations_and_energy(
    system: MolecularSystem, record: dict[str, Any]
) -> None:
    """Every second frame of those behind the record: within 2 of its standard errors, the data being fixed."""
    assert record["fingerprint"] == system.fingerprint
    assert system.reference_path is not None
    frames = read_frames([system.reference_path], system)
    assert frames.log_weight is not None
    assert len(frames.positions) == record["shipped_frames"]
    positions = frames.positions.astype(np.float64)
    weights = np.exp(frames.log_weight)
    states = build_states(system)
    labels = states.assign(evaluate_cvs(system, positions))
    for index, name in enumerate(states.names):
        figures = record["populations"][name]
        found = weights[labels == index].sum() / weights.sum()
        assert abs(found - figures["value"]) < 2 * figures["standard_error"]
    assert domain_of(system).contains(positions).all()
    few = slice(None, None, 10)
    energy = open_energy(system, platform="Reference").reduced(positions[few], purpose="data")
    mean = np.average(energy, weights=weights[few])
    assert abs(mean - record["energy_kt"]["mean"]) < 1.0


def test_weights_are_those_of_the_recorded_biases(system: MolecularSystem, record: dict[str, Any]) -> None:
    assert system.reference_path is not None
    frames = read_frames([system.reference_path], system)
    assert frames.log_weight is not None
    biases = [FourierTorsionBias(tuple(bias["atoms"]), bias["terms"]) for bias in record["biases"]]
    positions = frames.positions.astype(np.float64)
    energy = np.sum([bias.energy(torsion_angles(positions, bias.atoms)) for bias in biases], axis=0)
    np.testing.assert_allclose(frames.log_weight, energy / thermal_energy(system.temperature_k), atol=1e-3)


def test_the_bias_evens_out_a_sum_of_two_profiles(script: dict[str, Any]) -> None:
    """From barriers of 6 kT in phi and 4 kT in psi to less than 2 kT each."""
    angles = np.arange(36) * 2 * np.pi / 36
    phi, psi = 3 * np.cos(angles), 2 * np.cos(2 * angles)
    biases = script["fit_biases"](phi[:, None] + psi[None], 2.5)
    for bias, profile in zip(biases, (phi, psi), strict=True):
        assert np.ptp(profile + bias.energy(angles) / 2.5) < 2.0


def test_a_crossing_goes_from_core_to_core(script: dict[str, Any]) -> None:
    degrees = {"phi": [-80, -80, -80, 10, -10, 60, -80], "psi": [-40, 50, -40, 0, 160, 0, 170]}
    values = {name: np.radians(angles) for name, angles in degrees.items()}
    assert script["crossings"](values) == {"alpha_l": 2, "alpha_r_extended": 1}


def test_runs_of_another_seed_or_length_are_not_continued(script: dict[str, Any], tmp_path: Path) -> None:
    args = argparse.Namespace(output=tmp_path, seed=1, piece_count=2)
    script["check_started"](args)
    script["check_started"](args)
    args.piece_count = 3
    with pytest.raises(UsageError, match="piece_count"):
        script["check_started"](args)


def test_the_recorded_command_spells_out_what_was_run(record: dict[str, Any], script: dict[str, Any]) -> None:
    words = record["command"].split()
    given = {name.replace("-", "_"): words[words.index(f"--{name}") + 1] for name in ("runs", "piece-count", "seed")}
    assert int(given["runs"]) == record["runs"]
    assert record["ps_per_run"] == [500 * int(given["piece_count"])] * record["runs"]
    args = argparse.Namespace(**{name: int(n) for name, n in given.items()}, frames=20_000, earlier=None)
    assert script["command"](args) == record["command"]
