"""Each command calls one workflow with what was asked and prints its result."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import molgen.systems
from molgen.trajectories.options import ReadingOptions

Command = Callable[..., int]
Captured = pytest.CaptureFixture[str]

COMMANDS = {
    "simulate": ("simulate", "ala", "--time", "5ns", "-o", "out"),
    "train": ("train", "ala", "md1", "md2", "-o", "out"),
    "sample": ("sample", "model", "-o", "out"),
    "reweight": ("reweight", "ensemble", "-o", "out"),
    "demo": ("demo",),
}
PLANS = {
    "simulate": "plan_simulation",
    "train": "plan_training",
    "sample": "plan_sampling",
    "reweight": "plan_reweighting",
    "demo": "plan_demo",
}


def test_simulate(workflows: Any, molgen_command: Command) -> None:
    assert molgen_command(*COMMANDS["simulate"], "--explore", "--seed", "3", "--workers", "1", "--platform", "CPU") == 0
    ((name, arguments, options),) = workflows.calls
    assert (name, arguments) == ("simulate", ("<ala>", Path("out")))
    assert (options["mode"], options["time_ps"]) == ("explore", 5000.0)
    assert (options["seed"], options["workers"], options["platform"]) == (3, 1, "CPU")
    assert options["settings"].bins == 8


def test_simulate_is_plain_unless_asked(workflows: Any, molgen_command: Command) -> None:
    assert molgen_command(*COMMANDS["simulate"]) == 0
    assert workflows.calls[0][2]["mode"] == "plain"
    assert workflows.calls[0][2]["seed"] is None


def test_simulate_passes_the_bias(workflows: Any, molgen_command: Command) -> None:
    line = "harmonic(phi, center=60deg, k=50 kJ/mol/rad^2)"
    assert molgen_command(*COMMANDS["simulate"], "--bias", line) == 0
    assert molgen_command(*COMMANDS["simulate"], "--bias", line, "--dry-run") == 0
    assert [(options["bias"], options["mode"]) for _, _, options in workflows.calls] == [(line, "plain")] * 2


def test_simulate_passes_the_frame_to_start_from(workflows: Any, molgen_command: Command) -> None:
    assert molgen_command(*COMMANDS["simulate"], "--start", "window45") == 0
    assert molgen_command(*COMMANDS["simulate"], "--start", "window45", "--dry-run") == 0
    assert [options["start"] for _, _, options in workflows.calls] == [Path("window45")] * 2


def test_reweight_passes_target_and_restraints_and_prints_what_they_give(
    workflows: Any, molgen_command: Command, capsys: Captured
) -> None:
    ends = {"value": 0.3, "low": 0.25, "high": 0.35}
    workflows.result["target"] = {
        "system": "nmr",
        "drawn_system": "ala",
        "states": {"left": {"value": 1.26, "low": 1.15, "high": 1.37, "verdict": "caution"}},
        "pairs": {},
    }
    workflows.result["restraints"] = {
        "observables": {"J": {"mean": 6.6, "error": 0.3, "before": ends, "after": None}},
        "populations": {"left": {"before": ends, "after": ends}},
        "theta": 1.0,
        "chi2_before": 2.5,
        "likelihood": {"system": "nmr", "drawn_system": "ala", "log_bayes_factor": 2.68, "error": 0.25},
    }
    options = ("--temperature", "310", "--system", "other.toml", "--restrain", "o.csv", "--observables", "v.npz")
    assert molgen_command(*COMMANDS["reweight"], *options) == 0
    ((_, _, given),) = workflows.calls
    assert (given["temperature_k"], given["system"]) == (310.0, "other.toml")
    assert (given["restrain"], given["observables"]) == (Path("o.csv"), Path("v.npz"))
    text = capsys.readouterr().out
    for shown in ("1.26 [1.15, 1.37]", "6.6 ± 0.3", "0.3000 [0.2500, 0.3500]", "theta: 1", "2.68 ± 0.25"):
        assert shown in text


def test_train(workflows: Any, molgen_command: Command) -> None:
    assert molgen_command(*COMMANDS["train"], "--set", "bins=16", "--max-time", "30m") == 0
    ((name, arguments, options),) = workflows.calls
    assert (name, arguments) == ("train", ("<ala>", [Path("md1"), Path("md2")], Path("out")))
    assert options["settings"].bins == 16
    assert options["interruption"].max_time_s == 1800.0


def test_the_kind_of_model(workflows: Any, molgen_command: Command) -> None:
    assert molgen_command(*COMMANDS["train"]) == 0
    assert molgen_command(*COMMANDS["train"], "--model", "diffusion") == 0
    assert molgen_command(*COMMANDS["train"], "--model", "diffusion", "--dry-run") == 0
    assert [options["model"] for _, _, options in workflows.calls] == ["auto", "diffusion", "diffusion"]


def test_noisy_densities_are_weighed_only_if_allowed(workflows: Any, molgen_command: Command) -> None:
    assert molgen_command(*COMMANDS["reweight"]) == 0
    assert molgen_command(*COMMANDS["reweight"], "--allow-noisy-density") == 0
    assert [options["allow_noisy_density"] for _, _, options in workflows.calls] == [False, True]


@pytest.mark.parametrize("command", ["train", "reweight", "check"])
def test_which_frames_and_atoms_are_read(workflows: Any, molgen_command: Command, tmp_path: Path, command: str) -> None:
    pdb = tmp_path / "all.pdb"
    pdb.touch()
    arguments = COMMANDS.get(command, ("check", "ala", "md.xtc"))
    molgen_command(*arguments, "--stride", "5", "--selection", "protein", "--topology", str(pdb))
    assert workflows.calls[0][2]["reading"] == ReadingOptions(5, "protein", pdb)
    workflows.calls.clear()
    molgen_command(*arguments)
    assert workflows.calls[0][2]["reading"] == ReadingOptions()


def test_check_shows_every_finding_and_exits_3_for_a_problem(
    workflows: Any, molgen_command: Command, capsys: Captured
) -> None:
    assert molgen_command("check", "ala", "md.dcd", "-q") == 3
    ((name, arguments, _),) = workflows.calls
    assert (name, arguments) == ("check", ("ala", [Path("md.dcd")]))
    text = capsys.readouterr().out
    for shown in ("Every bond is held.", "It is truncated [cut].", "→ Copy it again.", "1 problem."):
        assert shown in text
    assert molgen_command("check", "ala", "--json", "-q") == 3
    assert json.loads(capsys.readouterr().out)["problems"] == 1
    workflows.checked["problems"] = 0
    assert molgen_command("check", "ala", "-q") == 0
    assert "No problem was found." in capsys.readouterr().out


def test_sample(workflows: Any, molgen_command: Command) -> None:
    assert molgen_command(*COMMANDS["sample"], "-n", "123") == 0
    ((name, arguments, options),) = workflows.calls
    assert (name, arguments, options["n"]) == ("sample", (Path("model"), Path("out")), 123)


def test_sample_passes_the_bias(workflows: Any, molgen_command: Command) -> None:
    line = "harmonic(phi, center=60deg, k=50 kJ/mol/rad^2)"
    assert molgen_command(*COMMANDS["sample"], "--bias", line, "--method", "guided") == 0
    assert molgen_command(*COMMANDS["sample"], "--bias", line, "--dry-run") == 0
    (_, _, done), (_, _, planned) = workflows.calls
    assert (done["bias"], done["method"]) == (line, "guided")
    assert (planned["bias"], planned["method"]) == (line, "auto")


def test_reweight_prints_table_verdict_and_report(workflows: Any, molgen_command: Command, capsys: Captured) -> None:
    assert molgen_command(*COMMANDS["reweight"], "--reference", "md-long", "--model", "m") == 0
    ((name, arguments, options),) = workflows.calls
    assert (name, arguments) == ("reweight", ([Path("ensemble")], Path("out")))
    assert (options["reference"], options["model"]) == (Path("md-long"), Path("m"))
    text = capsys.readouterr().out
    for shown in (
        "0.0210 [0.0180, 0.0240]",
        "0.0199 [0.0187, 0.0211]",
        "alpha_r->alpha_l",
        "3.70 [3.50, 3.90]",
        "61.2 %",
        "0.41 (threshold 0.70)",
        "Verdict: caution",
        "  - Coverage was not tested",
        "data 1, training 2, sampling 3, reweighting 4",
        "report: result/report.html",
    ):
        assert shown in text


@pytest.mark.parametrize("command", ["reweight", "demo"])
def test_refused_exits_4_unless_allowed(
    workflows: Any, molgen_command: Command, capsys: Captured, command: str
) -> None:
    workflows.result["verdict"] = "refused"
    assert molgen_command(*COMMANDS[command]) == 4
    assert "Verdict: refused" in capsys.readouterr().out
    assert molgen_command(*COMMANDS[command], "--allow-refused", "--json") == 0
    assert json.loads(capsys.readouterr().out)["verdict"] == "refused"
    assert molgen_command(*COMMANDS[command], "--json") == 4
    assert json.loads(capsys.readouterr().out)["verdict"] == "refused"


@pytest.mark.parametrize("command", COMMANDS)
def test_json_is_one_object_and_nothing_else(
    workflows: Any, molgen_command: Command, capsys: Captured, command: str
) -> None:
    assert molgen_command(*COMMANDS[command], "--json") == 0
    captured = capsys.readouterr()
    printed = json.loads(captured.out)
    assert printed["evaluations"]["data"] in (1, 7)
    assert captured.err == f"{command}: 1/2 steps, 50%\n"


@pytest.mark.parametrize("command", ["demo", "reweight"])
def test_json_of_a_result_holds_the_promised_keys(
    workflows: Any, molgen_command: Command, capsys: Captured, command: str
) -> None:
    assert molgen_command(*COMMANDS[command], "--json", "-q") == 0
    captured = capsys.readouterr()
    keys = {"ess_raw", "ess_winsorised", "pareto_k", "ess_forward", "verdict", "reasons", "populations", "delta_f"}
    printed = json.loads(captured.out)
    assert keys | {"evaluations", "report"} <= set(printed)
    assert printed["populations"]["extended"]["high"] is None  # a NaN is no JSON
    assert captured.err == ""


@pytest.mark.parametrize("command", PLANS)
def test_dry_run_prints_the_plan_and_does_nothing(
    workflows: Any, molgen_command: Command, capsys: Captured, command: str
) -> None:
    assert molgen_command(*COMMANDS[command], "--dry-run") == 0
    assert [name for name, _, _ in workflows.calls] == [PLANS[command]]
    text = capsys.readouterr().out
    assert "evaluations: 1000" in text
    assert "memory mb: 12" in text
    assert molgen_command(*COMMANDS[command], "--dry-run", "--json") == 0
    assert json.loads(capsys.readouterr().out)["files"] == ["a.h5"]


def test_export_passes_what_was_asked(workflows: Any, molgen_command: Command, capsys: Captured) -> None:
    assert molgen_command("export", "result", "-o", "out.xtc", "-n", "7", "--state", "alpha_l", "--seed", "3") == 0
    ((name, arguments, options),) = workflows.calls
    assert (name, arguments) == ("export", (Path("result"), Path("out.xtc")))
    assert (options["n"], options["state"], options["seed"], options["weighted"]) == (7, "alpha_l", 3, False)
    text = capsys.readouterr().out
    for shown in ("frames: 10", "  - Many repeat.", "  out.xtc"):
        assert shown in text
    assert molgen_command("export", "result", "-o", "out.xtc", "--weighted", "--json") == 0
    assert json.loads(capsys.readouterr().out)["frames"] == 10
    assert workflows.calls[-1][2]["weighted"] is True
    assert molgen_command("export", "result", "-o", "out.xtc", "--dry-run") == 0
    assert workflows.calls[-1][0] == "plan_export"


def test_conformers_are_a_table(workflows: Any, molgen_command: Command, capsys: Captured) -> None:
    assert molgen_command("export", "result", "-o", "out", "--conformers", "5", "--allow-refused", "--force") == 0
    ((name, arguments, options),) = workflows.calls
    assert (name, arguments, options["n"]) == ("conformers", (Path("result"), Path("out")), 5)
    assert options["allow_refused"]
    assert options["force"]
    text = capsys.readouterr().out
    for shown in ("0.5500", "[0.5300", "8.17", "42 (few)", "phi < 0deg", "others: 0.0105", "  - Fewer than 100"):
        assert shown in text
    assert molgen_command("export", "result", "-o", "out", "--conformers", "5", "--json") == 0
    assert json.loads(capsys.readouterr().out)["found"] == 12
    assert molgen_command("export", "result", "-o", "out", "--conformers", "5", "--dry-run") == 0
    assert workflows.calls[-1][0] == "plan_conformers"


def test_evaluate_is_a_table(workflows: Any, molgen_command: Command, capsys: Captured) -> None:
    line = ("evaluate", "model", "md1", "md2", "--forces")
    assert molgen_command(*line, "--frames", "50", "--noise", "0.01", "--noise", "0.02", "-o", "out") == 0
    ((name, arguments, options),) = workflows.calls
    assert (name, arguments) == ("evaluate", (Path("model"), [Path("md1"), Path("md2")], Path("out")))
    assert (options["forces"], options["frames"], options["noise"]) == (True, 50, [0.01, 0.02])
    text = capsys.readouterr().out
    for shown in ("exact score of the spline model", "all (66)", "0.9877", "1.0123 ± 0.0045", "345.6", "  - These are"):
        assert shown in text
    assert molgen_command(*line, "--json", "-q") == 0
    assert json.loads(capsys.readouterr().out)["rows"][0]["slope"] == 1.0123
    assert workflows.calls[-1][1][2] is None
    assert workflows.calls[-1][2]["noise"] is None
    assert molgen_command(*line, "--dry-run") == 0
    assert workflows.calls[-1][0] == "plan_evaluation"


def test_train_prints_the_states(workflows: Any, molgen_command: Command, capsys: Captured) -> None:
    trained = {"frames": 10, "state_conditions": {"s1": "phi < 0deg", "s2": "phi >= 0deg"}}
    original = workflows.work("train")

    def train(*arguments: Any, **options: Any) -> Any:
        result = original(*arguments, **options)
        result.data = trained
        return result

    sys.modules["molgen.workflows"].train = train  # type: ignore[attr-defined]
    assert molgen_command(*COMMANDS["train"]) == 0
    assert "states:\n  s1: phi < 0deg\n  s2: phi >= 0deg\n" in capsys.readouterr().out
    trained["state_conditions"] = {}
    assert molgen_command(*COMMANDS["train"]) == 0
    assert "states: none, so that coverage is untested" in capsys.readouterr().out


def test_demo_has_a_default_directory(workflows: Any, molgen_command: Command, capsys: Captured) -> None:
    assert molgen_command("demo", "--seed", "1") == 0
    assert workflows.calls[0][1] == (Path("molgen-demo"),)
    assert "Verdict: caution" in capsys.readouterr().out


def test_systems_lists_them(monkeypatch: pytest.MonkeyPatch, molgen_command: Command, capsys: Captured) -> None:
    system = SimpleNamespace(n_particles=22, temperature_k=300.0, definition=SimpleNamespace(description="a peptide"))
    monkeypatch.setattr(molgen.systems, "system_names", lambda: ["ala"], raising=False)
    monkeypatch.setattr(molgen.systems, "load_system", lambda name: system, raising=False)
    assert molgen_command("systems") == 0
    assert "a peptide" in capsys.readouterr().out
    assert molgen_command("systems", "--json") == 0
    (row,) = json.loads(capsys.readouterr().out)["systems"]
    assert row == {"name": "ala", "particles": 22, "temperature_k": 300.0, "description": "a peptide"}


def test_long_paths_are_printed_on_one_line(workflows: Any, molgen_command: Command, capsys: Captured) -> None:
    workflows.result["report"] = "/".join(["folder"] * 60) + "/report.html"
    assert molgen_command(*COMMANDS["reweight"]) == 0
    assert f"report: {workflows.result['report']}" in capsys.readouterr().out.splitlines()


def test_progress_and_signals_are_back_to_normal_afterwards(workflows: Any, molgen_command: Command) -> None:
    import signal

    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM), sys.excepthook
    assert molgen_command(*COMMANDS["sample"]) == 0
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM), sys.excepthook) == before


def test_reweight_takes_several_ensembles_and_shows_them(
    workflows: Any, molgen_command: Command, capsys: Captured
) -> None:
    window = {"name": "w60", "kind": "equilibrium", "bias": "harmonic(phi)", "n": 120, "frames": 1840}
    plain = {"name": "draws", "kind": "model", "bias": None, "n": 4000}
    carried = {"weight_share": 0.4, "ess": 90.0}
    workflows.result |= {
        "method": "MBAR",
        "ensembles": [plain | carried, window | carried],
        "overlap": {"weakest": 0.12},
    }
    assert molgen_command("reweight", "draws", "w60", "-o", "out") == 0
    ((_, arguments, _),) = workflows.calls
    assert arguments == ([Path("draws"), Path("w60")], Path("out"))
    printed = capsys.readouterr().out
    for words in ("joined by MBAR", "12.0 %", "120 of 1840", "harmonic(phi)"):
        assert words in printed
