import numpy as np
import pytest
import torch

from molgen.training.balance import FrameChoice

STATES = np.array([0] * 900 + [1] * 90 + [-1] * 10)


@pytest.mark.parametrize(("power", "expected"), [(0.5, [10**0.5, 900**0.5, 90**0.5]), (0.0, [1.0, 1.0, 1.0])])
def test_a_state_counts_by_a_power_of_its_share(power: float, expected: list[float]) -> None:
    """Of 30,000 rows a share scatters by at most 0.003: bounds of 5 standard errors."""
    rows = FrameChoice(STATES, power).rows(30_000, torch.Generator().manual_seed(1))
    found = np.bincount(STATES[rows.numpy()] + 1) / 30_000
    assert found == pytest.approx(np.array(expected) / sum(expected), abs=0.015)


def test_frames_as_they_come_are_drawn_uniformly() -> None:
    rows = FrameChoice(STATES, 1.0).rows(50, torch.Generator().manual_seed(1))
    assert torch.equal(rows, torch.randint(0, 1000, (50,), generator=torch.Generator().manual_seed(1)))
