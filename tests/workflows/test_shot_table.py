"""Somebody else's shots as CSV: coordinates of a point, variables of a molecule, and every way to get them wrong."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import expit

from molgen.committor.artifact import load_committor
from molgen.committor.fitting import FittingSettings
from molgen.committor.model import CommittorSettings
from molgen.errors import InputError
from molgen.observables.boundary import Boundary
from molgen.observables.rows import VariableRows
from molgen.systems.loading import load_system
from molgen.workflows.committor_evaluation import evaluate_committor
from molgen.workflows.committor_fitting import fit
from molgen.workflows.shot_table import read_shot_table
from tests.wells import committor, double_well

SYSTEM = double_well()
FIT = FittingSettings(model=CommittorSettings(hidden=16, members=4), steps=200)


def write(path: Path, columns: dict[str, Any]) -> Path:
    rows = zip(*columns.values(), strict=True)
    path.write_text("\n".join([",".join(columns), *(",".join(str(cell) for cell in row) for row in rows)]) + "\n")
    return path


def well(n: int = 300, seed: int = 1) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    x = rng.uniform(-0.89, 0.89, n)
    return {
        "x": x,
        "S": rng.binomial(10, committor(x)),
        "K": np.full(n, 10),
        "lineage": [f"walk{i // 3}" for i in range(n)],
    }


def molecule(n: int = 500, seed: int = 1) -> dict[str, Any]:
    """phi and psi outside the states of alanine dipeptide in vacuum, q a function of phi."""
    boundary = Boundary(load_system("alanine-dipeptide-vacuum"), "c7eq", "c7ax")
    rng = np.random.default_rng(seed)
    angles = {name: rng.uniform(-180.0, 180.0, 2 * n) for name in ("phi", "psi")}
    outside = boundary.assign(VariableRows({name: np.radians(values) for name, values in angles.items()})) == -1
    phi, psi = (values[outside][:n] for values in angles.values())
    reached = rng.binomial(10, expit(2.0 * np.sin(np.radians(phi))))
    return {"phi/deg": phi, "psi": np.radians(psi), "S": reached, "K": np.full(len(phi), 10)}


def test_a_point_has_coordinates(tmp_path: Path) -> None:
    table = well()
    result = fit(write(tmp_path / "theirs.csv", table), tmp_path / "c", system=SYSTEM, settings=FIT, seed=1)
    assert (result.shots, result.configurations, result.features, result.notes) == (3000, 300, "internal", ())
    x = np.linspace(-0.8, 0.8, 33)
    error = load_committor(tmp_path / "c").model.probability(x.reshape(-1, 1, 1)) - committor(x)
    assert np.sqrt((error**2).mean()) < 0.05
    # The same numbers as structures give the same committor.
    named = {"positions": table["x"].reshape(-1, 1, 1), "S": table["S"], "K": table["K"]}
    np.savez(tmp_path / "same.npz", **named, lineage=np.unique(table["lineage"], return_inverse=True)[1])
    fit(tmp_path / "same.npz", tmp_path / "c2", system=SYSTEM, settings=FIT, seed=1)
    models = [load_committor(tmp_path / name).model for name in ("c", "c2")]
    assert np.array_equal(*(model.logit(x.reshape(-1, 1, 1)) for model in models))


def test_a_molecule_has_variables(tmp_path: Path) -> None:
    """What is fitted to them is a function of them, of structures as well; other such rows judge it."""
    system = load_system("alanine-dipeptide-vacuum")
    result = fit(write(tmp_path / "theirs.csv", molecule()), tmp_path / "c", system=system, settings=FIT, seed=1)
    assert result.features == "cv"
    assert result.notes == ("q is a function of the variables in the file.",)
    model = load_committor(tmp_path / "c").model
    assert model.settings.variables == ("phi", "psi")
    rows = VariableRows({"phi": np.radians([-60.0, 60.0, 0.0]), "psi": np.zeros(3)})
    known = expit(2.0 * np.sin(rows.values["phi"]))
    assert np.abs(1.0 / (1.0 + np.exp(-model.member_logits(rows).mean(0).detach().numpy())) - known).max() < 0.1
    assert 0.0 <= model.probability(system.positions[None])[0] <= 1.0
    others = write(tmp_path / "others.csv", molecule(seed=2))
    record = evaluate_committor(tmp_path / "c", others, tmp_path / "judged", system=system, seed=1).record
    assert record["ece"] < 0.05
    assert record["mechanism"]["variables"][0]["name"] == "phi"
    assert record["mechanism"]["formula"]["terms"][0] == "sin(phi)"
    assert (tmp_path / "judged" / "report.html").stat().st_size > 20_000


def test_part_of_the_variables_cannot_judge(tmp_path: Path) -> None:
    system = load_system("alanine-dipeptide-vacuum")
    table = molecule(200)
    np.savez(
        tmp_path / "frames.npz",
        positions=system.positions + 0.01 * np.random.default_rng(1).normal(size=(40, *system.positions.shape)),
        S=np.arange(40) % 3,
        K=np.full(40, 3),
    )
    inside = Boundary(system, "c7eq", "c7ax").assign(np.load(tmp_path / "frames.npz")["positions"]) != -1
    assert not inside.any()
    fit(tmp_path / "frames.npz", tmp_path / "c", system=system, settings=FIT, seed=1)
    with pytest.raises(InputError, match="is a function of all coordinates"):
        evaluate_committor(tmp_path / "c", write(tmp_path / "t.csv", table), tmp_path / "out", system=system)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"K": None}, "has no column 'K'"),
        ({"x": None}, "has no column 'x', by which left and right are told apart"),
        ({"S": np.full(300, 11)}, "labels outside 0 <= S <= K"),
        ({"S": np.full(300, -1)}, "labels outside 0 <= S <= K"),
        ({"S": np.full(300, 0.5)}, "labels outside 0 <= S <= K"),
        ({"S": ["many"] * 300}, "Row 1 of .* has 'many' in the column S"),
        ({"x": ["nan"] * 300}, "Row 1 of .* has 'nan' in the column x"),
        ({"phi": np.zeros(300)}, "a column 'phi', which is no variable of double-well"),
        ({"x": np.full(300, 0.95)}, "300 structures in .* lie inside left or right"),
        ({"K": np.full(300, 0), "S": np.full(300, 0)}, "Only 0 shots reached a state"),
    ],
)
def test_tables_that_cannot_be_are_refused(tmp_path: Path, change: dict[str, Any], sentence: str) -> None:
    table = {name: cells for name, cells in (well() | change).items() if cells is not None}
    with pytest.raises(InputError, match=sentence):
        fit(write(tmp_path / "theirs.csv", table), tmp_path / "out", system=SYSTEM)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("phi,psi,S,K\n170,0,1,2\n", "holds 170, too much for radians"),
        ("phi/turns,psi,S,K\n0.1,0,1,2\n", "has the unit 'turns'"),
        ("phi/deg,phi,S,K\n170,1,1,2\n", "has the column 'phi' twice"),
        ("S,S,K\n1,1,2\n", "has the column 'S' twice"),
        ("phi,S,K\n1,1,2\n", "has no column 'psi', by which c7eq and c7ax are told apart"),
        ("phii,psi,S,K\n1,1,1,2\n", "has a column 'phii', which is no variable"),
        ("phi,psi,S,K\n", "has no rows"),
        ("phi,psi,S,K\n1,1,1\n", "Line 2 of .* has 3 cells"),
    ],
)
def test_columns_that_cannot_be_are_refused(tmp_path: Path, text: str, sentence: str) -> None:
    boundary = Boundary(load_system("alanine-dipeptide-vacuum"), "c7eq", "c7ax")
    (tmp_path / "theirs.csv").write_text(text)
    with pytest.raises(InputError, match=sentence):
        read_shot_table(tmp_path / "theirs.csv", boundary)
