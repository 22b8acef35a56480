"""Laws that every energy keeps."""

import pickle
from typing import Any

import numpy as np
import pytest

from molgen.energies.base import CHUNK_FRAMES
from molgen.energies.factory import open_energy
from molgen.engines.executors import open_executor
from molgen.errors import InputError
from molgen.systems.loading import load_system

NAMES = [
    "alanine-dipeptide", "alanine-dipeptide-vacuum", "double-well", "muller-brown", "dead-end", "hidden-coordinate",
    "dw4", "lj13",
]  # fmt: skip


@pytest.fixture(scope="module", params=NAMES)
def system(request: pytest.FixtureRequest) -> Any:
    return load_system(request.param)


@pytest.fixture
def energy(system: Any) -> Any:
    return open_energy(system, platform="Reference")


def frames_of(system: Any, n: int) -> Any:
    noise = np.random.default_rng(7).normal(size=(n, *system.positions.shape))
    return system.positions + (0.003 if system.n_particles > 1 else 0.2) * noise


def test_gradient_agrees_with_finite_differences(system: Any, energy: Any) -> None:
    frame = frames_of(system, 1)
    _, gradient = energy.reduced_and_gradient(frame, purpose="training")
    step = 1e-6
    shifts = np.eye(frame[0].size).reshape(-1, *frame.shape[1:]) * step
    upper = energy.reduced(frame + shifts, purpose="training")
    lower = energy.reduced(frame - shifts, purpose="training")
    numeric = ((upper - lower) / (2 * step)).reshape(frame.shape)
    np.testing.assert_allclose(gradient, numeric, rtol=1e-5, atol=1e-5 * np.abs(numeric).max())


def test_energy_alone_agrees_with_energy_and_gradient(system: Any, energy: Any) -> None:
    frames = frames_of(system, 5)
    alone = energy.reduced(frames, purpose="data")
    together, gradient = energy.reduced_and_gradient(frames, purpose="data")
    np.testing.assert_allclose(alone, together, rtol=1e-12)
    assert gradient.shape == frames.shape


def test_frames_that_cannot_be_computed_are_marked_and_leave_the_others_alone(system: Any, energy: Any) -> None:
    frames = frames_of(system, 4)
    expected, slopes = energy.reduced_and_gradient(frames, purpose="sampling")
    broken = frames.copy()
    broken[1, 0, 0] = np.nan
    broken[2] = np.inf
    values, gradient = energy.reduced_and_gradient(broken, purpose="sampling")
    assert np.isposinf(values[[1, 2]]).all()
    assert (gradient[[1, 2]] == 0).all()
    np.testing.assert_array_equal(values[[0, 3]], expected[[0, 3]])
    np.testing.assert_array_equal(gradient[[0, 3]], slopes[[0, 3]])
    assert np.isposinf(energy.reduced(broken, purpose="sampling")[[1, 2]]).all()


def test_every_row_is_counted_under_its_purpose(system: Any, energy: Any) -> None:
    frames = frames_of(system, 3)
    energy.reduced(frames, purpose="sampling")
    energy.reduced_and_gradient(frames[:2], purpose="training")
    energy.reduced(frames[:0], purpose="reweighting")
    assert energy.counter.as_dict() == {"data": 0, "training": 2, "sampling": 3, "reweighting": 0}
    assert energy.counter.total == 5


def test_no_frames_give_empty_arrays(system: Any, energy: Any) -> None:
    empty = frames_of(system, 2)[:0]
    values, gradient = energy.reduced_and_gradient(empty, purpose="data")
    assert values.shape == (0,)
    assert gradient.shape == empty.shape


def test_a_frame_has_the_same_energy_in_any_batch(system: Any, energy: Any) -> None:
    frames = frames_of(system, CHUNK_FRAMES + 3)
    together = energy.reduced(frames, purpose="data")
    single = [energy.reduced(frames[i : i + 1], purpose="data")[0] for i in (0, CHUNK_FRAMES - 1, CHUNK_FRAMES)]
    np.testing.assert_array_equal(together[[0, CHUNK_FRAMES - 1, CHUNK_FRAMES]], single)


def test_float32_frames_are_accepted(system: Any, energy: Any) -> None:
    frames = frames_of(system, 2).astype(np.float32)
    assert energy.reduced(frames, purpose="data").dtype == np.float64


def test_another_shape_is_refused(system: Any, energy: Any) -> None:
    with pytest.raises(InputError, match="shape"):
        energy.reduced(np.zeros((2, system.n_particles + 1, system.dim)), purpose="data")


def test_another_temperature_scales_the_energy(system: Any, energy: Any) -> None:
    hot = open_energy(system, platform="Reference", temperature_k=2 * system.temperature_k)
    frames = frames_of(system, 2)
    cold_u, cold_g = energy.reduced_and_gradient(frames, purpose="data")
    hot_u, hot_g = hot.reduced_and_gradient(frames, purpose="data")
    np.testing.assert_allclose(2 * hot_u, cold_u, rtol=1e-12)
    np.testing.assert_allclose(2 * hot_g, cold_g, rtol=1e-12)


def test_it_survives_pickling(system: Any, energy: Any) -> None:
    frames = frames_of(system, 3)
    expected = energy.reduced(frames, purpose="data")
    copy = pickle.loads(pickle.dumps(energy))  # noqa: S301  # our own bytes, as a process pool sends them
    np.testing.assert_array_equal(copy.reduced(frames, purpose="data"), expected)


def test_workers_do_not_change_the_result() -> None:
    system = load_system("alanine-dipeptide")
    frames = frames_of(system, 2 * CHUNK_FRAMES + 5)
    alone = open_energy(system, platform="Reference").reduced_and_gradient(frames, purpose="data")
    with open_executor(2) as executor:
        shared = open_energy(system, executor=executor, platform="Reference")
        together = shared.reduced_and_gradient(frames, purpose="data")
        assert executor.submit(_modules).result() == []
    np.testing.assert_array_equal(together[0], alone[0])
    np.testing.assert_array_equal(together[1], alone[1])
    assert shared.counter.data == len(frames)


def _modules() -> list[str]:
    import sys

    return [name for name in ("torch", "mdtraj", "matplotlib") if name in sys.modules]
