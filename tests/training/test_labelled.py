"""Labels against what they stand for: U(t, r) = u(x(t, r)) - log |dx/d(t, r)| and its derivatives."""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import torch

from molgen.energies.base import Energy
from molgen.energies.factory import open_energy
from molgen.models.spline_flow import SplineFlow, SplineFlowSettings
from molgen.systems.loading import load_system
from molgen.training.labelled import LabelledFrames, label_frames, slopes
from molgen.trajectories.options import ReadingOptions
from molgen.trajectories.reading import read_frames

SMALL = SplineFlowSettings(hidden=8, bins=4, torsion_hidden=8, torsion_bins=6)


@cache
def dipeptide() -> tuple[SplineFlow, Energy, np.ndarray, np.ndarray]:
    """A flow whitened on reference frames, in float64, with every tenth frame and its weight."""
    system = load_system("alanine-dipeptide")
    assert system.reference_path is not None
    frames = read_frames([system.reference_path], system, ReadingOptions(stride=10))
    assert frames.log_weight is not None
    positions = frames.positions.astype(np.float64)
    flow = SplineFlow(system, SMALL, torch.Generator().manual_seed(1)).double()
    flow.whitening.fit(flow.chart.encode(flow.chart.canonical(torch.as_tensor(positions))))
    return flow, open_energy(system, platform="Reference"), positions, frames.log_weight


def potential(flow: SplineFlow, energy: Energy, t: torch.Tensor, r: torch.Tensor) -> np.ndarray:
    with torch.no_grad():
        placed, log_volume, _ = flow.place(t, r)
    return np.asarray(energy.reduced(placed.numpy(), purpose="training") - log_volume.numpy())


def test_potential_and_slopes_agree_with_finite_differences() -> None:
    flow, energy, positions, _ = dipeptide()
    # A rotated and relabelled frame is the same configuration: its slopes must come out in the flow's own orientation.
    turn, _ = np.linalg.qr(np.random.default_rng(4).normal(size=(3, 3)))
    turn *= np.linalg.det(turn)
    frames = flow.chart.unfold(torch.as_tensor(positions[:3] @ turn.T + 0.3), torch.Generator().manual_seed(2)).numpy()
    labelled = label_frames(flow, frames, energy)
    t, r = labelled.t, labelled.r
    np.testing.assert_allclose(labelled.potential.numpy(), potential(flow, energy, t, r), atol=2e-3)
    step = 1e-4
    for column, slope in ((t, labelled.slope_t), (r, labelled.slope_r)):
        for k in range(column.shape[1]):
            ends = []
            for sign in (1, -1):
                moved = column.clone()
                moved[:, k] += sign * step
                ends.append(potential(flow, energy, *((moved, r) if column is t else (t, moved))))
            found = (ends[0] - ends[1]) / (2 * step)
            scale = np.maximum(1.0, np.abs(slope[:, k].numpy()))
            assert np.all(np.abs(found - slope[:, k].numpy()) < 0.02 * scale), k


def test_slopes_obey_the_virial_theorem() -> None:
    """E_p[r_k dU/dr_k] = 1 for each of the stiff coordinates and E_p[dU/dt_k] = 0 for each free torsion.

    60 averages over 1,900 weighted frames, the data being fixed: each within 5 standard errors, with the frames taken
    for twice as correlated as independent ones (false-alarm rate below 0.1 % for fresh data).
    """
    flow, energy, positions, log_weight = dipeptide()
    labelled = label_frames(flow, positions, energy)
    assert bool(torch.isfinite(labelled.potential).all())
    weight = np.exp(log_weight - log_weight.max())
    weight /= weight.sum()
    virials = torch.cat([labelled.r * labelled.slope_r - 1.0, labelled.slope_t], 1).numpy()
    mean = weight @ virials
    error = np.sqrt(2.0 * (weight**2) @ (virials - mean) ** 2)
    assert virials.shape[1] == 60
    assert np.abs(mean / error).max() < 5.0
    assert error.max() < 0.5


def test_every_energy_and_force_is_counted_once() -> None:
    flow, energy, positions, _ = dipeptide()
    before = energy.counter.training
    label_frames(flow, positions[:7], energy)
    assert energy.counter.training == before + 7


def test_a_frame_without_energy_is_kept_and_marked() -> None:
    flow, energy, positions, _ = dipeptide()
    broken = positions[:2].copy()
    broken[1, 0] = broken[1, 21]  # two hydrogens far apart in the molecule, in one place
    labelled = label_frames(flow, broken, energy)
    assert bool(torch.isfinite(labelled.potential[0]))
    assert torch.isinf(labelled.potential[1])
    assert not labelled.slope_r[1].any()
    assert labelled.slope_r[0].any()


def test_rows_weights_and_concatenation(make_bench: Callable[..., Any]) -> None:
    labelled: LabelledFrames = make_bench(n=6).labelled
    again = LabelledFrames.concatenate([labelled.rows(torch.arange(2)), labelled.rows(torch.arange(2, 6))])
    for a, b in zip(vars(labelled).values(), vars(again).values(), strict=True):
        assert torch.equal(a, b)
    weighted = labelled.weighted(torch.arange(6))
    assert weighted.log_weight.dtype == labelled.log_weight.dtype
    assert weighted.log_weight.tolist() == [0, 1, 2, 3, 4, 5]
    assert torch.equal(weighted.slope_r, labelled.slope_r)


def test_slopes_of_what_hangs_on_nothing_are_zero() -> None:
    x, y = torch.ones(2, requires_grad=True), torch.ones(2, requires_grad=True)
    found = slopes([x * 3.0, torch.ones(2)], [x, y], [torch.ones(2), torch.ones(2)])
    assert [value.tolist() for value in found] == [[3.0, 3.0], [0.0, 0.0]]
