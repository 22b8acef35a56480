"""Tables: what a row says, and which columns stay away."""

from molgen.reports import tables
from molgen.reports.data import ReportData
from molgen.reports.wording import NOT_GIVEN


def test_population_row_has_reference_z_and_verdict(report_data: ReportData) -> None:
    table = tables.population_table(report_data.result)
    assert table is not None
    assert table.rows[0] == (
        "alpha_l", "2.09", "1.83 to 2.35", "1.98", "1.90 to 2.06", "0.71", "246", "0.38", "△ caution",
    )  # fmt: skip


def test_population_table_without_reference_has_no_such_columns() -> None:
    table = tables.population_table({"populations": {"a": {"value": 0.5, "low": 0.4, "high": 0.6, "reference": None}}})
    assert table is not None
    assert table.columns == ("State", "Population / %", "95 % interval", "Effective samples", "k̂", "Verdict")
    assert table.rows == (("a", "50.0", "40.0 to 60.0", NOT_GIVEN, NOT_GIVEN, NOT_GIVEN),)


def test_free_energy_in_both_units() -> None:
    # kT at 300 K is 2.4943 kJ/mol.
    difference = {"a->b": {"value": 2.0, "low": 1.0, "high": 3.0}}
    table = tables.free_energy_table({"temperature_k": 300.0, "delta_f": difference})
    assert table is not None
    assert table.rows == (("a → b", "2.0", "1.0 to 3.0", "5.0", "2.5 to 7.5"),)
    assert "Verdict" not in table.columns


def test_free_energy_takes_its_verdict_from_the_estimates() -> None:
    result = {"delta_f": {"a->b": {"value": 1.0}}, "estimates": {"delta_f:a->b": {"verdict": "refused"}}}
    table = tables.free_energy_table(result)
    assert table is not None
    assert table.columns == ("From → to", "ΔF / kT", "Verdict")
    assert table.rows == (("a → b", "1.00", "✕ refused"),)


def test_weight_table_shows_raw_ess_first_and_the_threshold(report_data: ReportData) -> None:
    rows = tables.weight_table(report_data.result).rows
    assert rows[0][:2] == ("Raw ESS (Kish)", "61.3\u00a0% (57.1 to 64.2)")
    assert ("Pareto k̂", "0.18", "must stay below 0.70") in rows
    assert ("Forward ESS", NOT_GIVEN, "needs independent equilibrium frames; none given") in rows


def test_audit_says_failed_in_words() -> None:
    table = tables.audit_table({"audit": {"rows": 64, "checks": [{"name": "log q", "passed": False, "detail": "0.3"}]}})
    assert table is not None
    assert table.rows == (("log q", "✕ failed", "0.3"),)


def test_evaluations_are_summed() -> None:
    table = tables.evaluation_table({"evaluations": {"data": 1000, "training": 20, "sampling": 3, "reweighting": 4}})
    assert table is not None
    assert table.rows[-1][:2] == ("total", "1\u202f027")


def test_distances_stand_beside_their_floor(report_data: ReportData) -> None:
    table = tables.distance_table(report_data.result)
    assert table is not None
    assert table.rows[0] == ("E-W2 (energies, kT)", "0.172", "0.141")


def test_provenance_is_flattened() -> None:
    table = tables.provenance_table({"versions": {"numpy": "2"}, "files": ["a", "b"], "seed": 7, "t": 0.5, "x": None})
    assert table is not None
    assert table.rows == (("versions.numpy", "2"), ("files", "a b"), ("seed", "7"), ("t", "0.5"), ("x", NOT_GIVEN))


def test_states_are_told_by_their_conditions() -> None:
    table = tables.state_table({"states": {"s1": "phi < 0deg", "s2": "otherwise"}})
    assert table is not None
    assert table.rows == (("s1", "phi < 0deg"), ("s2", "otherwise"))
    assert not table.numeric
    assert tables.state_table({}) is None
