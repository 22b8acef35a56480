"""A realistic made-up result for alanine dipeptide: three Gaussian wells, 20,000 draws, fixed seed."""

from typing import Any

import numpy as np
import pytest

from molgen.arrays import FloatArray
from molgen.reports.data import EnergyHistograms, Profile1D, Profile2D, ReportData

WELLS = ((-1.3, 2.5, 0.52, 0.35), (-1.35, -0.5, 0.46, 0.3), (1.0, 0.6, 0.02, 0.22))
"""phi, psi (rad), mass, width (rad)."""


def draw_torsions(n: int, generator: np.random.Generator) -> FloatArray:
    """(n, 2) torsions in [-pi, pi) from the wells."""
    which = generator.choice(len(WELLS), size=n, p=[well[2] for well in WELLS])
    centres = np.array([well[:2] for well in WELLS])[which]
    widths = np.array([well[3] for well in WELLS])[which]
    moved = centres + widths[:, None] * generator.standard_normal((n, 2))
    return np.asarray((moved + np.pi) % (2 * np.pi) - np.pi)


def free_energy(counts: FloatArray) -> FloatArray:
    """-ln p, minimum 0, +inf where empty."""
    with np.errstate(divide="ignore"):
        values = -np.log(counts / counts.sum())
    return np.asarray(values - values.min())


def _profile(name: str, model: FloatArray, reference: FloatArray, weights: FloatArray) -> Profile1D:
    edges = np.linspace(-np.pi, np.pi, 61)
    counts, _ = np.histogram(model, edges, weights=weights)
    known, _ = np.histogram(reference, edges)
    f = free_energy(counts)
    error = 1.96 / np.sqrt(np.maximum(counts, 1e-9) * 0.6 + 1e-9)
    centres = 0.5 * (edges[1:] + edges[:-1])
    return Profile1D(name, "rad", centres, f, f - error, f + error, free_energy(known))


def _surface(model: FloatArray, reference: FloatArray, weights: FloatArray) -> Profile2D:
    edges = np.linspace(-np.pi, np.pi, 61)
    counts, _, _ = np.histogram2d(model[:, 0], model[:, 1], [edges, edges], weights=weights)
    known, _, _ = np.histogram2d(reference[:, 0], reference[:, 1], [edges, edges])
    middle = np.degrees(0.5 * (edges[1:] + edges[:-1]))
    phi, psi = np.meshgrid(middle, middle, indexing="ij")
    states = np.where((phi > 0) & (phi < 137.5), 0, np.where(np.abs(psi + 40) < 69, 1, 2)).astype(np.int64)
    names = ("alpha_l", "alpha_r", "extended")
    return Profile2D(
        "phi", "psi", edges, edges, free_energy(counts), free_energy(known), states=states, state_names=names
    )


def _result() -> dict[str, Any]:
    def population(value: float, error: float, reference: float, z: float, ess: float) -> dict[str, Any]:
        return {
            "value": value, "low": value - error, "high": value + error, "ess": ess, "pareto_k": 0.38,
            "verdict": "caution" if ess < 1000 else "reliable",
            "reference": {"value": reference, "low": reference * 0.96, "high": reference * 1.04}, "z": z,
        }  # fmt: skip

    return {
        "molgen": "0.1.0", "system": "alanine-dipeptide", "temperature_k": 300.0, "n": 20000, "n_out_of_domain": 3,
        "n_non_finite": 0, "ess_raw": 0.6134, "ess_raw_interval": [0.571, 0.642], "ess_winsorised": 0.66,
        "ess_trimmed": 0.68, "pareto_k": 0.18, "pareto_k_threshold": 0.7, "largest_weight_share": 0.0006,
        "ess_forward": None, "log_z": 41.2371, "verdict": "caution",
        "reasons": ["State alpha_l holds 246 effective samples, fewer than 1,000, so its interval may be too short."],
        "estimates": {
            "population:alpha_l": {"verdict": "caution", "reasons": ["246 effective samples in alpha_l."]},
            "population:alpha_r": {"verdict": "reliable", "reasons": []},
        },
        "populations": {
            "alpha_l": population(0.0209, 0.0026, 0.0198, 0.71, 246.0),
            "alpha_r": population(0.4571, 0.0088, 0.4622, -0.93, 5610.0),
            "extended": population(0.5220, 0.0089, 0.5180, 0.75, 6402.0),
        },
        "delta_f": {
            "alpha_r->alpha_l": {"value": 3.085, "low": 2.958, "high": 3.212, "unit": "kT"},
            "alpha_r->extended": {"value": -0.133, "low": -0.169, "high": -0.097, "unit": "kT"},
        },
        "expectations": {"radius_of_gyration": {"value": 0.2713, "low": 0.2708, "high": 0.2718, "unit": "nm"}},
        "coverage": {"tested": True, "by": "reference frames", "missing": []},
        "audit": {
            "rows": 64, "passed": True,
            "checks": [
                {"name": "reduced energies", "passed": True, "detail": "largest difference 3e-6 kT"},
                {"name": "log q", "passed": True, "detail": "largest difference 2e-9 nat, Jacobian on 4 rows"},
                {"name": "system and model", "passed": True, "detail": "hashes and temperature agree"},
                {"name": "chirality", "passed": True, "detail": "3 of 20000 rows outside the domain, weight 0"},
            ],
        },
        "distances": {"e_w2": {"value": 0.172, "floor": 0.141}, "t_w2": {"value": 0.168, "floor": 0.155}},
        "evaluations": {"data": 1150000, "training": 220000, "sampling": 0, "reweighting": 20000},
        "seed": 7, "platform": "Reference", "report": "result/report.html",
    }  # fmt: skip


def _training(generator: np.random.Generator) -> list[dict[str, Any]]:
    rows = []
    for step in range(0, 4001, 100):
        nll = -153.0 + 40.0 * np.exp(-step / 150.0) + 3.0 * np.exp(-step / 900.0)
        row: dict[str, Any] = {"step": step, "train_nll": nll - 0.1 + 0.15 * generator.standard_normal()}
        if step % 200 == 0:
            row["validation_nll"] = nll
        if step >= 2000 and step % 200 == 0:
            row["ess"] = 0.65 - 0.3 * np.exp(-(step - 2000) / 500.0)
            row["guard"] = {name: 0.15 * generator.standard_normal() for name in ("alpha_l", "alpha_r", "extended")}
        rows.append(row)
    return rows


@pytest.fixture(scope="session")
def report_data() -> ReportData:
    """A full report; everything random comes from seed 20."""
    return make_report_data()


def make_report_data() -> ReportData:
    """The same without pytest."""
    generator = np.random.default_rng(20)
    n = 20_000
    model, reference = draw_torsions(n, generator), draw_torsions(60_000, generator)
    log_weight = 40.0 + 0.68 * generator.standard_normal(n)
    log_weight[:3] = -np.inf
    weights = np.exp(log_weight - 40.0)
    energy = 30.0 + generator.gamma(30.0, 1.0, n) - 0.8 * (log_weight - 40.0).clip(-5, 5)
    edges = np.linspace(38.0, 92.0, 82)
    known = 30.0 + generator.gamma(30.0, 0.985, 60_000)
    energies = EnergyHistograms(
        edges,
        np.histogram(energy, edges)[0].astype(float),
        np.histogram(energy, edges, weights=weights)[0],
        np.histogram(known, edges)[0].astype(float),
        beyond=0.0004,
    )
    return ReportData(
        result=_result(),
        profiles_1d=tuple(_profile(cv, model[:, i], reference[:, i], weights) for i, cv in enumerate(("phi", "psi"))),
        profiles_2d=(_surface(model, reference, weights),),
        energies=energies,
        log_weight=log_weight,
        training=_training(generator),
        provenance={
            "command": "molgen reweight ensemble --reference md-long -o result",
            "system_fingerprint": "9f2c61c0d5f5b77c5b8e2f0d0a8f2a1f7c9a4f0be6a1d4c6f1f7f0a7e3b1c2d4",
            "model_sha256": "1b7e55a3f6d24a18f6a5b8a10c34b3f1a6c2d38b5e90de5f3a77c0e6d9f4a821",
            "date": "2026-01-15T10:21:44+00:00",
            "versions": {"molgen": "0.1.0", "python": "3.11.9", "torch": "2.13.0", "openmm": "8.6.0", "numpy": "2.4.0"},
            "machine": "x86_64", "cpu_count": 2,
        },
    )  # fmt: skip
