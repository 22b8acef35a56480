"""The release card: what a reader of a published ensemble has to know, on one page."""

from collections.abc import Mapping
from typing import Any

from molgen.reports.tables import Table
from molgen.reports.wording import NOT_GIVEN, as_number, count, fixed, percent, significant

_REDONE = ("command", "seed", "system_fingerprint", "model_sha256")


def release_tables(result: Mapping[str, Any], provenance: Mapping[str, Any]) -> tuple[Table, ...]:
    """Fidelity, violations, what was not tested, and how to make it again; empty where nothing was drawn."""
    if not as_number(result.get("n")):
        return ()
    untested = not_tested(result)
    known = [(name.replace("_", " "), str(provenance[name])) for name in _REDONE if provenance.get(name) is not None]
    if result.get("seed") is not None and "seed" not in provenance:
        known.append(("seed", str(result["seed"])))
    tables = [
        Table("Fidelity", ("What", "Finding", "Beside it"), _fidelity(result), numeric=False),
        Table("Violations", ("What", "Finding", "Beside it"), _violations(result), numeric=False),
        Table("Not tested", ("What", "Why it matters"), untested, numeric=False),
    ]
    if known:
        tables.append(Table("To make it again", ("What", "Value"), tuple(known), numeric=False))
    return tuple(table for table in tables if table.rows)


def _fidelity(result: Mapping[str, Any]) -> tuple[tuple[str, str, str], ...]:
    distances = result.get("distances") or {}
    worst = f"k̂ {fixed(result.get('pareto_k'), 2)}"
    rows = [
        ("Raw effective sample size", percent(result.get("ess_raw")), f"of {count(result.get('n'))} draws; {worst}")
    ]
    for name, item in (result.get("populations") or {}).items():
        z = as_number(item.get("z"))
        if z is None:
            continue
        difference = as_number(item["value"]) or 0.0
        reference = as_number((item.get("reference") or {}).get("value")) or 0.0
        rows.append(
            (
                f"Population of {name}, error",
                f"{fixed(100.0 * (difference - reference), 2)} percentage points",
                f"z = {fixed(z, 2)} with both errors",
            )
        )
    for name, item in (distances.get("jsd") or {}).items():
        rows.append((f"Jensen-Shannon divergence along {name}", significant(item["value"], 2), _floor(item)))
    for key, name in (("e_w2", "Energies, E-W2 / kT"), ("t_w2", "Torsions, T-W2 / rad")):
        if distances.get(key):
            rows.append((name, fixed(distances[key].get("value"), 3), _floor(distances[key])))
    return tuple(rows)


def _floor(item: Mapping[str, Any]) -> str:
    floor = as_number(item.get("floor"))
    return "" if floor is None else f"{significant(floor, 2)} between two halves of the reference"


def _violations(result: Mapping[str, Any]) -> tuple[tuple[str, str, str], ...]:
    n = as_number(result.get("n"))
    outside = as_number(result.get("n_out_of_domain"))
    if not n or outside is None:
        return ()
    failed = as_number(result.get("n_non_finite"))
    geometry = result.get("geometry") or {}
    rows = [
        ("Outside the domain", percent(outside / n, 2), f"{count(outside)} of {count(n)} draws, all of weight 0"),
        ("Energy not finite", percent((failed or 0.0) / n, 2), f"{count(failed)} draws, all of weight 0"),
    ]
    rows += [("Where", str(place), "") for place in geometry.get("places") or ()]
    bonds = geometry.get("constraints") or {}
    if bonds.get("number"):
        deviation = significant(bonds.get("largest_deviation_nm"), 2)
        rows.append(("Fixed distances", f"off by at most {deviation} nm", f"{count(bonds['number'])} in every draw"))
    elif geometry:
        rows.append(("Fixed distances", "none", "the system holds no distance fixed"))
    return tuple(rows)


def not_tested(result: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """What was not tested, each with why that matters."""
    coverage = result.get("coverage") or {}
    rows = []
    if not coverage.get("tested"):
        rows.append(("Coverage", "A state that the model never draws would not show."))
    elif coverage.get("by") == "training frames":
        rows.append(("States beyond the training frames", "What the exploring dynamics never found cannot be missed."))
    if not result.get("reference"):
        rows.append(("Agreement with independent dynamics", "No reference was given or is shipped with the system."))
    elif as_number(result.get("ess_forward")) is None:
        rows.append(("Forward effective sample size", "It needs a reference declared as such (--reference)."))
    checks = {str(item.get("name")).split(" of ")[0]: item for item in (result.get("audit") or {}).get("checks") or ()}
    if result.get("audit") and not {"log_q", "bias", "evidence"} & set(checks):
        rows.append(("The log-densities", "The model was not found, so that none was computed again."))
    if result.get("audit") and "latent numbers" not in checks:
        rows.append(("Whether all draws are there", "Latent numbers are compared for plain draws of a flow alone."))
    if not result.get("states"):
        rows.append(("States", "No state is declared or was found, so that no population was judged."))
    experiment = result.get("restraints")
    if not experiment:
        rows.append(("The force field", "Nothing here compares it with experiment; the target is taken as it is."))
    rows.append(("Kinetics", "Weights are of equilibrium; they say nothing of how fast states interchange."))
    return tuple(rows) or ((NOT_GIVEN, ""),)
