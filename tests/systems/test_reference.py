"""The shipped reference ensemble of alanine dipeptide is what its record says."""

import json

import numpy as np

from molgen.coordinates.domain import domain_of
from molgen.energies.factory import open_energy
from molgen.observables.states import build_states
from molgen.observables.table import evaluate_cvs
from molgen.systems.loading import load_system
from molgen.trajectories.reading import read_frames


def test_weighted_frames_have_the_recorded_populations_and_energy() -> None:
    """19,000 of the 38,000 frames behind the record: within 2 of its standard errors, the data being fixed."""
    system = load_system("alanine-dipeptide")
    assert system.reference_path is not None
    record = json.loads(system.reference_path.with_suffix(".json").read_text())
    assert record["fingerprint"] == system.fingerprint
    frames = read_frames([system.reference_path], system)
    assert frames.log_weight is not None
    assert len(frames.positions) == record["shipped_frames"]
    weights = np.exp(frames.log_weight)
    states = build_states(system)
    labels = states.assign(evaluate_cvs(system, frames.positions.astype(np.float64)))
    for index, name in enumerate(states.names):
        figures = record["populations"][name]
        found = weights[labels == index].sum() / weights.sum()
        assert abs(found - figures["value"]) < 2 * figures["standard_error"]
    assert domain_of(system).contains(frames.positions).all()
    few = slice(None, None, 10)
    energy = open_energy(system, platform="Reference").reduced(frames.positions[few].astype(np.float64), purpose="data")
    mean = np.average(energy, weights=weights[few])
    assert abs(mean - record["energy_kt"]["mean"]) < 1.0
