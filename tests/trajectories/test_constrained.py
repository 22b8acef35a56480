from pathlib import Path

import numpy as np
import pytest

from molgen.errors import InputError
from molgen.systems.constraints import log_constraint_determinant
from molgen.systems.system import MolecularSystem
from molgen.trajectories.constrained import log_stiff
from molgen.trajectories.frames import FrameSet, concatenate
from tests.molecules import alanine, frames_of, system_of


def test_free_molecules_weigh_nothing_besides() -> None:
    assert log_stiff(alanine().positions[None], alanine(), "x") is None


def test_frames_that_do_not_hold_the_bonds_are_refused() -> None:
    system = system_of("fixed bonds")
    with pytest.raises(InputError, match="does not hold atoms"):
        log_stiff(1.02 * system.positions[None], system, "theirs.dcd")


def test_the_weight_is_minus_half_the_log_determinant_and_knows_the_masses_that_moved() -> None:
    system = system_of("fixed bonds")
    frames = frames_of("fixed bonds", 30).numpy()
    pairs = [(i, j) for i, j, _ in system.constraints]
    masses = np.array([atom.mass_da for atom in system.topology.atoms])
    found = log_stiff(frames, system, "x")
    assert found is not None
    np.testing.assert_allclose(found, -0.5 * log_constraint_determinant(frames, pairs, 1.0 / masses))
    heavy = log_stiff(frames, system, "x", hydrogen_mass_da=3.0)
    assert heavy is not None
    assert np.std(heavy - found) > 1e-4


def test_the_determinant_is_that_of_the_gradients_themselves() -> None:
    """Against Z = G M^-1 G^T with G by central differences of the distances."""
    system = system_of("fixed serine")
    frame = frames_of("fixed serine", 1)[0].numpy()
    pairs = np.array([(i, j) for i, j, _ in system.constraints])
    inverse = 1.0 / np.array([atom.mass_da for atom in system.topology.atoms])

    def distances(flat: np.ndarray) -> np.ndarray:
        x = flat.reshape(-1, 3)
        return np.linalg.norm(x[pairs[:, 0]] - x[pairs[:, 1]], axis=1)

    h = 1e-6
    steps = h * np.eye(frame.size)
    gradients = np.array([(distances(frame.ravel() + s) - distances(frame.ravel() - s)) / (2 * h) for s in steps]).T
    z = (gradients * np.repeat(inverse, 3)) @ gradients.T
    found = log_constraint_determinant(frame[None], [tuple(pair) for pair in pairs], inverse)
    assert found[0] == pytest.approx(np.linalg.slogdet(z)[1], abs=1e-6)


def test_weights_follow_their_frames_when_selected_and_joined() -> None:
    positions = np.zeros((4, 3, 3), dtype=np.float32)
    lineage = np.zeros(4, dtype=np.int64)
    one = FrameSet(positions, lineage, "equilibrium", np.full(4, 300.0), log_stiff=np.arange(4.0))
    two = FrameSet(
        positions, lineage, "equilibrium", np.full(4, 300.0), log_weight=np.ones(4), log_stiff=np.arange(4.0)
    )
    assert one.select(slice(None, None, 2)).log_stiff is not None
    np.testing.assert_array_equal(concatenate([one, one.select(slice(0, 2))]).total_log_weight, [0, 1, 2, 3, 0, 1])
    np.testing.assert_array_equal(two.total_log_weight, np.arange(4.0) + 1.0)
    with pytest.raises(ValueError, match="log_stiff"):
        FrameSet(positions, lineage, "equilibrium", np.full(4, 300.0), log_stiff=np.arange(3.0))


def test_simulated_frames_carry_the_weight_of_their_own_masses(tmp_path: Path) -> None:
    from molgen.systems.loading import read_system
    from molgen.trajectories.reading import read_frames
    from molgen.workflows import SimulationSettings, simulate

    text = (alanine_folder() / "system.toml").read_text().replace('constraints = "none"', 'constraints = "h-bonds"')
    (tmp_path / "topology.pdb").write_bytes((alanine_folder() / "topology.pdb").read_bytes())
    (tmp_path / "system.toml").write_text(text)
    system = read_system(tmp_path / "system.toml")
    assert isinstance(system, MolecularSystem)
    assert len(system.constraints) == 12
    settings = SimulationSettings(plain_chains=1, equilibration_ps=0.0)
    result = simulate(system, tmp_path / "md", mode="plain", time_ps=1.0, settings=settings, seed=1)
    frames = read_frames([result.directory], system)
    expected = log_stiff(frames.positions, system, "x", hydrogen_mass_da=3.0)
    assert expected is not None
    np.testing.assert_allclose(frames.log_stiff, expected)
    assert np.abs(frames.log_stiff - log_stiff(frames.positions, system, "x")).max() > 1e-3


def alanine_folder() -> Path:
    from molgen.systems.loading import data_root

    return data_root() / "systems" / "alanine-dipeptide"
