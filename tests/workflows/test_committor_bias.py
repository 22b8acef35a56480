"""`sample --bias` along a committor, by every method: weights stay exact, and most draws go where they are wanted."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from molgen.committor.artifact import save_committor
from molgen.committor.model import Committor, CommittorSettings
from molgen.dynamics.passage_factory import dynamics_record
from molgen.ensemble import EnsembleReader
from molgen.errors import InputError, UsageError
from molgen.models.artifact import save_model
from molgen.models.flow_matching import FlowMatching, FlowMatchingSettings
from molgen.models.spline_flow import SplineFlow, SplineFlowSettings
from molgen.networks.equivariant import EquivariantSettings
from molgen.observables.boundary import Boundary
from molgen.observables.states import with_states
from molgen.systems.definition import StateSection
from molgen.systems.loading import load_system
from molgen.workflows import reweight_conclusion
from molgen.workflows.reweight_settings import ReweightSettings
from molgen.workflows.reweighting import reweight
from molgen.workflows.sampling import SamplingSettings, sample
from molgen.workflows.transition_states import transition_ensemble
from tests.fitted_wells import save_well
from tests.wells import committor, double_well, potential

SYSTEM = double_well()
SETTINGS = SamplingSettings().with_overrides(
    ["latent.pilot=1200", "flattening.pilot=1500", "annealing.pilot=100", "annealing.leapfrogs=3"]
)
QUICK = ReweightSettings(audit_rows=32, bootstrap_repeats=20, distances={"enabled": False})


@pytest.fixture(autouse=True)
def _no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reweight_conclusion, "write_report", lambda _, path: path.write_text("<html></html>"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``c``, a committor, and ``model``, one broad bump that knows nothing of the two wells."""
    folder = tmp_path_factory.mktemp("line")
    save_well(folder / "c")
    flow = SplineFlow(SYSTEM, SplineFlowSettings(hidden=8, spline=1), torch.Generator().manual_seed(1))
    frames = np.random.default_rng(1).normal(-0.3, 0.8, size=4000)
    flow.fit(torch.as_tensor(frames).reshape(-1, 1, 1))
    (folder / "model").mkdir()
    save_model(folder / "model", "spline", flow, SYSTEM, {"evaluations": {"data": 4000, "training": 0}})
    return folder


def exact_delta() -> float:
    """ΔF between the two cores."""
    x = np.linspace(-4.0, 4.0, 400_001)
    p = np.exp(-potential(x))
    return -math.log(p[x > 0.9].sum() / p[x < -0.9].sum())


@pytest.mark.parametrize(
    ("method", "bias"),
    [
        ("latent", "harmonic(committor({c}), center=0, k=0.5 kT)"),
        ("latent", "auto:committor({c})"),
        ("annealed", "harmonic(committor({c}), center=0, k=0.3 kT)"),
    ],
)
def test_weights_are_exact_and_draws_stand_where_q_is_half(
    folder: Path, tmp_path: Path, method: str, bias: str
) -> None:
    """ΔF of the cores within 4 of the stated errors; the weighted share of the transition states as it is."""
    result = sample(
        folder / "model",
        tmp_path / "out",
        n=5000 if method == "latent" else 3200,
        bias=bias.format(c=folder / "c"),
        method=method,
        settings=SETTINGS,
        seed=11,
    )
    assert result.bias is not None
    assert f"committor({(folder / 'c').resolve()}@" in result.bias
    (rows,) = EnsembleReader(tmp_path / "out" / "ensemble.h5").chunks(100_000)
    record = reweight(tmp_path / "out", tmp_path / "result", settings=QUICK, seed=1, allow_refused=True).record
    assert record["audit"]["passed"], record["audit"]
    ((name, found),) = record["delta_f"].items()
    sign = 1.0 if name == "left->right" else -1.0
    error = (found["high"] - found["low"]) / 3.92
    assert abs(sign * found["value"] - exact_delta()) < 4.0 * error
    assert error < 0.4
    near = np.abs(committor(rows.positions[:, 0, 0]) - 0.5) < 0.3
    states = transition_ensemble(folder / "c", [tmp_path / "result"], tmp_path / "ts", delta=0.3, allow_refused=True)
    x = np.linspace(-2.5, 2.5, 10_001)
    p = np.exp(-potential(x))
    share = p[np.abs(committor(x) - 0.5) < 0.3].sum() / p.sum()
    assert near.mean() > 10.0 * share
    assert states.share == pytest.approx(share, rel=0.1 + 4.0 / math.sqrt(states.ess))
    assert states.ess > 40  # else the bound above says nothing


def test_the_bias_may_stand_in_a_file_beside_its_committor(folder: Path, tmp_path: Path) -> None:
    (folder / "bias.toml").write_text(
        '[[bias]]\nkind = "flat-bottom"\ncv = "committor(c)"\ncenter = 0\nwidth = 2\nk = "1 kT"\n'
    )
    result = sample(
        folder / "model", tmp_path / "out", n=400, bias=f"{folder / 'bias.toml'}", seed=1, settings=SETTINGS
    )
    assert result.bias is not None
    assert result.bias.startswith(f"flat-bottom(committor({(folder / 'c').resolve()}@")


def test_committors_of_another_dynamics_are_refused(folder: Path, tmp_path: Path) -> None:
    save_well(tmp_path / "other", double_well(timestep_fs=2.0))
    line = f"harmonic(committor({tmp_path / 'other'}), center=0, k=2 kT)"
    for method in ("auto", "annealed"):
        with pytest.raises(InputError, match="belongs to another dynamics than double-well has here"):
            sample(folder / "model", tmp_path / "out", n=1000, bias=line, method=method, settings=SETTINGS)
    assert not (tmp_path / "out").exists()


def test_a_guided_flow_follows_a_smooth_committor(tmp_path: Path) -> None:
    """The audit takes the draws back along the steps that made them, drift of the committor included."""
    states = (StateSection(name="small", where="rg < 0.5 nm"), StateSection(name="large", where="rg > 9 nm"))
    system: Any = with_states(load_system("dw4"), states)
    network = EquivariantSettings(layers=1, scalars=8, vectors=4, radial=8, hidden=8)
    flow = FlowMatching(system, FlowMatchingSettings(network=network, steps=2), torch.Generator().manual_seed(1))
    flow.fit(torch.as_tensor(system.positions)[None])
    (tmp_path / "model").mkdir()
    save_model(tmp_path / "model", "flow-matching", flow, system, {})
    settings = CommittorSettings(features="cv", hidden=8, members=2)
    model = Committor(Boundary(system, "small", "large"), settings, torch.Generator().manual_seed(1))
    model.features.fit(torch.as_tensor(np.random.default_rng(1).normal(size=(50, 4, 2)) * 2.0))
    model.members.linear.data.fill_(1.0)
    (tmp_path / "c").mkdir()
    save_committor(tmp_path / "c", model, dynamics_record(system, model.boundary), {})
    line = f"linear(committor({tmp_path / 'c'}), slope=1 kT)"
    guided = SamplingSettings().with_overrides(["guidance.refine=1"])
    result = sample(tmp_path / "model", tmp_path / "out", n=40, bias=line, settings=guided, seed=3)
    assert result.method == "guided"
    record = reweight(tmp_path / "out", tmp_path / "result", settings=QUICK, seed=1, allow_refused=True).record
    checks = {check["name"]: check["passed"] for check in record["audit"]["checks"]}
    assert checks["log_q"]


def test_guidance_does_not_follow_what_jumps(tmp_path: Path) -> None:
    from molgen.workflows.bias_functions import check_smooth, read_bias
    from tests.committor.test_variable import save_molecule

    system = save_molecule(tmp_path / "c", "internal")
    bias = read_bias(f"linear(committor({tmp_path / 'c'}), slope=1 kT)", system)
    with pytest.raises(UsageError, match="jumps where equal atoms change places"):
        check_smooth([term.cv for term in bias.terms])
