"""The shipped references of dw4 and lj13 are what their records say, and the script that makes them is exact."""

import json
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from molgen.energies.analytic import AnalyticEnergy
from molgen.systems.loading import load_system
from molgen.systems.system import AnalyticSystem
from molgen.trajectories.reading import read_frames

SCRIPT = Path(__file__).parents[2] / "scripts" / "clusters.py"


def cluster(name: str) -> AnalyticSystem:
    system = load_system(name)
    assert isinstance(system, AnalyticSystem)
    return system


@pytest.mark.parametrize("name", ["dw4", "lj13"])
def test_frames_have_the_recorded_energy(name: str) -> None:
    """Lanes are independent: within 4 of the standard errors over them, the data being fixed."""
    system = cluster(name)
    assert system.reference_path is not None
    record: dict[str, Any] = json.loads(system.reference_path.with_suffix(".json").read_text())
    assert record["fingerprint"] == system.fingerprint
    assert record["agree"]
    assert record["dynamics"]["difference_in_errors"] < 3.0
    frames = read_frames([system.reference_path], system)
    assert len(frames) == record["shipped_frames"]
    positions = frames.positions.astype(np.float64)
    assert np.abs(positions.mean(axis=1)).max() < 1e-5
    u = AnalyticEnergy(system).reduced(positions, purpose="data")
    lanes = np.array([u[frames.lineage == lane].mean() for lane in np.unique(frames.lineage)])
    assert len(lanes) == 64
    assert abs(u.mean() - record["mean_energy"]["mean"]) < 4 * lanes.std(ddof=1) / 8
    assert system.reference_path.stat().st_size < 1_000_000


def test_moves_and_swaps_keep_the_distribution_of_springs() -> None:
    """With no depth only the springs are left: ⟨u⟩ = 3 (N − 1)/2 kT on the lowest rung (4 standard errors)."""
    script = runpy.run_path(str(SCRIPT))
    system = script["variant"](cluster("lj13"), 0.0)
    found = script["run"](system, 1.0, 300, 12, 1, "compact")["figures"]["u"]
    assert abs(found["mean"] - 18.0) < 4 * found["standard_error"]
    assert found["standard_error"] < 0.5
