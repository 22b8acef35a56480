"""Laws that every collective variable in the table obeys."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from molgen.observables.base import CollectiveVariable
from molgen.observables.table import CVS, build_cv
from molgen.systems import load_system
from molgen.systems.definition import CVSection
from molgen.systems.system import MolecularSystem

EXAMPLES = {
    "torsion": {"torsion": [4, 6, 8, 14]},
    "angle": {"angle": [6, 8, 14]},
    "distance": {"distance": [5, 17]},
    "rmsd": {"rmsd": {"atoms": [1, 4, 6, 8, 10, 14, 16, 18]}},
    "radius_of_gyration": {"radius_of_gyration": "all"},
    "position": {"position": 1},
}


@pytest.fixture(scope="module", params=sorted(CVS))
def case(request: pytest.FixtureRequest) -> tuple[CollectiveVariable, torch.Tensor]:
    """A variable of each kind, and frames (5, N, D) around the starting point of its system."""
    kind = request.param
    system = load_system("muller-brown" if kind == "position" else "alanine-dipeptide-obc1")
    variable = build_cv(CVSection.parse({"name": "v", **EXAMPLES[kind]}, source="test"), system)
    noise = np.random.default_rng(3).normal(scale=0.02, size=(5, system.n_particles, system.dim))
    return variable, torch.from_numpy(system.positions + noise)


def test_every_kind_has_an_example() -> None:
    assert set(EXAMPLES) == set(CVS) == set(CVSection.model_fields) - {"name"}


def test_it_gives_one_finite_value_a_frame_in_the_precision_of_the_input(
    case: tuple[CollectiveVariable, torch.Tensor],
) -> None:
    variable, frames = case
    values = variable(frames)
    assert values.shape == (5,)
    assert values.dtype == torch.float64
    assert torch.isfinite(values).all()
    assert variable(frames.float()).dtype == torch.float32
    torch.testing.assert_close(variable(frames.float()).double(), values, atol=2e-5, rtol=0)
    assert variable(frames[:0]).shape == (0,)


def test_it_says_its_name_unit_and_period(case: tuple[CollectiveVariable, torch.Tensor]) -> None:
    variable, frames = case
    assert variable.name == "v"
    assert variable.unit in {"rad", "nm", ""}
    assert not variable.periodic or variable.unit == "rad"
    if variable.periodic:
        assert (variable(frames).abs() <= np.pi).all()


def test_its_gradient_is_that_of_finite_differences(case: tuple[CollectiveVariable, torch.Tensor]) -> None:
    variable, frames = case
    assert torch.autograd.gradcheck(variable, (frames[:2].clone().requires_grad_(True),), eps=1e-6, atol=1e-6)


def test_frames_are_independent(case: tuple[CollectiveVariable, torch.Tensor]) -> None:
    variable, frames = case
    torch.testing.assert_close(variable(frames)[2:3], variable(frames[2:3]), atol=1e-12, rtol=0)


def test_rotation_and_translation_of_a_molecule_change_nothing(case: tuple[CollectiveVariable, torch.Tensor]) -> None:
    variable, frames = case
    if frames.shape[-1] != 3:
        pytest.skip("an analytic potential has a fixed frame")
    rotation = torch.from_numpy(np.linalg.qr(np.random.default_rng(5).normal(size=(3, 3)))[0])
    rotation = rotation * torch.linalg.det(rotation)  # a proper one in three dimensions
    moved = frames @ rotation.T + torch.tensor([3.0, -1.0, 0.5], dtype=torch.float64)
    torch.testing.assert_close(variable(moved), variable(frames), atol=1e-10, rtol=0)


def test_it_survives_a_round_trip_to_a_worker(case: tuple[CollectiveVariable, torch.Tensor]) -> None:
    import pickle

    variable, frames = case
    again = pickle.loads(pickle.dumps(variable))  # noqa: S301  (our own bytes: workers receive variables so)
    torch.testing.assert_close(again(frames), variable(frames))


def test_a_definition_builds_all_of_them_in_its_order() -> None:
    from molgen.observables.table import build_cvs, evaluate_cvs

    system = load_system("alanine-dipeptide-obc1")
    assert isinstance(system, MolecularSystem)
    kinds = [kind for kind in CVS if kind != "position"]
    sections = tuple(CVSection.parse({"name": f"cv_{kind}", **EXAMPLES[kind]}, source="test") for kind in kinds)
    system = replace(system, definition=system.definition.model_copy(update={"cv": sections}))
    assert list(build_cvs(system)) == [f"cv_{kind}" for kind in kinds]
    values = evaluate_cvs(system, system.positions[None].astype(np.float32))
    assert all(array.dtype == np.float64 and array.shape == (1,) for array in values.values())
