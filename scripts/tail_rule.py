#!/usr/bin/env python3
"""May a run pass whose k̂ is too high, if its tail holds little weight? On known means: docs/benchmarks/tail-rule.json.

    python scripts/tail_rule.py run --seed 1 && python scripts/tail_rule.py table

The milder rule: k̂ above its threshold refuses only if the weight that one run in twenty would bring, the quantile
1 - 1/(20 n) of the fitted tail, is more than ``LIMIT`` of all. The mean of 20,000 weights is estimated 200 times a case
with its interval of 95 %; a rule is sound if the runs it lets pass hold the mean in about 95 % of cases. Tails: draws
of a lognormal of spread 0.2, a share of which has a generalised Pareto number added, cut at ``top`` times the mean, as
weights of bounded energies are; and plain lognormals.
"""

import argparse
import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np

from molgen.reweighting.pareto import generalised_pareto_fit, pareto_threshold, tail_length

OUTPUT = Path(__file__).resolve().parent.parent / "docs" / "benchmarks" / "tail-rule.json"
N, REPEATS, LIMIT = 20_000, 200, 0.05
Draw = Callable[[np.random.Generator], np.ndarray]


def pareto_case(share: float, k: float, top: float, scale: float = 0.5) -> tuple[Draw, float]:
    """Draws of weights of which ``share`` have a tail of index k, and their exact mean."""
    least = (1.0 + k * top / scale) ** (-1.0 / k)

    def draw(generator: np.random.Generator) -> np.ndarray:
        w = generator.lognormal(-0.02, 0.2, N)
        chosen = generator.random(N) < share
        u = least + (1.0 - least) * generator.random(int(chosen.sum()))
        w[chosen] += scale * (u**-k - 1.0) / k
        return w

    return draw, 1.0 + share * scale / k * ((1.0 - least ** (1.0 - k)) / (1.0 - k) / (1.0 - least) - 1.0)


def lognormal_case(spread: float) -> tuple[Draw, float]:
    """Lognormal weights of mean 1."""
    return lambda generator: generator.lognormal(-0.5 * spread**2, spread, N), 1.0


def look(w: np.ndarray) -> tuple[float, float, float, float]:
    """k̂, the share of the weight that one run in twenty would bring, the largest share, Kish's effective number."""
    values = np.sort(w)
    count = tail_length(len(w))
    cutoff = values[-count - 1]
    exceedances = values[-count:] - cutoff
    k, sigma = generalised_pareto_fit(exceedances[exceedances > 0.0])
    more = cutoff + sigma / k * ((count * 20.0) ** k - 1.0)  # P(y > quantile) M / n = 1 / (20 n)
    return k, more / (w.sum() + more), values[-1] / w.sum(), w.sum() ** 2 / (w**2).sum()


def judge(w: np.ndarray) -> str:
    """What becomes of a run: ``refused otherwise`` (few effective draws, one large weight) is not the question."""
    k, more, largest, effective = look(w)
    if effective < 100 or largest > 0.05:
        return "refused otherwise"
    if k <= pareto_threshold(len(w)):
        return "k̂ in order"
    return "milder rule passes" if more <= LIMIT else "both refuse"


def run(seed: int) -> None:
    """All cases, as JSON."""
    cases = {
        f"share {share:g}, k {k:g}, top {top:g}": pareto_case(share, k, top)
        for k in (0.7, 0.9, 1.2)
        for share in (0.001, 0.01, 0.1)
        for top in (1e2, 1e4, 1e6)
    }
    cases |= {f"lognormal {spread:g}": lognormal_case(spread) for spread in (1.0, 1.3, 1.6, 2.0, 2.5)}
    generator = np.random.default_rng(seed)
    rows = []
    for name, (draw, mean) in cases.items():
        found: dict[str, list[float]] = {}
        for _ in range(REPEATS):
            w = draw(generator)
            half = 1.96 * w.std() / math.sqrt(N) / w.mean()
            found.setdefault(judge(w), []).append(abs(math.log(w.mean() / mean)) / half)
        outcome = {
            key: {"runs": len(off), "hold": int(np.sum(np.array(off) <= 1)), "gross": int(np.sum(np.array(off) > 3))}
            for key, off in found.items()
        }
        rows.append({"case": name, "outcome": outcome})
    OUTPUT.write_text(
        json.dumps({"seed": seed, "n": N, "repeats": REPEATS, "limit": LIMIT, "rows": rows}, indent=1) + "\n"
    )


def table() -> str:
    """The JSON as Markdown: runs that hold the mean, of all, by what became of them."""
    record = json.loads(OUTPUT.read_text())
    words = ("k̂ in order", "milder rule passes", "both refuse")
    lines = [f"| weights | {' | '.join(words)} |", "| --- | --- | --- | --- |"]
    for row in record["rows"]:
        cells = [row["outcome"].get(word) for word in words]
        shown = [f"{c['hold']} of {c['runs']} hold, {c['gross']} miss grossly" if c else "–" for c in cells]
        lines.append(f"| {row['case']} | {' | '.join(shown)} |")
    return "\n".join(lines)


def main() -> None:
    """Parse the command line and run one part."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = parser.add_subparsers(dest="part", required=True)
    parts.add_parser("run").add_argument("--seed", type=int, default=1)
    parts.add_parser("table")
    options = parser.parse_args()
    if options.part == "run":
        run(options.seed)
    print(table())


if __name__ == "__main__":
    main()
