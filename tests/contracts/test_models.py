"""Laws that every generative model keeps, whatever the system.

The models carry perturbed parameters (a fresh flow is nearly the identity) and are fitted to a few hundred frames made
from the system's own structure: stiff coordinates jittered, free torsions drawn over the circle.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from molgen.coordinates.folding import Folding
from molgen.coordinates.internal import InternalCoordinates
from molgen.coordinates.zmatrix import build_zmatrix
from molgen.errors import InputError
from molgen.models.artifact import DESCRIPTION, WEIGHTS, load_model, save_model
from molgen.models.continuous import ContinuousFlow
from molgen.models.diffusion import DiffusionSettings
from molgen.models.flow_matching import FlowMatchingSettings
from molgen.models.spline_flow import SplineFlow, SplineFlowSettings
from molgen.models.table import MODELS, model_class
from molgen.networks.equivariant import EquivariantSettings
from molgen.settings import Settings
from molgen.systems.loading import load_system
from molgen.systems.system import MolecularSystem
from tests.molecules import frames_of, labellings, random_rotations, superposed_deviation, system_of

FLOAT32 = 5e-4
"""Tolerated error of a float32 log q (measured: 4e-5 in 2,000 draws): some 60 logarithms, each of a steep spline."""
NETWORK = EquivariantSettings(layers=2, scalars=8, vectors=4, radial=8, hidden=8, soften=0.5)
TENSORS = NETWORK.model_copy(update={"layers": 1, "tensors": 4})
"""Their Jacobian is made by forward mode, which is dear."""
SMALL: dict[str, Settings] = {
    "spline": SplineFlowSettings(hidden=32, torsion_hidden=16, torsion_bins=8),
    "flow-matching": FlowMatchingSettings(network=NETWORK, steps=3),
    "flow-matching at temperatures": FlowMatchingSettings(network=NETWORK, steps=3, temperatures=(90.0, 200.0)),
    "flow-matching with tensors": FlowMatchingSettings(network=TENSORS, steps=6),
    "diffusion": DiffusionSettings(network=NETWORK, steps=12, scheme="midpoint"),
}
MOLECULES = ["spline:alanine-dipeptide", "flow-matching:chiral", "diffusion:chiral"]
PARTICLES = ["spline:double-well", "spline:muller-brown"]
CLUSTERS = [
    "flow-matching:dw4",
    "flow-matching at temperatures:dw4",
    "flow-matching with tensors:dw4",
    "diffusion:dw4",
]
CASES = MOLECULES + PARTICLES + CLUSTERS
"""Model and system: every row of MODELS is here, on each kind of system that it is for."""


def kind(name: str) -> str:
    """The row of MODELS of a name in SMALL."""
    return name.partition(" ")[0]


def test_every_model_is_put_to_the_laws() -> None:
    assert {case.partition(":")[0] for case in CASES} == set(SMALL)
    assert {kind(name) for name in SMALL} == set(MODELS)


def training_frames(system: Any, n: int, seed: int = 5) -> torch.Tensor:
    """Frames (n, N, D), float64, around the system's structure."""
    rng = np.random.default_rng(seed)
    if not isinstance(system, MolecularSystem):
        return torch.as_tensor(system.positions + 0.3 * rng.normal(size=(n, *system.positions.shape)))
    if system.name != "alanine-dipeptide":
        return frames_of("chiral", n, seed)
    internal = InternalCoordinates(build_zmatrix(system))
    y = internal.from_positions(torch.as_tensor(system.positions)[None]).expand(n, -1).clone()
    noise = np.full(internal.dimension, 0.05)
    noise[: internal.n_bonds] = 0.002
    y = y + torch.as_tensor(rng.normal(size=(n, internal.dimension)) * noise)
    for leader in internal.zmatrix.free:
        y[:, internal.torsion_column(leader)] = torch.as_tensor(rng.uniform(-np.pi, np.pi, n))
    return internal.to_positions(y)[0]


def fit(model: Any, frames: torch.Tensor) -> None:
    """The statistics that a model takes from its training frames."""
    if isinstance(model, ContinuousFlow):
        model.fit(frames)
    else:
        model.whitening.fit(model.chart.encode(model.chart.canonical(frames)))


def prepared(name: str, system: Any) -> Any:
    """A fitted model of ``system`` with parameters moved away from the identity, those that are zero there further."""
    generator = torch.Generator().manual_seed(11)
    model = model_class(kind(name))(system, SMALL[name], generator)
    fit(model, training_frames(system, 400))
    with torch.no_grad():
        for parameter in model.parameters():
            size = 0.1 if parameter.any() or name == "spline" else 0.3
            parameter.add_(size * torch.randn(parameter.shape, generator=generator))
    return model.requires_grad_(False)


@pytest.fixture(scope="module", params=CASES)
def case(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def name(case: str) -> str:
    return case.partition(":")[0]


@pytest.fixture(scope="module")
def system(case: str) -> Any:
    found = case.partition(":")[2]
    return system_of(found) if found == "chiral" else load_system(found)


@pytest.fixture(scope="module")
def model(name: str, system: Any) -> Any:
    return prepared(name, system)


@pytest.fixture(scope="module")
def double(name: str, system: Any) -> Any:
    return prepared(name, system).double()


def draw(model: Any, n: int, seed: int = 1) -> Any:
    return model.sample(n, torch.Generator().manual_seed(seed))


def inside(model: Any, n: int, seed: int = 1) -> torch.Tensor:
    """Draws of the model that are inside its domain; frames of a molecule that its untrained model would not draw."""
    if isinstance(model, ContinuousFlow) and model.chart.chiral:
        return training_frames(model.chart.system, n, seed)
    drawn = draw(model, n, seed)
    assert drawn.in_domain.double().mean() > 0.5
    frames: torch.Tensor = drawn.positions[drawn.in_domain]
    return frames


def test_the_parameters_matter(name: str, system: Any, model: Any) -> None:
    plain = model_class(kind(name))(system, SMALL[name], torch.Generator().manual_seed(11))
    fit(plain, training_frames(system, 400))
    frames = draw(plain, 50).positions
    assert (plain.log_prob(frames) - model.log_prob(frames)).std() > 0.05


def test_draws_have_the_density_they_claim(model: Any, double: Any) -> None:
    for flow, tolerance in ((model, FLOAT32), (double, 1e-8)):
        drawn = draw(flow, 300 if isinstance(flow, SplineFlow) else 60)
        assert drawn.log_q.dtype == drawn.positions.dtype == torch.float64
        assert torch.isfinite(drawn.log_q).all()
        difference = (flow.log_prob(drawn.positions) - drawn.log_q)[drawn.in_domain].abs()
        assert difference.max() < tolerance
        assert (flow.in_domain(drawn.positions) | ~drawn.in_domain).all()


def test_latent_numbers_invert(double: Any) -> None:
    frames = inside(double, 100)
    latent = double.to_latent(frames)
    back = double.from_latent(latent)
    assert (double.to_latent(back) - latent).abs().max() < 1e-7
    if isinstance(double, SplineFlow):
        assert latent.shape == (len(frames), frames[0].numel() - (6 if frames.shape[1] > 1 else 0))
        frames = double.chart.canonical(frames)
    else:
        assert latent.shape == (len(frames), frames[0].numel() - frames.shape[2])
        frames = frames - frames.mean(1, keepdim=True)
    if isinstance(double, SplineFlow) and frames.shape[1] > 1:
        assert superposed_deviation(back, frames) < 1e-9
    else:
        assert (back - frames).abs().max() < 1e-9


def test_log_q_is_the_change_of_volume_of_the_full_map(double: Any) -> None:
    """Central differences of the latent map, with translations and, for internal coordinates, rotations as well.

    Near the identity the Haar measure of volume 8 pi^2 is the rotation vector's, whose columns are e_k × x. The
    subspace of centred frames is orthogonal to the unit vectors of translation.
    """
    step = 1e-5
    for frame in inside(double, 4, seed=2):
        z = double.to_latent(frame[None])
        steps = step * torch.eye(z.shape[1], dtype=z.dtype)
        columns = (double.from_latent(z + steps) - double.from_latent(z - steps)).flatten(1) / (2 * step)
        if isinstance(double, ContinuousFlow):
            particles, dim = frame.shape
            shifts = torch.eye(dim, dtype=z.dtype).repeat(1, particles) / particles**0.5
            columns = torch.cat([columns, shifts])
        elif frame.shape[0] > 1:
            placed = double.from_latent(z)[0]
            axes = torch.eye(3, dtype=z.dtype)
            shifts = axes.repeat(1, len(placed))
            turns = torch.linalg.cross(axes[:, None, :], placed[None]).flatten(1)
            columns = torch.cat([columns, shifts, turns])
        expected = double.latent_log_prob(z)[0] - torch.linalg.slogdet(columns).logabsdet
        assert abs(float(double.log_prob(frame[None])[0] - expected)) < 1e-5


@pytest.mark.parametrize("case", PARTICLES, indirect=True)
def test_a_density_on_the_line_or_plane_integrates_to_one(double: Any) -> None:
    centre, scale = double.whitening.centre, double.whitening.scale
    axes = [torch.linspace(-12, 12, 301, dtype=torch.float64) * s + c for c, s in zip(centre, scale, strict=True)]
    grid = torch.cartesian_prod(*axes).reshape(-1, 1, len(axes))
    cell = float(np.prod([float(axis[1] - axis[0]) for axis in axes]))
    total = sum(float(double.log_prob(piece).exp().sum()) for piece in grid.split(10_000)) * cell
    assert abs(total - 1.0) < 1e-3


@pytest.mark.parametrize("case", MOLECULES + CLUSTERS, indirect=True)
def test_rigid_motion_changes_nothing(model: Any) -> None:
    frames = inside(model, 60)
    rng = np.random.default_rng(3)
    dim = frames.shape[2]
    rotations = torch.as_tensor(random_rotations(len(frames), rng))
    if dim == 2:
        angle = torch.as_tensor(rng.uniform(0.0, 6.0, len(frames)))
        rotations = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], 1).reshape(-1, 2, 2)
    moved = torch.einsum("nij,naj->nai", rotations, frames) + torch.as_tensor(rng.normal(size=(len(frames), 1, dim)))
    assert (model.log_prob(moved) - model.log_prob(frames)).abs().max() < FLOAT32
    assert model.in_domain(moved).all()


@pytest.mark.parametrize("case", MOLECULES[:1], indirect=True)
def test_every_labelling_of_equivalent_hydrogens_is_as_likely(system: Any, double: Any) -> None:
    folding = Folding(InternalCoordinates(build_zmatrix(system)))
    assert folding.n_groups == 3
    frames = inside(double, 40)
    expected = double.log_prob(frames)
    for shifts in labellings(folding.orders):
        labelled = folding.permute(frames, torch.tensor(shifts).expand(len(frames), -1))
        assert (double.log_prob(labelled) - expected).abs().max() < 1e-8
        assert double.in_domain(labelled).all()


@pytest.mark.parametrize("case", MOLECULES[:1], indirect=True)
def test_draws_visit_every_labelling_equally(system: Any, model: Any) -> None:
    """Pearson's chi-square over 27 labellings of 2,700 draws; two seeds in 10,000 would exceed 60."""
    internal = InternalCoordinates(build_zmatrix(system))
    columns = [internal.torsion_column(leader) for leader in internal.zmatrix.rotors]
    phases = internal.from_positions(draw(model, 2700, 8).positions)[:, columns]
    thirds = (torch.floor(phases / (2 * np.pi / 3) + 0.5).long() % 3) @ torch.tensor([9, 3, 1])
    counts = torch.bincount(thirds, minlength=27).double()
    assert ((counts - 100) ** 2 / 100).sum() < 60.0


def test_the_mirror_image_is_no_molecule_of_this_kind(system: Any, model: Any) -> None:
    frames = inside(model, 60)
    mirrored = frames * torch.tensor([1.0] * (frames.shape[2] - 1) + [-1.0], dtype=frames.dtype)
    assert (model.in_domain(mirrored) == (not isinstance(system, MolecularSystem))).all()


def test_equal_seeds_give_equal_draws_and_leave_the_global_generator_alone(model: Any) -> None:
    state = torch.get_rng_state()
    first, again, other = draw(model, 20, 4), draw(model, 20, 4), draw(model, 20, 5)
    assert torch.equal(first.positions, again.positions)
    assert torch.equal(first.log_q, again.log_q)
    assert not torch.equal(first.positions, other.positions)
    assert torch.equal(torch.get_rng_state(), state)


def test_equal_seeds_give_equal_models(name: str, system: Any) -> None:
    state = torch.get_rng_state()
    one, two, three = (
        model_class(kind(name))(system, SMALL[name], torch.Generator().manual_seed(k)) for k in (1, 1, 2)
    )
    pairs = list(zip(one.parameters(), two.parameters(), strict=True))
    assert all(torch.equal(a, b) for a, b in pairs)
    assert any(not torch.equal(a, b) for a, b in zip(one.parameters(), three.parameters(), strict=True))
    assert torch.equal(torch.get_rng_state(), state)


def test_the_density_of_a_frame_does_not_depend_on_its_company(model: Any, double: Any) -> None:
    for flow, tolerance in ((model, FLOAT32), (double, 1e-8)):
        frames = inside(flow, 20)
        together = flow.log_prob(frames)
        pieces = torch.cat([flow.log_prob(piece) for piece in frames.split(7)])
        assert (together - pieces).abs().max() < tolerance
        order = torch.randperm(len(frames), generator=torch.Generator().manual_seed(1))
        assert (flow.log_prob(frames[order]) - together[order]).abs().max() < tolerance


def test_no_frame_is_no_error(model: Any) -> None:
    drawn = draw(model, 0)
    assert len(drawn.positions) == len(drawn.log_q) == len(drawn.in_domain) == 0
    assert model.log_prob(drawn.positions).shape == (0,)


def test_a_broken_frame_is_outside_and_leaves_the_others_alone(system: Any, model: Any) -> None:
    frames = inside(model, 20).clone()
    expected = model.log_prob(frames)
    frames[0] = torch.nan
    values = model.log_prob(frames)
    assert not torch.isfinite(values[0])
    assert (values[1:] - expected[1:]).abs().max() < FLOAT32
    if isinstance(system, MolecularSystem) or isinstance(model, ContinuousFlow):
        assert model.in_domain(frames).tolist() == [False] + [True] * (len(frames) - 1)


# --- on disk ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def saved(tmp_path: Path, name: str, model: Any, system: Any) -> Path:
    save_model(tmp_path, kind(name), model, system, {"steps": 3})
    return tmp_path


def test_a_model_read_back_is_the_same_model(saved: Path, model: Any, system: Any) -> None:
    loaded = load_model(saved)
    frames = inside(model, 30)
    assert torch.equal(loaded.model.log_prob(frames), model.log_prob(frames))
    drawn, again = draw(model, 30, 6), draw(loaded.model, 30, 6)
    assert torch.equal(drawn.positions, again.positions)
    assert torch.equal(drawn.log_q, again.log_q)
    assert torch.equal(drawn.in_domain, again.in_domain)
    assert (loaded.fingerprint, loaded.temperature_k) == (system.fingerprint, system.temperature_k)
    assert loaded.training == {"steps": 3}
    assert not any(parameter.requires_grad for parameter in loaded.model.parameters())


def test_one_changed_byte_of_the_weights_is_refused(saved: Path) -> None:
    data = bytearray((saved / WEIGHTS).read_bytes())
    data[-1] ^= 1
    (saved / WEIGHTS).write_bytes(bytes(data))
    with pytest.raises(InputError, match="SHA-256"):
        load_model(saved)


def test_weights_cut_short_are_refused(saved: Path) -> None:
    (saved / WEIGHTS).write_bytes((saved / WEIGHTS).read_bytes()[:100])
    with pytest.raises(InputError, match="SHA-256"):
        load_model(saved)


def test_a_model_of_another_system_is_refused(saved: Path, system: Any) -> None:
    description = json.loads((saved / DESCRIPTION).read_text())
    other = "muller-brown" if system.name != "muller-brown" else "double-well"
    description["system"]["fingerprint"] = description["fingerprint"] = load_system(other).fingerprint
    (saved / DESCRIPTION).write_text(json.dumps(description))
    with pytest.raises(InputError, match="fingerprint"):
        load_model(saved)
