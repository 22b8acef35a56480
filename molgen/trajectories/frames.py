"""Frames with their origin: which piece of dynamics made them, at what temperature, at what cost."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from molgen.arrays import BoolArray, FloatArray, IntArray
from molgen.errors import InputError

FrameKind = Literal["explore", "equilibrium", "umbrella"]
"""``explore`` frames cover the states but are no samples of the target; ``equilibrium`` frames are; ``umbrella`` frames
are at equilibrium under a bias, each under its own."""

AnyFloatArray = npt.NDArray[np.float32] | npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class FrameSet:
    """Frames, row-aligned with their lineage, temperature and weights.

    ``positions`` (n, N, D) in nm; ``lineage`` (n,) numbers the independent pieces of dynamics, frames of one piece
    stand in time order; ``temperature_k`` (n,) is that of the dynamics; ``log_weight`` (n,) or None for equal
    weights; ``evaluations`` is the number of energy or force evaluations that made them, 0 if unknown; in
    ``made_whole`` of them the molecule was broken across a periodic box, which ``periodic`` sources have.
    ``log_stiff`` (n,) or None is what each frame weighs besides because the dynamics that made it held bonds fixed
    (:func:`molgen.trajectories.constrained.log_stiff`). ``biases`` are the lines of the biases that umbrella frames
    were made under, ``bias_of`` (n,) the number of each frame's, -1 for none; None where no frame has one.
    ``ValueError`` if rows do not match.
    """

    positions: AnyFloatArray
    lineage: IntArray
    kind: FrameKind
    temperature_k: FloatArray
    log_weight: FloatArray | None = None
    evaluations: int = 0
    log_stiff: FloatArray | None = None
    made_whole: int = 0
    periodic: bool = False
    biases: tuple[str, ...] = ()
    bias_of: IntArray | None = None

    def __post_init__(self) -> None:
        n = len(self.positions)
        if self.positions.ndim != 3 or self.lineage.shape != (n,):
            raise ValueError(f"positions {self.positions.shape} and lineage {self.lineage.shape} do not match")
        if self.temperature_k.shape != (n,):
            raise ValueError(
                f"positions {self.positions.shape} and temperatures {self.temperature_k.shape} do not match"
            )
        if self.log_weight is not None and self.log_weight.shape != (n,):
            raise ValueError(f"positions {self.positions.shape} and log_weight {self.log_weight.shape} do not match")
        if self.log_stiff is not None and self.log_stiff.shape != (n,):
            raise ValueError(f"positions {self.positions.shape} and log_stiff {self.log_stiff.shape} do not match")
        if self.bias_of is not None and self.bias_of.shape != (n,):
            raise ValueError(f"positions {self.positions.shape} and bias_of {self.bias_of.shape} do not match")

    def under(self, bias: str | None) -> "FrameSet":
        """These frames, all of them made under the bias of that line; None: under none."""
        if bias is None:
            return replace(self, biases=(), bias_of=None)
        return replace(self, biases=(bias,), bias_of=np.zeros(len(self), dtype=np.int64))

    @property
    def unbiased(self) -> BoolArray:
        """Which frames (n,) were made under no bias."""
        return np.ones(len(self), dtype=np.bool_) if self.bias_of is None else self.bias_of < 0

    @property
    def total_log_weight(self) -> FloatArray | None:
        """``log_weight`` and ``log_stiff`` together; None where all frames weigh the same."""
        if self.log_weight is None or self.log_stiff is None:
            return self.log_stiff if self.log_weight is None else self.log_weight
        return self.log_weight + self.log_stiff

    def __len__(self) -> int:
        return len(self.positions)

    @property
    def temperatures(self) -> tuple[float, ...]:
        """The temperatures that occur, ascending, in kelvin."""
        return tuple(np.unique(self.temperature_k).tolist())

    @property
    def n_lineages(self) -> int:
        """Number of independent pieces."""
        return len(np.unique(self.lineage))

    def select(self, index: IntArray | BoolArray | slice) -> "FrameSet":
        """The frames ``index``, with everything that belongs to them; ``evaluations`` and
        ``made_whole`` stay those of the whole."""
        chosen: Any = index
        weight = None if self.log_weight is None else self.log_weight[chosen]
        stiff = None if self.log_stiff is None else self.log_stiff[chosen]
        bias_of = None if self.bias_of is None else self.bias_of[chosen]
        return replace(
            self,
            positions=self.positions[chosen],
            lineage=self.lineage[chosen],
            temperature_k=self.temperature_k[chosen],
            log_weight=weight,
            log_stiff=stiff,
            bias_of=bias_of,
        )


def concatenate(parts: Sequence[FrameSet]) -> FrameSet:
    """All frames in one set, lineages renumbered so that those of different parts stay apart.

    Frames of several kinds are ``explore`` frames together. ``InputError`` if a part is weighted and there are others:
    the weights of two sources have no common scale.
    """
    if not parts:
        raise InputError("There are no frames.", "Give at least one trajectory or run directory.")
    if len(parts) == 1:
        return parts[0]
    if any(part.log_weight is not None for part in parts):
        raise InputError("Weighted frames cannot be joined with others.", "Give the weighted ensemble alone.")
    lineages, offset = [], 0
    for part in parts:
        _, numbers = np.unique(part.lineage, return_inverse=True)
        lineages.append(numbers.astype(np.int64) + offset)
        offset += int(numbers.max(initial=-1)) + 1
    biases = tuple(dict.fromkeys(line for part in parts for line in part.biases))
    return FrameSet(
        positions=np.concatenate([part.positions for part in parts]),
        lineage=np.concatenate(lineages),
        kind=_joined_kind(parts),
        temperature_k=np.concatenate([part.temperature_k for part in parts]),
        evaluations=sum(part.evaluations for part in parts),
        log_stiff=_joined_stiff(parts),
        made_whole=sum(part.made_whole for part in parts),
        periodic=any(part.periodic for part in parts),
        biases=biases,
        bias_of=_joined_biases(parts, biases),
    )


def _joined_kind(parts: Sequence[FrameSet]) -> FrameKind:
    """What is true of all frames: of different kinds together, no more than that they cover the states."""
    kinds = {part.kind for part in parts}
    return kinds.pop() if len(kinds) == 1 else "explore"


def _joined_biases(parts: Sequence[FrameSet], biases: tuple[str, ...]) -> IntArray | None:
    """The number of each frame's bias among all ``biases``."""
    if not biases:
        return None
    rows = []
    for part in parts:
        numbers = np.array([*(biases.index(line) for line in part.biases), -1], dtype=np.int64)  # -1 is the last
        rows.append(numbers[np.full(len(part), -1) if part.bias_of is None else part.bias_of])
    return np.concatenate(rows)


def _joined_stiff(parts: Sequence[FrameSet]) -> FloatArray | None:
    if all(part.log_stiff is None for part in parts):
        return None
    return np.concatenate([np.zeros(len(p)) if p.log_stiff is None else p.log_stiff for p in parts])
