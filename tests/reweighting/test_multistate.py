"""MBAR on harmonic oscillators, whose free energies are known: f_k = ½ ln(k_k/2π) for exp(-k_k (x - c_k)²/2)."""

import numpy as np
import pytest

from molgen.errors import InputError
from molgen.reweighting.bootstrap import replicates
from molgen.reweighting.mixture import components, log_mixture, responsibilities, shared_rows
from molgen.reweighting.multistate import confirm, refine, solve_free_energies

CENTRES = np.array([0.0, 1.0, 2.0, 3.0])
STIFFNESS = np.array([1.0, 2.0, 4.0, 8.0])
EXACT = 0.5 * np.log(STIFFNESS / (2.0 * np.pi))


def _oscillators(sizes: list[int], seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """-u_k of all rows (n, 4), the counts, and which each row is of."""
    generator = np.random.default_rng(seed)
    parts = zip(CENTRES, STIFFNESS, sizes, strict=True)
    x = np.concatenate([generator.normal(c, 1.0 / np.sqrt(k), n) for c, k, n in parts])
    columns = -0.5 * STIFFNESS * (x[:, None] - CENTRES) ** 2
    return columns, np.array(sizes, dtype=np.float64), np.repeat(np.arange(4), sizes)


def test_free_energies_of_harmonic_oscillators() -> None:
    columns, counts, origin = _oscillators([2000, 1500, 1000, 2500], 3)
    none = np.zeros(4, dtype=np.bool_)
    found = solve_free_energies(columns, counts, none)
    boot = replicates(
        columns,
        counts,
        none,
        found,
        origin,
        np.arange(len(origin)),
        columns[:, 0],
        repeats=60,
        generator=np.random.default_rng(1),
    )
    error = boot.free_energies.std(axis=0, ddof=1)
    # Five standard errors of three differences: a false alarm in half a million seeds.
    assert np.all(np.abs(found - (EXACT - EXACT[0]))[1:] < 5.0 * error[1:])
    assert np.all(error[1:] < 0.1)
    assert found[0] == 0.0


def test_pymbar_finds_the_same_solution_from_its_own_start() -> None:
    from pymbar import MBAR

    columns, counts, _ = _oscillators([400, 300, 500, 200], 5)
    none = np.zeros(4, dtype=np.bool_)
    found = solve_free_energies(columns, counts, none)
    assert found == pytest.approx(MBAR(-columns.T, counts.astype(int), solver_protocol="robust").f_k, abs=1e-5)
    assert responsibilities(columns + found, counts).sum(axis=0) == pytest.approx(counts, rel=1e-5)
    confirm(columns, counts, none, found)
    with pytest.raises(InputError, match="did not converge"):
        confirm(columns, counts, none, found + np.array([0.0, 0.0, 0.0, 0.1]))


def test_energies_of_hundreds_of_kt_are_no_trouble() -> None:
    columns, counts, _ = _oscillators([500, 500, 500, 500], 9)
    pinned = np.array([True, False, False, False])
    columns[:, 0] += EXACT[0]
    near = solve_free_energies(columns, counts, pinned)
    far = columns + np.array([0.0, 900.0, -700.0, 300.0])
    assert solve_free_energies(far, counts, pinned) == pytest.approx(near - np.array([0, 900, -700, 300]), abs=1e-4)


def test_the_errors_of_the_bootstrap_are_those_of_pymbar() -> None:
    from pymbar import MBAR

    columns, counts, origin = _oscillators([1500] * 4, 8)
    none = np.zeros(4, dtype=np.bool_)
    found = solve_free_energies(columns, counts, none)
    boot = replicates(
        columns,
        counts,
        none,
        found,
        origin,
        np.arange(len(origin)),
        columns[:, 0],
        repeats=200,
        generator=np.random.default_rng(2),
    )
    known = MBAR(-columns.T, counts.astype(int), solver_protocol="robust").compute_free_energy_differences()[
        "dDelta_f"
    ][0]
    # A standard deviation of 200 replicates is known to 5 %.
    assert boot.free_energies.std(axis=0, ddof=1)[1:] == pytest.approx(known[1:], rel=0.25)


def test_known_densities_are_pinned_and_several_of_them_count_as_one_mixture() -> None:
    columns, counts, _ = _oscillators([3000, 2000, 2000, 1000], 4)
    pinned = np.array([True, False, True, False])
    columns[:, pinned] += EXACT[pinned]  # normalised: a model's log-density
    found = solve_free_energies(columns, counts, pinned)
    assert found[pinned].tolist() == [0.0, 0.0]
    assert found[~pinned] == pytest.approx(EXACT[~pinned], abs=0.1)
    shifted = columns.copy()
    shifted[:, 1] -= 123.0  # a constant in a reduced potential goes into its f
    assert solve_free_energies(shifted, counts, pinned)[1] == pytest.approx(found[1] + 123.0, abs=1e-4)


def test_with_every_density_known_nothing_issolve_free_energies() -> None:
    columns, counts, _ = _oscillators([10, 10, 10, 10], 4)
    assert solve_free_energies(columns, counts, np.ones(4, dtype=np.bool_)).tolist() == [0.0] * 4


def test_samples_with_nothing_in_common_are_seen_although_a_solver_answers() -> None:
    generator = np.random.default_rng(2)
    for distance in (8.0, 10.0, 30.0):
        x = np.concatenate([generator.normal(c, 1.0, 500) for c in (0.0, distance)])
        columns = -0.5 * (x[:, None] - np.array([0.0, distance])) ** 2
        counts, none = np.array([500.0, 500.0]), np.zeros(2, dtype=np.bool_)
        start = solve_free_energies(columns, counts, none)
        share = responsibilities(columns + start, counts)
        assert components(shared_rows(share)).tolist() == [0, 1]


def test_equations_without_a_solution_are_refused() -> None:
    columns = np.array([[0.0, -np.inf]] * 5 + [[-np.inf, -np.inf]] * 5)
    with pytest.raises(InputError, match="did not converge"):
        refine(columns, np.array([5.0, 5.0]), np.array([True, False]), np.zeros(2))


def test_replicates_of_a_mixture_have_the_spread_of_repeated_draws() -> None:
    """The error of E[x] under N(1, 1) by the mixture of N(0, 1.5²) and N(2, 1): bootstrap against 300 repetitions."""
    centres, widths, sizes = np.array([0.0, 2.0]), np.array([1.5, 1.0]), (300, 100)
    pinned = np.ones(2, dtype=np.bool_)

    def draw(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        generator = np.random.default_rng(seed)
        x = np.concatenate([generator.normal(c, w, n) for c, w, n in zip(centres, widths, sizes, strict=True)])
        columns = -0.5 * ((x[:, None] - centres) / widths) ** 2 - np.log(widths)
        return x, columns, -0.5 * (x - 1.0) ** 2

    counts = np.array(sizes, dtype=np.float64)
    means = []
    for seed in range(300):
        x, columns, target = draw(seed)
        weight = np.exp(target - log_mixture(columns, counts))
        means.append(weight @ x / weight.sum())
    x, columns, target = draw(1000)
    boot = replicates(
        columns,
        counts,
        pinned,
        np.zeros(2),
        np.repeat([0, 1], sizes),
        np.arange(len(x)),
        target,
        repeats=300,
        generator=np.random.default_rng(5),
    )
    weight = np.exp(target - log_mixture(columns, counts))
    share = weight / weight.sum()
    values = boot.relative @ (share * x)
    assert values.std() == pytest.approx(np.std(means), rel=0.25)
    assert np.mean(means) == pytest.approx(1.0, abs=5 * np.std(means) / np.sqrt(300))
