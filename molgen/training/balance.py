"""Which frames a step learns from: as they come, or rarer states more often than that."""

import torch

from molgen.arrays import IntArray


class FrameChoice:
    """Draws rows of frames whose states are ``states`` (n,), -1 for none.

    A state that holds the share s of the frames makes up s**power of a batch (scaled to a sum of one): ``power`` 1 is
    the frames as they come, 0.5 lets rare states count more, 0 all the same. Nothing is corrected for: path gradients
    need no right shares of the frames, and exploring dynamics has none to lose.
    """

    def __init__(self, states: IntArray, power: float) -> None:
        self._count = len(states)
        self._chances: torch.Tensor | None = None
        if power < 1.0:
            label = torch.as_tensor(states, dtype=torch.int64) + 1
            count = torch.bincount(label).double()
            self._chances = (count ** (power - 1.0))[label]

    def rows(self, number: int, generator: torch.Generator) -> torch.Tensor:
        """``number`` row numbers, drawn with replacement."""
        if self._chances is None:
            return torch.randint(0, self._count, (number,), generator=generator)
        return torch.multinomial(self._chances, number, replacement=True, generator=generator)
