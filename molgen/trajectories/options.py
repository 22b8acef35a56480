"""How trajectory files are read: how many of their frames, and which of their atoms."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from molgen.errors import InputError


@dataclass(frozen=True)
class ReadingOptions:
    """Every ``stride``-th frame; the atoms that ``selection`` (mdtraj's selection language) picks.

    ``topology`` names the atoms of files that carry no names themselves (DCD, XTC, TRR, NetCDF); without it they are
    taken to hold the system's atoms in its order. Run directories and ensembles know their atoms: only the stride
    applies to them. ``InputError`` for a stride below 1 or a topology that is not there.
    """

    stride: int = 1
    selection: str | None = None
    topology: str | Path | None = None

    def __post_init__(self) -> None:
        if self.stride < 1:
            raise InputError(f"A stride of {self.stride} selects nothing.", "Give a stride of 1 or more.")
        if self.topology is not None and not Path(self.topology).is_file():
            raise InputError(f"There is no topology file {self.topology}.", "Check the path given to --topology.")

    def to_json(self) -> dict[str, Any]:
        """The options as plain data."""
        topology = None if self.topology is None else str(self.topology)
        return {"stride": self.stride, "selection": self.selection, "topology": topology}


EVERYTHING = ReadingOptions()
"""All frames, all atoms."""
