"""Distance between two atoms."""

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import torch

from molgen.systems.definition import CVSection
from molgen.systems.system import System


@dataclass(frozen=True)
class Distance:
    """d = |r_j − r_i| in nm; no periodic box."""

    name: str
    atoms: tuple[int, int]
    unit: ClassVar[str] = "nm"
    periodic: ClassVar[bool] = False

    @classmethod
    def build(cls, section: CVSection, system: System) -> Self:
        """The distance of ``section.distance``."""
        assert section.distance is not None
        return cls(section.name, section.distance)

    def __call__(self, positions: torch.Tensor) -> torch.Tensor:
        """Distances (n,) in nm at ``positions`` (n, N, 3) in nm."""
        i, j = self.atoms
        result: torch.Tensor = torch.linalg.vector_norm(positions[:, j] - positions[:, i], dim=-1)
        return result

    def force(self, energy: str, n_particles: int) -> Any:
        """See :class:`molgen.observables.force.MechanicalVariable`."""
        import openmm

        force = openmm.CustomBondForce(f"{energy}; s=r")
        force.addBond(*self.atoms, [])
        return force
