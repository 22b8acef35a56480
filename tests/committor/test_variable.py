"""logit q̂ as the variable of a bias: its laws, its name, and the committors that are refused."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from molgen.bias.parsing import parse_bias
from molgen.committor.artifact import load_committor, save_committor
from molgen.committor.model import Committor, CommittorSettings
from molgen.committor.variable import open_variable
from molgen.dynamics.passage_factory import dynamics_record
from molgen.errors import InputError
from molgen.observables.boundary import Boundary
from molgen.observables.states import with_states
from molgen.systems.definition import StateSection
from molgen.systems.loading import load_system
from molgen.workflows.bias_functions import read_bias
from tests.fitted_wells import save_well
from tests.wells import committor, double_well

SYSTEM = double_well()


@pytest.fixture(scope="module")
def well(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_well(tmp_path_factory.mktemp("c") / "c")


def save_molecule(folder: Path, features: Any) -> Any:
    """An untrained committor of alanine dipeptide with random weights everywhere; its system."""
    system = load_system("alanine-dipeptide-vacuum")
    model = Committor(Boundary(system, "c7eq", "c7ax"), CommittorSettings(features=features), torch.Generator())
    noise = np.random.default_rng(1).normal(scale=0.01, size=(50, system.n_particles, 3))
    model.features.fit(torch.as_tensor(system.positions + noise))
    for parameter in model.members.parameters():
        torch.nn.init.normal_(parameter, std=0.2, generator=torch.Generator().manual_seed(3))
    folder.mkdir()
    save_committor(folder, model, dynamics_record(system, model.boundary), {})
    return system


def test_it_is_the_logit_and_goes_on_into_the_states(well: Path) -> None:
    x = torch.linspace(-0.8, 0.8, 9, dtype=torch.float64).reshape(-1, 1, 1)
    variable = open_variable(str(well), Path(), SYSTEM)
    model = load_committor(well).model
    np.testing.assert_allclose(variable(x).numpy(), model.logit(x.numpy()), atol=1e-4)
    q = committor(x.numpy().ravel())
    assert np.abs(torch.sigmoid(variable(x)).numpy() - q).max() < 0.05
    inside = variable(torch.tensor([-1.0, 1.0], dtype=torch.float64).reshape(-1, 1, 1))
    assert torch.isfinite(inside).all()
    assert variable.smooth
    assert (variable.unit, variable.periodic) == ("", False)


def test_a_bias_along_it_reads_back_what_it_writes_from_anywhere(
    well: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    line = "harmonic(committor(c), center=0, k=2 kT) + linear(committor(c), slope=0.5 kT)"
    bias = read_bias(line, SYSTEM, folder=well.parent)
    monkeypatch.chdir(tmp_path)
    assert f"harmonic(committor({well.resolve()}@" in bias.text
    again = read_bias(bias.text, SYSTEM)
    assert again == bias
    x = torch.linspace(-0.8, 0.8, 9, dtype=torch.float64).reshape(-1, 1, 1)
    z = bias.terms[0].cv(x)
    torch.testing.assert_close(again.reduced(x), z.square() + 0.5 * z)


@pytest.mark.parametrize("features", ["cv", "internal"])
def test_derivatives_and_rigid_motion(tmp_path: Path, features: Any) -> None:
    """Of a molecule; equal hydrogens may stand in any order, but where they change places it is not smooth."""
    system = save_molecule(tmp_path / "c", features)
    variable = open_variable(str(tmp_path / "c"), Path(), system)
    assert variable.smooth == (features == "cv")
    frames = torch.as_tensor(system.positions)[None] + 0.01 * torch.randn(
        2, system.n_particles, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1)
    )
    assert torch.autograd.gradcheck(variable, (frames.clone().requires_grad_(True),), eps=1e-6, atol=1e-5, rtol=1e-4)
    rotation = torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(2)))[0]
    rotation = rotation * torch.linalg.det(rotation)
    torch.testing.assert_close(variable(frames @ rotation.T + 1.0), variable(frames), atol=1e-9, rtol=1e-9)
    mirrored = variable(frames * torch.tensor([1.0, 1.0, -1.0], dtype=torch.float64))
    assert (mirrored - variable(frames)).abs().min() > 1e-3


def changed(**changes: Any) -> Any:
    section = SYSTEM.definition.dynamics.model_copy(update=changes)
    return replace(SYSTEM, definition=SYSTEM.definition.model_copy(update={"dynamics": section}))


def test_other_systems_dynamics_states_and_fits_are_refused(well: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is of double-well, another molecule or force field than muller-brown"):
        open_variable(str(well), Path(), load_system("muller-brown"))
    with pytest.raises(InputError, match="belongs to another dynamics than double-well"):
        open_variable(str(well), Path(), changed(timestep_fs=2.0))
    states = (StateSection(name="left", where="x < -1.1"), StateSection(name="right", where="x > 0.9"))
    with pytest.raises(InputError, match="belongs to another state A than"):
        open_variable(str(well), Path(), with_states(SYSTEM, states))
    name = open_variable(str(well), Path(), SYSTEM).name
    copy = tmp_path / "c"
    shutil.copytree(well, copy)
    digest = name.removesuffix(")")[-12:]
    assert open_variable(f"{copy}@{digest}", Path(), SYSTEM).name != name
    with pytest.raises(InputError, match="not the one that this bias was made of"):
        open_variable(f"{copy}@{'0' * 12}", Path(), SYSTEM)
    with pytest.raises(InputError, match="holds no committor"):
        open_variable("nowhere", tmp_path, SYSTEM)
    shutil.copytree(well, tmp_path / "a,b")
    with pytest.raises(InputError, match="has a sign that a bias cannot hold"):
        open_variable("a,b", tmp_path, SYSTEM)


def test_only_draws_know_committors_and_only_those(well: Path) -> None:
    line = f"harmonic(committor({well}), center=0, k=2 kT)"
    with pytest.raises(InputError, match="can bias draws of a model only"):
        parse_bias(line, SYSTEM)
    with pytest.raises(InputError, match=r"There is no variable comitor\(...\)"):
        read_bias(line.replace("committor", "comitor"), SYSTEM)
