"""Each check passes on truth and fails on its fault; the numerical Jacobian against an exact one."""

import math

import numpy as np
import pytest
import torch

from molgen.reweighting import audit


class Affine:
    """x = A z + b in the plane, z standard normal: log q = ln N(z) - ln|det A|."""

    matrix = torch.tensor([[2.0, 0.3], [0.1, 0.5]], dtype=torch.float64)

    def to_latent(self, positions: torch.Tensor) -> torch.Tensor:
        return torch.linalg.solve(self.matrix, positions.reshape(-1, 2).T).T

    def from_latent(self, latent: torch.Tensor) -> torch.Tensor:
        return (latent @ self.matrix.T).reshape(-1, 1, 2)

    def latent_log_prob(self, latent: torch.Tensor) -> torch.Tensor:
        return -0.5 * (latent**2).sum(1) - math.log(2 * math.pi)


class Trimer:
    """Three atoms from two bonds and an angle, uniform latent: log q = -ln(b1² b2² sin θ) up to a constant."""

    def to_latent(self, positions: torch.Tensor) -> torch.Tensor:
        first, second = positions[:, 1] - positions[:, 0], positions[:, 2] - positions[:, 1]
        b1, b2 = first.norm(dim=1), second.norm(dim=1)
        return torch.stack([b1, b2, torch.acos(-(first * second).sum(1) / (b1 * b2))], dim=1)

    def from_latent(self, latent: torch.Tensor) -> torch.Tensor:
        b1, b2, angle = latent.T
        zero = torch.zeros_like(b1)
        one, two = torch.stack([zero, zero, zero], 1), torch.stack([b1, zero, zero], 1)
        three = torch.stack([b1 - b2 * torch.cos(angle), b2 * torch.sin(angle), zero], 1)
        return torch.stack([one, two, three], 1)

    def latent_log_prob(self, latent: torch.Tensor) -> torch.Tensor:
        return torch.zeros(len(latent), dtype=latent.dtype)


def test_numerical_density_of_an_affine_map() -> None:
    model = Affine()
    positions = np.random.default_rng(0).normal(size=(4, 1, 2))
    latent = model.to_latent(torch.as_tensor(positions))
    exact = (model.latent_log_prob(latent) - torch.logdet(model.matrix)).numpy()
    for row, value in zip(positions, exact, strict=True):
        assert audit.numerical_log_q(model, row) == pytest.approx(value, abs=1e-6)
    assert audit.check_jacobian(model, positions, exact).passed
    assert not audit.check_jacobian(model, positions, exact * 1.2).passed


def test_numerical_density_carries_the_factors_of_the_first_three_atoms() -> None:
    model = Trimer()
    latent = torch.tensor([[0.1, 0.12, 1.8], [0.13, 0.1, 1.2], [0.11, 0.09, 2.4]], dtype=torch.float64)
    rotation, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))
    positions = model.from_latent(latent).numpy() @ rotation.T + 2.0
    b1, b2, angle = latent.numpy().T
    right = -np.log(b1**2 * b2**2 * np.sin(angle))
    frame_fixed = -np.log(b2)
    assert audit.check_jacobian(model, positions, right).passed
    assert not audit.check_jacobian(model, positions, frame_fixed).passed


def test_values_are_compared_with_tolerance_and_non_finite_ones_must_match() -> None:
    stored = np.array([1.0, 2.0, np.inf])
    tolerance = (0.01, 1e-3)
    assert audit.check_values("energy", stored, np.array([1.005, 2.0, np.nan]), tolerance).passed
    assert not audit.check_values("energy", stored, np.array([1.02, 2.0, np.inf]), tolerance).passed
    assert not audit.check_values("energy", stored, np.array([1.0, 2.0, 3.0]), tolerance).passed


def test_noisy_values_may_differ_by_a_few_of_their_errors() -> None:
    stored, error = np.array([1.0, 2.0, 3.0]), np.array([0.1, 0.1, np.nan])
    near, far = np.array([1.45, 1.55, 3.0]), np.array([1.0, 2.6, 3.0])
    assert audit.check_values("log_q", stored, near, (0.01, 0.0), error).passed
    assert not audit.check_values("log_q", stored, near, (0.01, 0.0)).passed
    assert not audit.check_values("log_q", stored, far, (0.01, 0.0), error).passed
    assert not audit.check_values("log_q", stored, np.array([1.0, 2.0, 3.1]), (0.01, 0.0), error).passed


def test_hashes_temperature_and_domain() -> None:
    assert audit.check_same("model", "a" * 64, "a" * 64).passed
    assert not audit.check_same("model", None, "a" * 64).passed
    assert audit.check_temperature(300.0, 300.0).passed
    assert not audit.check_temperature(math.nan, 300.0).passed
    assert not audit.check_temperature(310.0, 300.0).passed
    inside = np.array([True, True, False])
    assert audit.check_domain(inside, np.array([True, True, True])).passed
    assert not audit.check_domain(inside, np.array([True, False, False])).passed


def test_a_missing_model_is_not_a_failure_but_not_complete() -> None:
    check = audit.check_log_density(None, np.zeros((2, 1, 1)), np.zeros(2))
    whole = audit.assemble(2, [check, None, audit.AuditCheck("energy", True, "")])
    assert whole.passed
    assert not whole.complete
    assert len(whole.to_json()["checks"]) == 2
    failed = audit.assemble(2, [audit.AuditCheck("energy", False, "3 rows differ")])
    assert failed.failures == ("energy: 3 rows differ",)


def test_rows_are_distinct_and_repeatable() -> None:
    rows = audit.audit_rows(1000, np.random.default_rng(3))
    assert len(np.unique(rows)) == 64
    assert np.array_equal(rows, audit.audit_rows(1000, np.random.default_rng(3)))
    assert len(audit.audit_rows(10, np.random.default_rng(3))) == 10
