"""How far the verdict can be believed: many runs of good, poor and bad ensembles of every kind, beside the truth.

    python scripts/operating_characteristic.py -o docs/benchmarks/operating-characteristic.json --work DIR
        [--seeds 200] [--case NAME] [--ala2 MODEL]

Of every run (scripts/operating_cases.py) the verdict on one estimate, named beforehand, its 95 % interval and the truth
are kept, one line a seed in the working directory, from where the script goes on when it is called again. Asked for:
of the intervals called reliable at most 2 % miss the truth by more than three half-widths, 90 to 98 % of them hold it,
and at most 5 % of good runs are refused. Figures of the report are left out, since drawing them takes longer than all
the rest.
"""

import argparse
import json
import math
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from operating_cases import CASES, Case, Peptide

from molgen.files import write_atomically
from molgen.workflows import reweight_conclusion

MISSED = 3.0
"""Half-widths of an interval beyond which a miss is a gross one."""
WORDS = ("reliable", "caution", "refused", "not joined")
REPORT_EVERY = 20


def one_line(case: Case, record: Mapping[str, Any] | None, seed: int) -> dict[str, Any]:
    """What is kept of a run."""
    if record is None:
        return {"seed": seed, "verdict": "not joined"}
    estimate = record["delta_f"][case.quantity]
    verdict = record["estimates"][f"delta_f:{case.quantity}"]
    line = {key: estimate[key] for key in ("value", "low", "high", "verdict")}
    return {"seed": seed, **line, "ess_raw": record["ess_raw"], "k": record["pareto_k"], "why": verdict["reasons"][:1]}


def run_case(name: str, work: Path, seeds: int) -> Iterator[list[dict[str, Any]]]:
    """Lines of all seeds so far, as they come; those of an earlier call are read."""
    case, folder = CASES[name], work / _folder(name)
    if not (folder / "prepared").exists():
        shutil.rmtree(folder / "making", ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
        case.prepare(folder / "making")
        (folder / "making").rename(folder / "prepared")
    kept = folder / "lines.jsonl"
    lines = [json.loads(line) for line in kept.read_text().splitlines()] if kept.exists() else []
    for seed in range(len(lines), seeds):
        place = folder / "run"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        lines.append(one_line(case, case.run(folder / "prepared", place, seed), seed))
        with kept.open("a") as handle:
            handle.write(json.dumps(lines[-1]) + "\n")
        shutil.rmtree(place)
        if (seed + 1) % REPORT_EVERY == 0:
            yield lines
    yield lines


def _folder(name: str) -> str:
    return "".join(character if character.isalnum() else "-" for character in name)


def summary(case: Case, lines: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Verdicts of a case, and for each word the coverage and gross misses of the intervals that got it."""
    truth: float | None = case.truth()
    found = [line for line in lines if line["verdict"] != "not joined"]
    source = "quadrature"
    if truth is None and found:
        truth, source = float(np.mean([line["value"] for line in found])), f"the mean of {len(found)} runs"
    words = {word: sum(line["verdict"] == word for line in lines) for word in WORDS}
    record: dict[str, Any] = {
        "kind": case.kind,
        "quality": case.quality,
        "quantity": case.quantity,
        "truth": truth,
        "truth_from": source,
        "seeds": len(lines),
        "verdicts": {word: count for word, count in words.items() if count},
        "ess_raw_median": float(np.median([line["ess_raw"] for line in found])) if found else None,
    }
    for word in ("reliable", "caution", "refused"):
        chosen = [line for line in found if line["verdict"] == word and line["value"] is not None]
        record[word] = judged(chosen, truth) if chosen and truth is not None else None
    why: dict[str, int] = {}
    for line in found:
        if line["verdict"] == "refused":
            key = _kind_of_reason(line["why"][0])
            why[key] = why.get(key, 0) + 1
    return record | {"refused_because": why}


def _kind_of_reason(sentence: str) -> str:
    """The sentence without its numbers, so that equal reasons are counted together."""
    return " ".join("…" if any(character.isdigit() for character in word) else word for word in sentence.split())


def judged(lines: Sequence[Mapping[str, Any]], truth: float) -> dict[str, Any]:
    """How many intervals hold the truth, and how many miss it by more than three half-widths."""
    half = np.array([0.5 * (line["high"] - line["low"]) for line in lines])
    away = np.abs(np.array([line["value"] for line in lines]) - truth)
    inside = [line["low"] <= truth <= line["high"] for line in lines]
    return {
        "judged": len(lines),
        "covered": int(sum(inside)),
        "missed_by_three_half_widths": int(np.sum(away > MISSED * half)),
        "half_width_median": float(np.median(half)),
    }


def totals(cases: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The figures asked for, over all cases and by kind of ensemble."""
    result: dict[str, Any] = {}
    for kind in ("all", *dict.fromkeys(str(item["kind"]) for item in cases.values())):
        chosen = [item for item in cases.values() if kind in ("all", item["kind"])]
        reliable = [item["reliable"] for item in chosen if item["reliable"]]
        number = sum(item["judged"] for item in reliable)
        good = [item for item in chosen if item["quality"] == "good"]
        runs = sum(item["seeds"] for item in good)
        bad = [item for item in chosen if item["quality"] == "bad"]
        result[kind] = {
            "reliable": number,
            "covered_share": _ratio(sum(item["covered"] for item in reliable), number),
            "missed_share": _ratio(sum(item["missed_by_three_half_widths"] for item in reliable), number),
            "good_runs": runs,
            "good_refused_share": _ratio(sum(_refused(item) for item in good), runs),
            "bad_runs": sum(item["seeds"] for item in bad),
            "bad_refused_share": _ratio(sum(_refused(item) for item in bad), sum(item["seeds"] for item in bad)),
        }
    return result


def _refused(item: Mapping[str, Any]) -> int:
    return int(item["verdicts"].get("refused", 0)) + int(item["verdicts"].get("not joined", 0))


def _ratio(part: int, whole: int) -> float | None:
    value = part / whole if whole else math.nan
    return value if math.isfinite(value) else None


def main() -> None:
    """Run the cases asked for; what is known is written as it comes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--case", action="append", choices=list(CASES))
    parser.add_argument("--ala2", type=Path, help="a trained model of alanine-dipeptide")
    arguments = parser.parse_args()
    reweight_conclusion.write_report = lambda _, path: path.write_text("<html></html>")
    for name in arguments.case or CASES:
        if isinstance(CASES[name], Peptide) and not (arguments.work / _folder(name) / "prepared").exists():
            if arguments.ala2 is None:
                print(f"{name}: left out, since --ala2 names no model", flush=True)
                continue
            (arguments.work / _folder(name) / "prepared").mkdir(parents=True)
            (arguments.work / _folder(name) / "prepared" / "model").symlink_to(arguments.ala2.resolve())
        for lines in run_case(name, arguments.work, arguments.seeds):
            # Read anew each time: cases may be run side by side.
            stored = json.loads(arguments.output.read_text())["cases"] if arguments.output.exists() else {}
            stored[name] = summary(CASES[name], lines)
            ordered = {key: stored[key] for key in CASES if key in stored}
            record = {"cases": ordered, "totals": totals(ordered)}
            write_atomically(arguments.output, (json.dumps(record, indent=2) + "\n").encode())
        print(name, json.dumps({key: stored[name][key] for key in ("verdicts", "reliable", "ess_raw_median")}))


if __name__ == "__main__":
    main()
