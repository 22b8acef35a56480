"""What a committor sees."""

import numpy as np
import pytest
import torch

from molgen.committor.features import Features
from molgen.errors import InputError
from molgen.systems.loading import load_system
from tests.molecules import random_rotations, system_of
from tests.wells import double_well


def frames(system: object, n: int = 40) -> torch.Tensor:
    rng = np.random.default_rng(1)
    positions = system.positions  # type: ignore[attr-defined]
    return torch.as_tensor(positions + 0.005 * rng.normal(size=(n, *positions.shape)))


@pytest.mark.parametrize("kind", ["internal", "cv"])
def test_moving_and_turning_changes_nothing_and_mirroring_does(kind: str) -> None:
    system = load_system("alanine-dipeptide-vacuum")
    features = Features(system, kind)  # type: ignore[arg-type]
    x = frames(system)
    features.fit(x)
    values = features(x)
    assert values.shape == (40, len(features.names))
    assert len(set(features.names)) == len(features.names)
    rotations = torch.as_tensor(random_rotations(40, np.random.default_rng(2)))
    moved = torch.einsum("nij,naj->nai", rotations, x) + 1.0
    assert (features(moved) - values).abs().max() < 1e-8
    assert (features(-x) - values).abs().max() > 0.1
    assert values.mean(0).abs().max() < 1e-9
    assert (values.std(0, correction=0) - 1.0).abs().max() < 1e-6


def test_equal_hydrogens_may_change_places() -> None:
    system = load_system("alanine-dipeptide-vacuum")
    features = Features(system, "internal")
    x = frames(system)
    turned = x.clone()
    turned[:, [0, 2, 3]] = x[:, [2, 3, 0]]  # the hydrogens of the first methyl
    assert [system.topology.atoms[k].element for k in (0, 2, 3)] == ["H"] * 3
    assert (features(turned) - features(x)).abs().max() < 1e-8


def test_a_particles_coordinates_are_its_features() -> None:
    features = Features(double_well(), "internal")
    x = torch.linspace(-1.0, 1.0, 5, dtype=torch.float64).reshape(-1, 1, 1)
    assert features.names == ("x",)
    assert torch.equal(features(x), x[:, 0])


def test_variables_that_are_not_there_are_refused() -> None:
    with pytest.raises(InputError, match="no collective variables"):
        Features(system_of("chiral"), "cv")


def test_a_particle_in_many_dimensions_has_its_coordinates() -> None:
    features = Features(load_system("hidden-coordinate"), "internal")
    assert features.names == tuple(f"x{k}" for k in range(10))
    assert Features(load_system("muller-brown"), "internal").names == ("x", "y")
    assert features(torch.zeros(3, 1, 10)).shape == (3, 10)
