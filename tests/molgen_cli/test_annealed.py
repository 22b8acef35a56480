"""`sample --method annealed` and `reweight` of it by the command line, with the real workflows."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from molgen.models.artifact import save_model
from molgen.models.spline_flow import SplineFlow, SplineFlowSettings
from molgen.systems.loading import load_system
from molgen.workflows import reweight_conclusion

Command = Callable[..., int]
Captured = pytest.CaptureFixture[str]
SMALL = ("--set", "annealing.populations=10", "--set", "annealing.pilot=50", "--set", "annealing.leapfrogs=2")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A normal distribution for the double well."""
    flow = SplineFlow(
        load_system("double-well"), SplineFlowSettings(affine=0, spline=0, hidden=4), torch.Generator().manual_seed(1)
    )
    flow.fit(torch.tensor([[[-0.7]], [[0.7]]], dtype=torch.float64))
    flow.whitening.scale.fill_(0.9)
    (tmp_path / "model").mkdir()
    save_model(tmp_path / "model", "spline", flow, load_system("double-well"), {"evaluations": {}})
    return tmp_path / "model"


def test_from_a_model_to_a_verdict(
    model: Path, tmp_path: Path, molgen_command: Command, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reweight_conclusion, "write_report", lambda _, path: path.write_text("<html></html>"))
    drawn = ("sample", str(model), "--method", "annealed", "-n", "400", "--seed", "1", "--workers", "1", "--json")
    ensemble, result = tmp_path / "annealed", tmp_path / "result"
    assert molgen_command(*drawn, *SMALL, "-o", str(ensemble), "--dry-run") == 0
    plan = json.loads(capsys.readouterr().out)
    assert (plan["method"], plan["populations"]) == ("annealed", 10)
    assert molgen_command(*drawn, *SMALL, "-o", str(ensemble), "-q") == 0
    said = json.loads(capsys.readouterr().out)
    assert said["method"] == "annealed"
    assert said["evaluations"] >= plan["evaluations_at_least"]
    # 400 particles are too few to be believed: exit 4, and 0 where that is allowed; the verdict is the same.
    weigh = ("reweight", str(ensemble), "-o", str(result), "--seed", "1", "--json", "-q", "--workers", "1")
    assert molgen_command(*weigh) == 4
    capsys.readouterr()
    assert molgen_command(*weigh, "--allow-refused") == 0
    record = json.loads(capsys.readouterr().out)
    assert (record["verdict"], record["annealing"]["count"]) == ("refused", 10)
    assert record["evaluations"]["sampling"] == said["evaluations"]


def test_what_cannot_be_annealed_is_one_sentence_and_leaves_nothing(
    model: Path, tmp_path: Path, molgen_command: Command, capsys: Captured
) -> None:
    out = tmp_path / "out"
    for more, code, message in (
        (("-n", "50"), 2, "too few for 16 populations"),
        (("-n", "400", "--bias", "auto:x"), 2, "has to be found first"),
        (("-n", "400", "--bias", "harmonic(y, center=0, k=1 kT)"), 3, "no collective variable 'y'"),
        (("-n", "400", "--set", "annealing.populations=5"), 3, "annealing.populations"),
    ):
        assert molgen_command("sample", str(model), "--method", "annealed", *more, "-o", str(out), "-q") == code, more
        assert message in capsys.readouterr().err
        assert not out.exists()
