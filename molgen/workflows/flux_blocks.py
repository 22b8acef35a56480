"""The crossings of a ``committor flux`` run as sums over independent stretches of its walkers."""

import numpy as np

from molgen.observables.boundary import A, B
from molgen.shooting.direct import other
from molgen.shooting.flux import Crossings
from molgen.shooting.lineages import independent_blocks
from molgen.shooting.routes import FluxBlocks
from molgen.shooting.stages import Stages

LEAST_BLOCKS = 100
"""Stretches that the walkers are cut into for the interval, if there are as many."""


def read_flux(stages: Stages, timestep: float) -> tuple[FluxBlocks | None, FluxBlocks | None]:
    """Sums over independent stretches of the walkers of A and of B."""
    rows: dict[int, list[tuple[int, float, float, float]]] = {A: [], B: []}
    for task, content in stages.contents():
        found = Crossings.of_content(content)
        goal = other(int(content["origin"]))
        reached = (content["ends"] == goal).mean(axis=1)
        for walker, steps in enumerate(found.steps):
            mine = found.walker == walker
            row = (task * 1_000_000 + walker, float(mine.sum()), float(reached[mine].sum()), steps * timestep)
            rows[int(content["origin"])].append(row)
    blocks: list[FluxBlocks | None] = []
    for state in (A, B):
        if not rows[state]:
            blocks.append(None)
            continue
        number, crossings, arrived, time = (np.array(column) for column in zip(*rows[state], strict=True))
        block = independent_blocks(number.astype(np.int64), LEAST_BLOCKS)
        blocks.append(FluxBlocks.of(crossings, arrived, time, block))
    return blocks[0], blocks[1]
