"""Several ensembles of the double well weighed together, all answers known by quadrature."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import mdtraj
import numpy as np
import pytest
import tables
import torch

from molgen.energies.analytic import AnalyticEnergy
from molgen.errors import InputError, InterruptedRunError
from molgen.interruption import Interruption
from molgen.rundir import MANIFEST, read_manifest
from molgen.systems.loading import load_system
from molgen.systems.record import system_record
from molgen.trajectories.frames import FrameSet
from molgen.workflows import reweight_conclusion, reweight_model
from molgen.workflows.reweight_settings import ReweightSettings
from molgen.workflows.reweighting import plan_reweighting, reweight
from tests.windows import GRID, POTENTIAL, SYSTEM, Gaussians, Workshop, exact_share, harmonic, log_integral

SETTINGS = ReweightSettings(bootstrap_repeats=60, audit_rows=16, distances={"enabled": False})
RIGHT = exact_share(GRID >= 0.0)
LEFT_WINDOW = ((1.0, -1.0, 0.2),)
MIDDLE_WINDOW = ((1.0, 0.0, 0.35),)
RIGHT_WINDOW = ((1.0, 1.0, 0.2),)
BROAD = ((0.6, -1.0, 0.3), (0.4, 1.0, 0.3))


@pytest.fixture
def workshop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workshop:
    made = Workshop(tmp_path)
    monkeypatch.setattr(reweight_model, "_load", made.load)
    monkeypatch.setattr(reweight_conclusion, "write_report", lambda _, path: path.write_text("<html></html>"))
    return made


def _record(paths: list[Path], output: Path, **options: Any) -> dict[str, Any]:
    return reweight(paths, output, settings=SETTINGS, seed=3, allow_refused=True, **options).to_json()


def _agrees(record: dict[str, Any], exact: float = RIGHT, errors: float = 4.5) -> bool:
    """Within 4.5 standard errors: a false alarm in 100,000 seeds."""
    right = record["populations"]["right"]
    return bool(abs(right["value"] - exact) < errors * (right["high"] - right["low"]) / 3.92)


MODELS_ALONE = {
    "broad": ((0.6, -1.0, 0.35), (0.4, 1.0, 0.35)),
    "again": ((0.5, -1.0, 0.4), (0.5, 1.0, 0.4)),
    "lost": ((1.0, -1.0, 0.3),),
}


def test_windows_together_know_what_none_of_them_knows_alone(workshop: Workshop, tmp_path: Path) -> None:
    windows = [
        workshop.draws("left", LEFT_WINDOW),
        workshop.draws("middle", MIDDLE_WINDOW),
        workshop.draws("right", RIGHT_WINDOW),
    ]
    record = _record(windows, tmp_path / "together")
    assert record["method"] == "deterministic mixture"
    assert _agrees(record)
    right = record["populations"]["right"]
    assert right["high"] - right["low"] < 0.1
    assert record["log_z"] == pytest.approx(log_integral(POTENTIAL), abs=0.1)
    # Nothing is wrong but that no frames say whether the windows cover everything.
    assert record["verdict"] == "caution", record["reasons"]
    assert record["audit"]["passed"]
    assert [item["name"] for item in record["ensembles"]] == ["left", "middle", "right"]
    assert record["contributions"]["right"]["left"]["weight_share"] < 1e-6
    assert sum(item["weight_share"] for item in record["ensembles"]) == pytest.approx(1.0)
    for number, window in enumerate(windows):
        alone = _record([window], tmp_path / f"alone-{number}")
        assert alone["delta_f"]["right->left"]["verdict"] == "refused"


def test_the_weights_are_those_of_one_ensemble_of_the_mixture(workshop: Workshop, tmp_path: Path) -> None:
    parts = [workshop.draws("a", LEFT_WINDOW, n=900), workshop.draws("b", RIGHT_WINDOW, n=600)]
    _record(parts, tmp_path / "together")
    positions = np.concatenate([_positions(part) for part in parts])
    mixture = ((0.6, *LEFT_WINDOW[0][1:]), (0.4, *RIGHT_WINDOW[0][1:]))
    one = workshop.draws("one", mixture, n=1500)
    _overwrite(one, positions, workshop)
    _record([one], tmp_path / "one-result")
    assert _weights(tmp_path / "together") == pytest.approx(_weights(tmp_path / "one-result"), abs=1e-9)


def test_neither_the_order_nor_a_constant_in_the_energy_changes_anything(
    workshop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, text = harmonic(0.0, 8.0)
    paths = [
        workshop.draws("wide", BROAD, n=1500),
        workshop.dynamics("u0", harmonic(0.0, 8.0)[0], text=text, n=800),
        workshop.draws("narrow", LEFT_WINDOW, n=500),
    ]
    first = _record(paths, tmp_path / "first")
    turned = _record([paths[i] for i in (2, 0, 1)], tmp_path / "turned")
    for key in ("populations", "delta_f", "overlap", "ensembles", "log_z", "reasons"):
        assert first[key] == turned[key], key
    reduced = AnalyticEnergy.reduced
    monkeypatch.setattr(AnalyticEnergy, "reduced", lambda *a, **k: reduced(*a, **k) + 321.0)
    shifted = _record(paths, tmp_path / "shifted")
    assert shifted["log_z"] == pytest.approx(first["log_z"] - 321.0, abs=1e-6)
    for state, item in first["populations"].items():
        for key in ("value", "low", "high"):
            assert shifted["populations"][state][key] == pytest.approx(item[key], abs=1e-6)


def test_a_model_and_umbrella_windows_by_mbar(workshop: Workshop, tmp_path: Path) -> None:
    windows = [(center, 10.0) for center in (-1.0, -0.3, 0.3, 1.0)]
    paths = [workshop.draws("model-draws", BROAD, n=2000)]
    for center, k in windows:
        function, text = harmonic(center, k)
        paths.append(workshop.dynamics(f"u{center:+}", function, text=text, n=700))
    record = _record(paths, tmp_path / "r")
    assert record["method"] == "MBAR"
    assert record["audit"]["passed"], record["audit"]
    assert _agrees(record)
    assert record["log_z"] == pytest.approx(log_integral(POTENTIAL), abs=0.1)
    found = {item["name"]: item["free_energy"] for item in record["ensembles"]}
    for item, (center, k) in zip(record["bidirectional"], sorted(windows, key=lambda w: f"u{w[0]:+}"), strict=True):
        exact = -log_integral(POTENTIAL + harmonic(center, k)[0](GRID))
        assert item["ensemble"] == f"u{center:+}"
        assert found[item["ensemble"]] == pytest.approx(exact, abs=5 * item["free_energy_error"])
        assert -item["bar"] == pytest.approx(exact, abs=5 * item["bar_error"])
        assert item["agrees"] is None
    assert record["overlap"]["weakest"] > 0.03
    assert record["evaluations"]["data"] == 4 * 7000


def test_umbrella_windows_without_a_model_find_the_barrier(workshop: Workshop, tmp_path: Path) -> None:
    paths = []
    for center in np.arange(-1.2, 1.21, 0.4):
        function, text = harmonic(round(float(center), 1), 12.0)
        paths.append(workshop.dynamics(f"u{center:+.1f}", function, text=text, n=900))
    record = _record(paths, tmp_path / "r", states={"top": "within(x; -0.1; 0.1)", "rest": "otherwise"})
    assert record["log_z"] is None
    assert record["bidirectional"] == []
    exact = exact_share(np.abs(GRID) < 0.1)
    top = record["populations"]["top"]
    assert exact < 0.003
    assert np.log(top["value"] / exact) == pytest.approx(0.0, abs=4.5 * np.log(top["high"] / top["low"]) / 3.92)
    assert top["high"] / top["low"] < 2.0
    (profile,) = json.loads((tmp_path / "r" / "profiles.json").read_text())["profiles_1d"]
    centres = np.array(profile["grid_centres"])
    low, high = (np.array([np.nan if v is None else v for v in profile[k]]) for k in ("low", "high"))
    height = 5.0 * (centres**2 - 1.0) ** 2 + 0.5 * centres - POTENTIAL.min()
    known = np.isfinite(low) & (np.abs(centres) < 1.2)
    # The minimum that the profile is set to has an error of its own; 95 % intervals, of which a few may miss.
    inside = (low - 0.15 < height) & (height < high + 0.15)
    assert inside[known].mean() > 0.9
    assert known.sum() > 30


def test_dynamics_at_another_temperature(workshop: Workshop, tmp_path: Path) -> None:
    paths = [workshop.draws("cold", LEFT_WINDOW, n=1500), workshop.dynamics("hot", n=3000, hotter=1.5)]
    record = _record(paths, tmp_path / "r")
    assert record["temperature_k"] == pytest.approx(SYSTEM.temperature_k)
    assert _agrees(record)
    hot = next(item for item in record["ensembles"] if item["name"] == "hot")
    assert hot["free_energy"] == pytest.approx(-log_integral(POTENTIAL / 1.5), abs=0.15)
    with pytest.raises(InputError, match="Say with --temperature"):
        _record([paths[1], workshop.dynamics("cool")], tmp_path / "none")
    chosen = _record([paths[1], workshop.dynamics("cool2")], tmp_path / "k", temperature_k=SYSTEM.temperature_k)
    assert _agrees(chosen)


@pytest.mark.parametrize(
    ("said", "true"),
    [
        ("harmonic(x, center=0.3, k=26262 kT)", harmonic(0.3, 8.0)[0]),  # (180/π)², degrees taken for radians
        ("harmonic(x, center=-0.3, k=8 kT)", harmonic(0.3, 8.0)[0]),
        ("linear(x, slope=3 kT)", lambda x: -3.0 * x),
        (None, harmonic(0.3, 8.0)[0]),
    ],
    ids=["unit", "centre", "sign", "forgotten"],
)
def test_a_bias_that_is_not_what_the_record_says_is_caught(
    workshop: Workshop, tmp_path: Path, said: str | None, true: Callable[[np.ndarray], np.ndarray]
) -> None:
    paths = [workshop.draws("model-draws", BROAD), workshop.dynamics("umbrella", true, text=said)]
    if said is not None and "26262" in said:
        with pytest.raises(InputError, match=r"shares? no configurations"):
            _record(paths, tmp_path / "r")
        return
    record = _record(paths, tmp_path / "r")
    assert record["verdict"] == "refused"
    assert any("distribution of" in reason for reason in record["reasons"])


def test_a_density_that_is_not_that_of_the_draws_is_caught(workshop: Workshop, tmp_path: Path) -> None:
    """Draws of a window whose record forgot the bias: the model found is the plain one."""
    wrong = workshop.draws("biased", RIGHT_WINDOW, model="plain")
    workshop.models["plain"] = replace(
        workshop.models["plain"], model=replace(workshop.models["plain"].model, parts=BROAD)
    )
    record = _record([wrong, workshop.draws("other", BROAD)], tmp_path / "r")
    assert record["verdict"] == "refused"
    assert any("log_q of biased" in reason for reason in record["reasons"])


def test_windows_of_dynamics_apart_are_refused_and_of_known_density_not(workshop: Workshop, tmp_path: Path) -> None:
    left, right = (
        workshop.dynamics(n, harmonic(c, 200.0)[0], text=harmonic(c, 200.0)[1]) for n, c in (("l", -1.0), ("r", 1.0))
    )
    with pytest.raises(InputError, match=r"shares? no configurations with"):
        _record([left, right], tmp_path / "apart")
    assert not (tmp_path / "apart" / "result.json").exists()
    known = [workshop.draws("a", LEFT_WINDOW), workshop.draws("b", RIGHT_WINDOW)]
    assert _agrees(_record(known, tmp_path / "known"))


def test_coverage_by_a_reference_makes_it_reliable(
    workshop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from molgen.trajectories import reading

    x = np.random.default_rng(1).choice(GRID, size=6000, p=np.exp(-POTENTIAL) / np.exp(-POTENTIAL).sum())
    frames = FrameSet(x.reshape(-1, 1, 1), np.arange(6000), "equilibrium", np.full(6000, SYSTEM.temperature_k))
    paths = [
        workshop.draws("left", LEFT_WINDOW, n=4000),
        workshop.draws("middle", MIDDLE_WINDOW, n=2000),
        workshop.draws("right", RIGHT_WINDOW, n=4000),
    ]
    monkeypatch.setattr(reading, "read_frames", lambda *_, **__: frames)
    record = _record(paths, tmp_path / "r", reference=tmp_path / "md-long")
    assert record["verdict"] == "reliable", record["reasons"]
    assert record["ess_forward"] == pytest.approx(record["ess_raw"], abs=0.1)
    lost = _record(paths[:2], tmp_path / "lost", reference=tmp_path / "md-long")
    assert lost["verdict"] == "refused"


def test_models_that_disagree_alone_are_named_where_no_reference_is(workshop: Workshop, tmp_path: Path) -> None:
    """Two broad models agree; one that has lost the right well is told by the other."""
    broad, again, lost = (workshop.draws(name, parts, n=3000) for name, parts in MODELS_ALONE.items())
    assert all(item["agrees"] for item in _record([broad, again], tmp_path / "of-both")["models_alone"])
    record = _record([broad, lost], tmp_path / "of-lost")
    assert any("By its own draws alone" in reason and "right" in reason for reason in record["reasons"])
    assert record["verdict"] == "caution"


def test_an_interrupted_run_continues_to_the_same_result(workshop: Workshop, tmp_path: Path) -> None:
    function, text = harmonic(0.0, 8.0)
    paths = [workshop.draws("a", BROAD, n=1200), workshop.dynamics("u", function, text=text, n=900)]
    settings = SETTINGS.model_copy(update={"shard_rows": 500})
    interruption, seen = Interruption(), []

    def stop(event: Any) -> None:
        seen.append(event.stage)
        if seen.count("energies and densities") == 2:
            interruption.request("a test")

    with pytest.raises(InterruptedRunError):
        reweight(paths, tmp_path / "r", settings=settings, seed=1, progress=stop, interruption=interruption)
    shard = tmp_path / "r" / "energies" / "000" / "shard-00001.npy"
    kept = shard.stat().st_mtime_ns
    resumed = reweight(paths[::-1], tmp_path / "r", settings=settings, seed=1, allow_refused=True).to_json()
    assert shard.stat().st_mtime_ns == kept
    fresh = reweight(paths, tmp_path / "fresh", settings=settings, seed=1, allow_refused=True).to_json()
    assert resumed["populations"] == fresh["populations"]
    assert _weights(tmp_path / "r").tolist() == _weights(tmp_path / "fresh").tolist()


def test_equal_densities_are_evaluated_once(workshop: Workshop, tmp_path: Path) -> None:
    paths = [
        workshop.draws("a", BROAD, n=800),
        workshop.draws("b", BROAD, n=400),
        workshop.draws("c", LEFT_WINDOW, n=400),
    ]
    record = _record(paths, tmp_path / "r")
    assert np.load(tmp_path / "r" / "energies" / "000" / "shard-00000.npy").shape == (800, 3)
    matrix = np.array(record["overlap"]["matrix"])
    assert matrix[0] == pytest.approx(matrix[1])
    assert matrix[0, 0] == pytest.approx(2.0 * matrix[0, 1])


def test_what_cannot_be_weighed_together_is_refused_in_one_sentence(workshop: Workshop, tmp_path: Path) -> None:
    draws, explored = workshop.draws("draws", BROAD, n=200), workshop.dynamics("explored", n=50, kind="explore")
    other = workshop.draws("other", LEFT_WINDOW, n=200)
    muller = load_system("muller-brown")
    faults: list[tuple[list[Path], str]] = [
        ([draws, draws], "are the same ensemble"),
        ([draws, workshop.draws("again", BROAD, n=300, seed=sum(map(ord, "draws")))], "the same seed"),
        ([draws, explored], "holds explore frames"),
        ([draws, workshop.draws("warm", LEFT_WINDOW, n=50, header={"temperature_k": 130.0})], "of 130 K"),
        ([draws, workshop.draws("flat", LEFT_WINDOW, n=50, header={"measure": "cartesian-zero-com"})], "measures"),
        ([draws, workshop.draws("noisy", LEFT_WINDOW, n=50, header={"density": "hutchinson"})], "hutchinson estimates"),
        ([draws, workshop.draws("smc", LEFT_WINDOW, n=50, header={"kind": "annealed"})], "was annealed"),
        ([draws, _of_another_system(workshop, muller)], "different molecules or force fields"),
        ([draws, tmp_path], "not the directory of a sample or simulate run"),
    ]
    for paths, words in faults:
        with pytest.raises(InputError, match=words):
            _record(paths, tmp_path / "r")
        assert not (tmp_path / "r").exists(), words
    run = workshop.dynamics("md", n=200)
    workshop.trained_on(other, run)
    with pytest.raises(InputError, match="was trained on the frames"):
        _record([other, run], tmp_path / "r")


def test_a_model_that_is_gone_or_changed_is_said(
    workshop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = workshop.draws("a", BROAD, n=200), workshop.draws("b", LEFT_WINDOW, n=200)
    for loaded in workshop.models.values():
        loaded.sha256 = "changed"
    with pytest.raises(InputError, match="was changed since"):
        _record([first, second], tmp_path / "r")

    def load(path: Path) -> Any:
        raise InputError(f"{path} holds no model.")

    monkeypatch.setattr(reweight_model, "_load", load)
    with pytest.raises(InputError, match=r"The model that drew .* was not found"):
        _record([first, second], tmp_path / "r")


def test_a_model_that_drew_none_of_them_is_said(workshop: Workshop, tmp_path: Path) -> None:
    first, second = workshop.draws("a", BROAD, n=200), workshop.draws("b", LEFT_WINDOW, n=200)
    other = workshop.draws("c", RIGHT_WINDOW, n=200)
    paths = {name: Path(read_manifest(path, "sample").config["model"]) for name, path in (("a", first), ("c", other))}
    with pytest.raises(InputError, match=r"drew none of these ensembles"):
        _record([first, second], tmp_path / "r", model=paths["c"])
    assert not (tmp_path / "r").exists()
    assert _record([first, second], tmp_path / "r", model=paths["a"])["audit"]["passed"]


def test_the_plan_of_several(workshop: Workshop) -> None:
    paths = [workshop.draws("a", BROAD, n=300), workshop.dynamics("u", n=200)]
    plan = plan_reweighting(paths, settings=SETTINGS)
    assert plan["draws"] == 500
    assert plan["energy_evaluations"]["draws"] == 500 + 32


def _positions(path: Path) -> np.ndarray:
    with tables.open_file(str(path / "ensemble.h5")) as handle:
        return np.asarray(handle.root.coordinates[:, :, :1], dtype=np.float64)


def _weights(path: Path) -> np.ndarray:
    with tables.open_file(str(path / "weights.h5")) as handle:
        return np.asarray(handle.root.log_weight[:])


def _overwrite(path: Path, positions: np.ndarray, workshop: Workshop) -> None:
    """Other draws into a sample run, with their density."""
    model = workshop.load(Path(json.loads((path / MANIFEST).read_text())["config"]["model"])).model
    with tables.open_file(str(path / "ensemble.h5"), mode="a") as handle:
        handle.root.coordinates[:, :, :1] = positions
        handle.root.log_q[:] = model.log_prob(torch.as_tensor(positions)).numpy()


def _of_another_system(workshop: Workshop, system: Any) -> Path:
    folder = workshop.dynamics("muller", n=50)
    (folder / "system.json").write_text(json.dumps(system_record(system)))
    return folder


def test_plain_dynamics_and_draws_agree_in_both_directions(workshop: Workshop, tmp_path: Path) -> None:
    record = _record([workshop.draws("draws", BROAD), workshop.dynamics("md")], tmp_path / "r")
    (item,) = record["bidirectional"]
    assert item["agrees"] is True
    assert item["bar"] == pytest.approx(log_integral(POTENTIAL), abs=5 * item["bar_error"])
    assert {state["name"] for state in item["states"]} == {"left", "right"}
    assert _agrees(record)


def test_trapped_dynamics_is_seen(workshop: Workshop, tmp_path: Path) -> None:
    """Frames that say they are plain and never left the left well, in 2,000 independent frames."""
    trapped = workshop.dynamics("md", lambda x: np.where(x > 0.0, 1e6, 0.0))
    record = _record([workshop.draws("draws", BROAD), trapped], tmp_path / "r")
    assert record["verdict"] == "refused"
    assert any("distribution of md" in reason for reason in record["reasons"])
    assert any("md has 0 rows in right" in reason for reason in record["reasons"])


def test_the_rows_of_a_combined_run_can_be_exported(workshop: Workshop, tmp_path: Path) -> None:
    from molgen.workflows.exporting import export

    paths = [workshop.draws("a", BROAD, n=1500), workshop.dynamics("md", n=900)]
    record = _record(paths, tmp_path / "r")
    with tables.open_file(str(tmp_path / "r" / "rows.h5")) as handle:
        x = np.asarray(handle.root.coordinates[:, 0, 0])
        assert np.asarray(handle.root.log_weight[:]).tolist() == _weights(tmp_path / "r").tolist()
    assert len(x) == record["n"]
    assert x[:1500].tolist() == _positions(paths[0])[:, 0, 0].tolist()
    written = export(tmp_path / "r", tmp_path / "out.dcd", n=400, seed=1, allow_refused=True)
    assert written.frames == 400
    frames = mdtraj.load(str(tmp_path / "out.dcd"), top=str(tmp_path / "out.pdb")).xyz
    right = float(np.mean(frames[:, 0, 0] >= 0.0))
    assert right == pytest.approx(RIGHT, abs=5 * np.sqrt(RIGHT * (1 - RIGHT) / 400))


def test_an_ensemble_is_no_reference_of_itself(workshop: Workshop, tmp_path: Path) -> None:
    paths = [workshop.draws("a", BROAD, n=200), workshop.dynamics("md", n=200)]
    with pytest.raises(InputError, match="is one of the ensembles"):
        _record(paths, tmp_path / "r", reference=paths[1])
    assert not (tmp_path / "r").exists()


def test_dynamics_alone_has_nothing_to_be_weighed_by(workshop: Workshop, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="alone have nothing to be weighed by"):
        _record([workshop.dynamics("md", n=50)], tmp_path / "r")


def test_where_the_steps_of_a_flow_cannot_be_inverted_its_density_is_none(workshop: Workshop, tmp_path: Path) -> None:
    """A flow that keeps no draw above 0.5 gives NaN there: others' draws count by the others' density alone."""

    @dataclass(frozen=True)
    class Rejecting(Gaussians):
        def log_prob(self, positions: torch.Tensor) -> torch.Tensor:
            values = super().log_prob(positions)
            return torch.where(positions[:, 0, 0] < 0.5, values, torch.nan)

    paths = [workshop.draws("left", LEFT_WINDOW), workshop.draws("wide", BROAD)]
    for loaded in workshop.models.values():
        if loaded.model.parts == LEFT_WINDOW:
            loaded.model = Rejecting(LEFT_WINDOW)
    assert _agrees(_record(paths, tmp_path / "r"))
