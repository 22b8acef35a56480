"""Write the tables of docs/verdicts.md from docs/benchmarks/{faults,mutations,operating-characteristic}.json.

python scripts/verdict_tables.py
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parent.parent / "docs"
KINDS = ("spline", "Cartesian", "biased", "annealed", "combined")


def faults(found: Mapping[str, Mapping[str, Any]]) -> str:
    """A row a fault, a column a kind of ensemble; bold what is not as it should be."""
    kinds = [kind for kind in KINDS if kind in found]
    names = list(dict.fromkeys(name for kind in kinds for name in found[kind]))
    lines = ["| fault | " + " | ".join(kinds) + " |", "| --- |" + " --- |" * len(kinds)]
    for name in names:
        lines.append(f"| {name} | " + " | ".join(_word(found[kind].get(name)) for kind in kinds) + " |")
    reasons = [
        f"- {kind}, {name}: {item['reason']}"
        for kind in kinds
        for name, item in found[kind].items()
        if name != "none" and item["word"] is not None
    ]
    lines += ["", "The sentences that name the fault:", "", *reasons]
    return "\n".join(lines)


def _word(item: Mapping[str, Any] | None) -> str:
    if item is None:
        return "not run"
    if item["word"] is None:
        return "does not apply"
    return str(item["word"]) if item["as_it_should_be"] else f"**{item['word']}**"


def mutations(found: Mapping[str, Mapping[str, Any]]) -> str:
    """What was broken, where, and the test that noticed."""
    noticed = sum(bool(item["noticed"]) for item in found.values())
    lines = [
        f"{noticed} of {len(found)} patches are noticed.",
        "",
        "| fault | file | noticed by |",
        "| --- | --- | --- |",
    ]
    for item in found.values():
        by = f"`{item['by'].removeprefix('tests/')}`" if item["noticed"] else "**nothing**"
        what = item["what"].replace("|", "\\|")
        lines.append(f"| {what} | `{item['file'].removeprefix('molgen/')}` | {by} |")
    return "\n".join(lines)


def operating(found: Mapping[str, Any]) -> str:
    """Totals by kind, then a row a case."""
    lines = [
        "| ensembles | reliable intervals | hold the value | miss by three half-widths | good runs refused "
        "| bad runs refused |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for kind, item in found["totals"].items():
        cells = [f"{item['reliable']}", _percent(item["covered_share"]), _percent(item["missed_share"])]
        cells += [f"{_percent(item['good_refused_share'])} of {item['good_runs']}"]
        cells += [f"{_percent(item['bad_refused_share'])} of {item['bad_runs']}"]
        lines.append(f"| {kind} | " + " | ".join(cells) + " |")
    lines += [
        "",
        "| case | quality | runs | raw ESS | verdicts | reliable that hold | caution | refused | missed grossly |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, item in found["cases"].items():
        verdicts = ", ".join(f"{word} {number}" for word, number in item["verdicts"].items())
        judged = [item.get(word) for word in ("reliable", "caution", "refused")]
        cells = ["–" if one is None else f"{one['covered']} of {one['judged']}" for one in judged]
        gross = "/".join("–" if one is None else str(one["missed_by_three_half_widths"]) for one in judged)
        ess = _percent(item["ess_raw_median"])
        row = [name, item["quality"], str(item["seeds"]), ess, verdicts, *cells, gross]
        lines.append("| " + " | ".join(row) + " |")
    return "\n".join(lines)


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100.0 * value:.1f} %"


def main() -> None:
    """Replace what stands between the marks of each table whose figures are there."""
    page = DOCS / "verdicts.md"
    text = page.read_text()
    makers = {"faults": faults, "mutations": mutations, "operating": operating}
    for name, make in makers.items():
        source = DOCS / "benchmarks" / f"{'operating-characteristic' if name == 'operating' else name}.json"
        if source.exists():
            start = text.index(f"<!-- {name} -->") + len(f"<!-- {name} -->")
            end = text.index("<!-- end -->", start)
            text = text[:start] + "\n" + make(json.loads(source.read_text())) + "\n" + text[end:]
    page.write_text(text)


if __name__ == "__main__":
    main()
