"""Rows in blocks: estimates are the same, intervals know of the blocks."""

import math
from dataclasses import replace

import numpy as np

from molgen.observables.states import build_states
from molgen.observables.table import build_cvs
from molgen.reweighting.coverage import Coverage
from molgen.reweighting.diagnostics import describe, describe_states
from molgen.reweighting.verdict import Evidence
from molgen.systems.loading import load_system
from molgen.workflows.reweight_estimates import compute_profiles, estimate_all
from molgen.workflows.reweight_rows import RowTable
from molgen.workflows.reweight_settings import ProfileSettings

COPIES = 25


def _table(seed: int) -> RowTable:
    """400 values of x, each ``COPIES`` times: 10,000 rows that are worth 400."""
    x = np.repeat(np.random.default_rng(seed).normal(0.2, 1.0, 400), COPIES)
    n = len(x)
    label = np.where(x < 0.0, 0, 1).astype(np.int64)
    return RowTable(np.zeros(n), np.zeros(n), np.zeros(n), np.ones(n, dtype=np.bool_), label, {"x": x})


def test_rows_without_blocks_are_independent() -> None:
    table = _table(1)
    assert table.block is None
    assert table.rows.block is None
    np.testing.assert_allclose(table.rows.share, 1.0 / len(table.log_weight))


def test_copies_in_blocks_widen_every_interval_by_the_root_of_their_number() -> None:
    table = _table(1)
    blocked = replace(table, block=np.repeat(np.arange(400), COPIES))
    np.testing.assert_array_equal(blocked.rows.share, table.rows.share)
    system = load_system("double-well")
    states, cvs = build_states(system), build_cvs(system)
    by_state = describe_states(states.names, table.log_weight, table.label)
    evidence = Evidence(describe(table.log_weight), (), Coverage(tested=False), audit_passed=True)
    alone, together = (estimate_all(item, states, cvs, by_state, evidence, None) for item in (table, blocked))

    factor = math.sqrt(COPIES)
    for kind, key in (("delta_f", "right->left"), ("expectations", "x")):
        first, second = (getattr(item, kind)[key] for item in (alone, together))
        assert first["value"] == second["value"]
        ratio = (second["high"] - second["low"]) / (first["high"] - first["low"])
        assert abs(ratio / factor - 1.0) < 0.01
    settings = ProfileSettings(bins_1d=5)
    first, second = (compute_profiles(item, states, cvs, None, settings)["profiles_1d"][0] for item in (table, blocked))
    np.testing.assert_array_equal(first["free_energy"], second["free_energy"])
    known = np.isfinite(first["free_energy"])
    assert known.any()
    ratio = (second["high"] - second["low"])[known] / (first["high"] - first["low"])[known]
    np.testing.assert_allclose(ratio, factor, rtol=0.01)
