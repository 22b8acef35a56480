"""Export: frames by weight, all weighted frames, one state, raw draws and dynamics; what is refused writes nothing."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mdtraj
import numpy as np
import pytest

from molgen import workflows
from molgen.ensemble import EnsembleReader
from molgen.errors import InputError, RefusedError, UsageError
from molgen.systems.loading import load_system
from molgen.workflows import reweight_conclusion
from molgen.workflows.export_source import open_source
from molgen.workflows.exporting import export, plan_export
from molgen.workflows.reweight_settings import ReweightSettings
from molgen.workflows.reweighting import reweight

SETTINGS = ReweightSettings(audit_rows=8, bootstrap_repeats=20, distances={"enabled": False})


@pytest.fixture
def make_result(
    tmp_path: Path, make_draws: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[Path, Path]]:
    """A sample run's directory and that of its reweighting."""
    monkeypatch.setattr(reweight_conclusion, "write_report", lambda _, path: path.write_text("<html></html>"))

    def make(n: int = 4000, **mixture: float) -> tuple[Path, Path]:
        draws = make_draws(n, **mixture)
        result = reweight(draws.directory, tmp_path / "result", settings=SETTINGS, seed=1, allow_refused=True)
        return draws.directory, result.directory

    return make


def positions_of(path: Path) -> np.ndarray:
    topology = None if path.suffix == ".pdb" else str(path.with_suffix(".pdb"))
    return np.asarray((mdtraj.load(str(path), top=topology) if topology else mdtraj.load(str(path))).xyz)


def test_resampled_frames_have_the_populations_and_equal_seeds_give_equal_frames(
    tmp_path: Path, make_result: Callable[..., Any]
) -> None:
    ensemble, result = make_result()
    out = tmp_path / "out" / "frames.xtc"
    written = export(result, out, n=2000, seed=3)
    x = positions_of(out)[:, 0, 0]
    share = reweighted_share(result)
    assert written.frames == len(x) == 2000
    # Systematic resampling: the count of a contiguous set of rows is right within one; two states are mixed row by row.
    assert np.mean(x > 0.0) == pytest.approx(share, abs=4 * np.sqrt(share * (1 - share) / 2000))
    assert written.duplicates == 2000 - written.distinct > 0
    known = EnsembleReader(ensemble / "ensemble.h5").slice(0, 4000).positions[:, 0, 0]
    assert np.max(np.min(np.abs(x[:, None] - known[None]), axis=1)) < 6e-4
    again = export(result, tmp_path / "again.xtc", n=2000, seed=3)
    np.testing.assert_array_equal(positions_of(tmp_path / "again.xtc"), positions_of(out))
    assert again.distinct == written.distinct
    assert written.seed == 3
    assert [Path(file).name for file in written.files] == ["frames.xtc", "frames.pdb"]
    assert mdtraj.load(str(out.with_suffix(".pdb"))).n_frames == 1


def reweighted_share(result: Path) -> float:
    return float(json.loads((result / "result.json").read_text())["populations"]["right"]["value"])


def test_more_frames_than_effective_samples_are_warned_of(tmp_path: Path, make_result: Callable[..., Any]) -> None:
    _, result = make_result(n=2000)
    few = export(result, tmp_path / "few.dcd", n=100, seed=1)
    assert not any("effective samples" in warning for warning in few.warnings)
    many = export(result, tmp_path / "many.dcd", n=5000, seed=1)
    assert many.ess is not None
    assert any(f"more than the {many.ess:.0f} effective samples" in warning for warning in many.warnings)


def test_weighted_frames_come_with_their_weights(tmp_path: Path, make_result: Callable[..., Any]) -> None:
    ensemble, result = make_result(n=1500)
    written = export(result, tmp_path / "all.dcd", weighted=True)
    assert (written.frames, written.duplicates, written.seed) == (1500, 0, None)
    rows = list(csv.DictReader((tmp_path / "all.weights.csv").read_text().splitlines()))
    x = positions_of(tmp_path / "all.dcd")[:, 0, 0]
    stored = EnsembleReader(ensemble / "ensemble.h5").slice(0, 1500).positions[:, 0, 0]
    np.testing.assert_allclose(x, stored[[int(row["row"]) for row in rows]], atol=1e-6)
    weight = np.array([float(row["weight"]) for row in rows])
    assert weight.sum() == pytest.approx(1.0)
    assert weight[x > 0].sum() == pytest.approx(reweighted_share(result))
    assert {row["state"] for row in rows} == {"left", "right"}
    assert all((row["state"] == "right") == (value >= 0) for row, value in zip(rows, x, strict=True))


def test_one_state_only(tmp_path: Path, make_result: Callable[..., Any]) -> None:
    _, result = make_result(n=1500)
    export(result, tmp_path / "right.pdb", state="right", n=50, seed=1)
    assert np.all(positions_of(tmp_path / "right.pdb")[:, 0, 0] > 0)
    export(result, tmp_path / "left.dcd", state="left", weighted=True)
    rows = list(csv.DictReader((tmp_path / "left.weights.csv").read_text().splitlines()))
    assert sum(float(row["weight"]) for row in rows) == pytest.approx(1.0 - reweighted_share(result))
    with pytest.raises(InputError, match=r"no state 'rigt'.*right"):
        export(result, tmp_path / "none.pdb", state="rigt")


def test_raw_draws_are_refused_unless_asked_for(tmp_path: Path, make_result: Callable[..., Any]) -> None:
    ensemble, result = make_result(n=500)
    for source in (ensemble, ensemble / "ensemble.h5"):
        with pytest.raises(InputError, match="molgen reweight first"):
            export(source, tmp_path / "raw.dcd")
    assert not (tmp_path / "raw.dcd").exists()
    written = export(ensemble, tmp_path / "raw.dcd", raw=True, n=100)
    assert (written.source, written.frames, written.ess) == ("raw", 100, None)
    stored = EnsembleReader(ensemble / "ensemble.h5").slice(0, 500).positions
    np.testing.assert_allclose(positions_of(tmp_path / "raw.dcd")[:, :, :1], stored[::5], atol=1e-6)
    with pytest.raises(UsageError, match="no raw draws"):
        export(result, tmp_path / "x.dcd", raw=True)
    with pytest.raises(UsageError, match="carry no weights"):
        export(ensemble, tmp_path / "x.dcd", raw=True, weighted=True)
    with pytest.raises(UsageError, match="every frame"):
        export(result, tmp_path / "x.dcd", weighted=True, n=5)


def test_a_refused_verdict_writes_nothing_unless_allowed(tmp_path: Path, make_result: Callable[..., Any]) -> None:
    _, result = make_result(n=300, right=0.02)
    with pytest.raises(RefusedError, match="Nothing was written") as caught:
        export(result, tmp_path / "out.xtc")
    assert caught.value.exit_code == 4
    assert not list(tmp_path.glob("out.*"))
    written = export(result, tmp_path / "out.xtc", allow_refused=True, n=10)
    assert written.verdict == "refused"
    assert any("refused" in warning for warning in written.warnings)


def test_files_in_the_way_are_kept_unless_forced(tmp_path: Path, make_result: Callable[..., Any]) -> None:
    _, result = make_result(n=500)
    (tmp_path / "out.pdb").write_text("mine")
    with pytest.raises(InputError, match=r"out\.pdb exists already"):
        export(result, tmp_path / "out.xtc", n=5)
    assert (tmp_path / "out.pdb").read_text() == "mine"
    assert not (tmp_path / "out.xtc").exists()
    export(result, tmp_path / "out.xtc", n=5, force=True)
    assert (tmp_path / "out.pdb").read_text() != "mine"
    with pytest.raises(UsageError, match="no ending"):
        export(result, tmp_path / "out.gro")


def test_draws_that_moved_are_found_by_name_or_beside_and_others_are_refused(
    tmp_path: Path, make_result: Callable[..., Any], make_draws: Callable[..., Any]
) -> None:
    ensemble, result = make_result(n=500)
    first = export(result, tmp_path / "a.pdb", n=5, seed=1)
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    for folder in (ensemble, result):
        folder.rename(moved / folder.name)
    export(moved / "result", tmp_path / "b.pdb", n=5, seed=1)
    (moved / ensemble.name).rename(tmp_path / "far")
    with pytest.raises(InputError, match="--ensemble"):
        export(moved / "result", tmp_path / "c.pdb")
    with pytest.raises(InputError, match="--ensemble"):
        export(moved / "result", tmp_path / "c.pdb", ensemble=make_draws(400, 9).directory)
    export(moved / "result", tmp_path / "c.pdb", n=5, seed=1, ensemble=tmp_path / "far")
    assert (tmp_path / "a.pdb").read_bytes() == (tmp_path / "b.pdb").read_bytes() == (tmp_path / "c.pdb").read_bytes()
    assert first.system == "double-well"


def test_frames_of_dynamics_are_written_as_they_are(tmp_path: Path) -> None:
    system = load_system("double-well")
    md = workflows.simulate(system, tmp_path / "md", mode="explore", time_ps=120.0, seed=1)
    everything = export(md.directory, tmp_path / "all.dcd")
    assert (everything.source, everything.ess, everything.duplicates) == ("dynamics", None, 0)
    some = export(md.directory, tmp_path / "some.dcd", n=10, state="left")
    assert some.frames == 10
    assert np.all(positions_of(tmp_path / "some.dcd")[:, 0, 0] < 0)
    assert set(positions_of(tmp_path / "some.dcd")[:, 0, 0]) <= set(positions_of(tmp_path / "all.dcd")[:, 0, 0])
    with pytest.raises(UsageError, match="no weights"):
        export(md.directory, tmp_path / "w.dcd", weighted=True)


def test_what_holds_no_frames_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        export(tmp_path / "nothing", tmp_path / "a.pdb")
    with pytest.raises(InputError):
        export(tmp_path, tmp_path / "a.pdb")
    (tmp_path / "text.h5").write_text("no HDF5")
    with pytest.raises(InputError):
        export(tmp_path / "text.h5", tmp_path / "a.pdb")
    assert not (tmp_path / "a.pdb").exists()


def test_the_plan_says_what_would_be_written(tmp_path: Path, make_result: Callable[..., Any]) -> None:
    _, result = make_result(n=500)
    plan = plan_export(result, tmp_path / "a.xtc", n=7)
    assert (plan["frames"], plan["source"]) == (7, "weighted")
    assert plan["files"] == [str(tmp_path / "a.xtc"), str(tmp_path / "a.pdb")]
    assert not (tmp_path / "a.xtc").exists()


def test_weights_are_refused_where_every_estimate_is(make_result: Callable[..., Any]) -> None:
    _, result = make_result()
    path = result / "result.json"
    record = json.loads(path.read_text())
    common, own = "The audit failed: log_q.", "State right has 3 effective samples, fewer than 100."

    def refused(reasons: dict[str, list[str]]) -> tuple[str, ...]:
        for name, estimate in record["estimates"].items():
            estimate.update(reasons=reasons.get(name, []), verdict="refused" if name in reasons else "caution")
        record.update(verdict="refused", reasons=[own, common])
        path.write_text(json.dumps(record))
        return open_source(result).refused

    names = list(record["estimates"])
    assert len(names) > 1
    assert refused({names[0]: [own]}) == ()
    assert refused({name: [common] if name != names[0] else [own, common] for name in names}) == (common,)
