"""The terms of which a formula for logit q can be made: powers, cosines and sines of variables, and products of two."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from molgen.arrays import FloatArray
from molgen.observables.base import CollectiveVariable

SHOWN_DIGITS = 3
_POWERS = {1: "", 2: "²", 3: "³"}


@dataclass(frozen=True, eq=False)
class Terms:
    """``values`` (n, T) of every term at n configurations, and their ``names``.

    Of a periodic variable cos and sin of it and of twice it; of any other, scaled to a mean of 0 and a deviation of 1
    (``scaled`` says how), the first three powers; products of the first-order terms of every two variables.
    """

    names: tuple[str, ...]
    values: FloatArray
    scaled: dict[str, str]


def terms_of(values: Mapping[str, FloatArray], variables: Mapping[str, CollectiveVariable]) -> Terms:
    """The terms of ``variables`` at ``values`` (n,) of each; one that is the same everywhere gives none."""
    names: list[str] = []
    columns: list[FloatArray] = []
    first: dict[str, list[tuple[str, FloatArray]]] = {}
    scaled: dict[str, str] = {}
    for name, variable in variables.items():
        own = values[name]
        if variable.periodic:
            simple = [(f"cos({name})", np.cos(own)), (f"sin({name})", np.sin(own))]
            more = [(f"cos(2 {name})", np.cos(2.0 * own)), (f"sin(2 {name})", np.sin(2.0 * own))]
        else:
            mean, deviation = float(own.mean()), float(own.std())
            if deviation < 1e-9:
                continue
            letter = f"[{name}]"
            unit = f" {variable.unit}" if variable.unit else ""
            scaled[letter] = f"({name} − {mean:.{SHOWN_DIGITS}g}{unit}) / {deviation:.{SHOWN_DIGITS}g}{unit}"
            reduced = (own - mean) / deviation
            simple = [(letter, reduced)]
            more = [(f"{letter}{_POWERS[power]}", reduced**power) for power in (2, 3)]
        first[name] = simple
        names += [label for label, _ in simple + more]
        columns += [column for _, column in simple + more]
    for one, other in combinations(first.values(), 2):
        for label, column in one:
            for label_too, column_too in other:
                names.append(f"{label} {label_too}")
                columns.append(column * column_too)
    kept = [index for index, column in enumerate(columns) if column.std() > 1e-9]
    empty = np.zeros((len(next(iter(values.values()), ())), 0))
    return Terms(
        tuple(names[index] for index in kept),
        np.stack([columns[index] for index in kept], axis=1) if kept else empty,
        scaled,
    )
