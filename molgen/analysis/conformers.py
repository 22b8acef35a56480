"""Conformers: basins of the torsions of weighted frames, with populations, free energies and representatives.

The basins are those of :mod:`molgen.observables.basins`, with room for many more of them than states need. A
representative is the medoid: the frame whose torsions are nearest, on average by weight, to those of its conformer, by
the distance Σ 1 - cos(Δ). Only frames of at least average weight within the conformer can be it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from molgen.analysis.free_energy import free_energy_difference
from molgen.analysis.intervals import Estimate, WeightedRows
from molgen.analysis.populations import population
from molgen.arrays import FloatArray, IntArray
from molgen.observables.base import CollectiveVariable
from molgen.observables.basins import find_basins
from molgen.weights import effective_count, normalised

MAX_CONFORMERS = 64
MIN_SHARE = 0.0
"""Conformers may be as rare as the least number of frames allows."""
ENOUGH_EFFECTIVE = 100.0
"""Below this many effective samples a conformer is flagged: its population is a guess."""


@dataclass(frozen=True)
class Conformer:
    """One conformer: its frames' share of the weight, F relative to the first in kT, and its medoid's row.

    ``ess`` is Kish's number of its frames, ``few`` whether that is below ``ENOUGH_EFFECTIVE``.
    """

    name: str
    where: str
    population: Estimate
    free_energy: Estimate
    ess: float
    draws: int
    representative: int

    @property
    def few(self) -> bool:
        """Whether there are too few effective samples to believe the figures."""
        return self.ess < ENOUGH_EFFECTIVE

    def to_json(self, kt_kj_per_mol: float) -> dict[str, Any]:
        """Plain data, the free energy in both units."""
        free = self.free_energy.to_json()
        in_kj = {key: None if value is None else value * kt_kj_per_mol for key, value in free.items()}
        return {
            "name": self.name,
            "where": self.where,
            "population": self.population.to_json(),
            "free_energy_kt": free,
            "free_energy_kj_per_mol": in_kj,
            "ess": self.ess,
            "few_samples": self.few,
            "draws": self.draws,
            "representative": self.representative,
        }


def find_conformers(
    values: Mapping[str, FloatArray],
    cvs: Mapping[str, CollectiveVariable],
    log_weight: FloatArray,
    *,
    max_conformers: int = MAX_CONFORMERS,
) -> tuple[Conformer, ...]:
    """Conformers c1, c2 … of frames with torsions ``values`` (n,) and ``log_weight`` (n,), the most populated first.

    Frames without a weight belong to none. Nothing is random. A single one where no barrier parts the frames; empty
    without any weight.
    """
    share = normalised(log_weight)
    row = np.flatnonzero(share > 0.0)
    for name in cvs:
        row = row[np.isfinite(values[name][row])]
    if len(row) == 0:
        return ()
    chosen = {name: values[name][row] for name in cvs}
    leaves = find_basins(chosen, cvs, weight=share[row], max_states=max_conformers, min_share=MIN_SHARE)
    label = np.full(len(share), -1, dtype=np.int64)
    members = [row[leaf.row] for leaf in leaves]
    order = sorted(range(len(leaves)), key=lambda k: (-float(np.sum(share[members[k]])), k))
    for number, leaf in enumerate(order):
        label[members[leaf]] = number
    rows = WeightedRows(share)
    units = {name: "deg" if cv.periodic else "" for name, cv in cvs.items()}
    return tuple(
        Conformer(
            name=f"c{number + 1}",
            where=leaves[leaf].where(units),
            population=population(rows, label, number),
            free_energy=free_energy_difference(rows, label, 0, number),
            ess=effective_count(log_weight[members[leaf]]),
            draws=len(members[leaf]),
            representative=_medoid(members[leaf], values, cvs, share),
        )
        for number, leaf in enumerate(order)
    )


def _medoid(
    rows: IntArray, values: Mapping[str, FloatArray], cvs: Mapping[str, CollectiveVariable], share: FloatArray
) -> int:
    """The row with the least weighted distance to all ``rows``, among those of at least their mean weight.

    Σ_j w_j (1 - cos(θ_i - θ_j)) is W - C cos θ_i - S sin θ_i with the weighted sums C and S of cosines and sines; a
    coordinate that is not periodic takes part by its squared distance from the mean, over its variance.
    """
    weight = share[rows]
    total = float(np.sum(weight))
    distance = np.zeros(len(rows))
    for name, cv in cvs.items():
        x = values[name][rows]
        if cv.periodic:
            cosine, sine = np.cos(x), np.sin(x)
            distance += 1.0 - (cosine * (weight @ cosine) + sine * (weight @ sine)) / total
        else:
            mean = float(weight @ x) / total
            variance = float(weight @ (x - mean) ** 2) / total
            distance += (x - mean) ** 2 / max(variance, 1e-300)
    candidates = np.flatnonzero(weight >= np.mean(weight) * (1.0 - 1e-12))
    return int(rows[candidates[np.argmin(distance[candidates])]])
