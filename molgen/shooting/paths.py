r"""Transition path sampling by two-way shooting: a Markov chain of transition paths, weighted as dynamics makes them.

A path is the frames x_1 … x_m between its last look in one state and its first in the other, at the stride of the
dynamics. A move picks the frame x_i with chance w(x_i)/Σ w, draws new velocities v from Maxwell-Boltzmann, and follows
v and −v to a state each. If these differ, the two legs are a new path through the same frame, accepted with

    min(1, Σ_old w / Σ_new w),

exact for any w that depends on the frame alone and stays what it is: m_old/m_new where w = 1 (C. Dellago, P. G.
Bolhuis, F. S. Csajka and D. Chandler, J. Chem. Phys. 108, 1964 (1998), doi:10.1063/1.475562; H. Jung, K. Okazaki and
G. Hummer, J. Chem. Phys. 147, 152716 (2017), doi:10.1063/1.4997378). Paths of both directions are the same paths turned
round, so that both are accepted, and kept from A to B.

Where w = 1 the chance u of the acceptance is drawn first: a path of more than m_old/u frames is rejected anyway, so
that a leg may be given up there and no path is too long.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import numpy as np

from molgen.arrays import BoolArray, FloatArray, IntArray
from molgen.dynamics.passage import CRASHED, EveryLook, PassageDynamics, PhasePoints
from molgen.errors import InputError
from molgen.observables.boundary import NEITHER, A, B
from molgen.seeds import child_seed, numpy_generator
from molgen.shooting.stages import Content

_MOST_ATTEMPTS = 200
"""Pairs of shots for the first path of each chain."""


class Selection(Protocol):
    """How likely a frame of a path is to be shot from, as a picklable value that never changes."""

    @property
    def uniform(self) -> bool:
        """Whether every frame has the weight 1."""
        ...

    def weights(self, frames: FloatArray) -> FloatArray:
        """w > 0 (m,) of frames (m, N, D) between the states."""
        ...


@dataclass(frozen=True)
class UniformSelection:
    """Every frame alike."""

    uniform: bool = True

    def weights(self, frames: FloatArray) -> FloatArray:
        """See :class:`Selection`."""
        return np.ones(len(frames))


@dataclass(frozen=True, eq=False)
class Path:
    """Frames (m, N, D) between the states, from A to B; where it enters A (turned round) and where it enters B.

    ``weights`` (m,) are those of the selection.
    """

    frames: FloatArray
    weights: FloatArray
    in_a: PhasePoints
    in_b: PhasePoints

    def __len__(self) -> int:
        return len(self.frames)


@dataclass(frozen=True, eq=False)
class Moves:
    """What became of moves, one value a move and chain (M, W).

    ``length`` is the number of frames of the path after the move, ``trial`` that of the path that was tried, 0 where
    the two legs made none; ``accepted`` says whether it was taken, ``too_long`` whether a leg was given up before it
    was clear that the path would be rejected. ``steps`` were spent in all; ``crashed`` legs left the finite numbers.
    """

    length: IntArray
    trial: IntArray
    accepted: BoolArray
    too_long: BoolArray
    steps: int
    crashed: int


def first_paths(
    dynamics: PassageDynamics, selection: Selection, candidates: FloatArray, chains: int, limit: int, seed: int
) -> tuple[list[Path], int]:
    """A transition path for each of ``chains`` chains, shot from configurations drawn of ``candidates``; the steps.

    ``InputError`` if none is found in many attempts.
    """
    found: dict[int, Path] = {}
    steps = 0
    for attempt in range(_MOST_ATTEMPTS):
        waiting = [chain for chain in range(chains) if chain not in found]
        if not waiting:
            return [found[chain] for chain in range(chains)], steps
        generator = numpy_generator(seed, "first", attempt)
        positions = candidates[generator.integers(len(candidates), size=len(waiting))]
        legs = shoot_legs(dynamics, positions, limit, generator, child_seed(seed, "first legs", attempt))
        steps += int(legs.steps.sum())
        for row, chain in enumerate(waiting):
            path = legs.path(row, positions[row], selection)
            if path is not None:
                found[chain] = path
    raise InputError(
        f"No transition path was found in {_MOST_ATTEMPTS} pairs of shots from {len(candidates)} configurations.",
        "Give configurations nearer to the middle, or shots among which pairs ended in both states.",
    )


def make_moves(
    dynamics: PassageDynamics, selection: Selection, paths: list[Path], moves: int, limit: int, seed: int
) -> tuple[list[Path], Moves, list[tuple[int, int, Path]]]:
    """``moves`` moves of each chain from its path in ``paths``: the last paths, what happened, every accepted path.

    Accepted paths come as move, chain and path. No leg is longer than ``limit`` steps.
    """
    paths = list(paths)
    shape = (moves, len(paths))
    length, trial = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    accepted, too_long = np.zeros(shape, np.bool_), np.zeros(shape, np.bool_)
    kept: list[tuple[int, int, Path]] = []
    steps = crashed = 0
    for move in range(moves):
        generator = numpy_generator(seed, "move", move)
        positions = np.stack([path.frames[_picked(path.weights, generator)] for path in paths])
        chance = generator.random(len(paths))
        most = [len(path) / max(u, 1e-12) for path, u in zip(paths, chance, strict=True)]
        # Past this many looks each path would be rejected, whatever became of it.
        enough = int(min(limit // dynamics.check_every + 1, max(most) + 1)) if selection.uniform else limit
        leg_limit = min(limit, enough * dynamics.check_every)
        legs = shoot_legs(dynamics, positions, leg_limit, generator, child_seed(seed, "legs", move))
        steps += int(legs.steps.sum())
        crashed += int(np.sum(legs.label == CRASHED))
        for chain, old in enumerate(paths):
            new = legs.path(chain, positions[chain], selection)
            open_ended = bool((legs.label[2 * chain : 2 * chain + 2] == NEITHER).any())
            if new is not None:
                trial[move, chain] = len(new)
                if chance[chain] * new.weights.sum() < old.weights.sum():
                    accepted[move, chain], paths[chain] = True, new
                    kept.append((move, chain, new))
            elif open_ended:
                rejected_anyway = selection.uniform and leg_limit // dynamics.check_every >= most[chain]
                too_long[move, chain] = not rejected_anyway
            length[move, chain] = len(paths[chain])
    return paths, Moves(length, trial, accepted, too_long, steps, crashed), kept


@dataclass(frozen=True, eq=False)
class Legs:
    """Two legs from each of W configurations, v then −v: ``label`` and ``steps`` (2 W,), the ends, the frames between.

    ``passage`` numbers the leg that each of ``frames`` is on; they stand in the order of legs and of time.
    """

    label: IntArray
    steps: IntArray
    end: PhasePoints
    passage: IntArray
    frames: FloatArray

    def path(self, row: int, middle: FloatArray, selection: Selection) -> Path | None:
        """The path through the configuration ``middle`` of ``row``; None if its legs do not end in different states."""
        labels = self.label[2 * row : 2 * row + 2].tolist()
        if sorted(labels) != [A, B]:
            return None
        to_a, to_b = 2 * row + labels.index(A), 2 * row + labels.index(B)
        frames = np.concatenate([self._leg(to_a)[::-1], middle[None], self._leg(to_b)])
        ends = (self.end.rows(np.array([leg])) for leg in (to_a, to_b))
        return Path(frames, selection.weights(frames), *ends)

    def _leg(self, leg: int) -> FloatArray:
        first, last = np.searchsorted(self.passage, [leg, leg + 1])
        return self.frames[first:last]


def shoot_legs(
    dynamics: PassageDynamics, positions: FloatArray, limit: int, generator: np.random.Generator, seed: int
) -> Legs:
    """Both legs from each of ``positions`` (W, N, D), with every frame at which the state is looked at."""
    velocities = dynamics.velocities(positions, generator)
    start = PhasePoints(np.repeat(positions, 2, axis=0), np.repeat(velocities, 2, axis=0))
    start.velocities[1::2] *= -1.0
    found = dynamics.run(start, limit, seed, EveryLook())
    assert found.trail is not None
    return Legs(found.label, found.steps, found.end, found.trail.passage, found.trail.positions)


def _picked(weights: FloatArray, generator: np.random.Generator) -> int:
    edges = np.cumsum(weights)
    return int(min(np.searchsorted(edges, generator.random() * edges[-1], side="right"), len(weights) - 1))


def paths_content(paths: list[Path], prefix: str) -> dict[str, np.ndarray]:
    """``paths`` as arrays whose names begin with ``prefix``; at least one."""
    content = {
        "length": np.array([len(path) for path in paths], dtype=np.int64),
        "frames": np.concatenate([path.frames for path in paths]),
        "weights": np.concatenate([path.weights for path in paths]),
    }
    for end in ("in_a", "in_b"):
        for part in ("positions", "velocities"):
            content[f"{end}_{part}"] = np.concatenate([getattr(getattr(path, end), part) for path in paths])
    return {prefix + name: value for name, value in content.items()}


def paths_of_content(content: Content, prefix: str) -> list[Path]:
    """What :func:`paths_content` gave."""
    edges = np.concatenate([[0], np.cumsum(content[prefix + "length"])])
    paths = []
    for number, (first, last) in enumerate(pairwise(edges)):
        row = slice(number, number + 1)
        ends = [
            PhasePoints(content[f"{prefix}{end}_positions"][row], content[f"{prefix}{end}_velocities"][row])
            for end in ("in_a", "in_b")
        ]
        paths.append(Path(content[prefix + "frames"][first:last], content[prefix + "weights"][first:last], *ends))
    return paths
