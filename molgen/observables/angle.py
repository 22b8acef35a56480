"""Angle at the middle one of three atoms."""

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import torch

from molgen.systems.definition import CVSection
from molgen.systems.system import System


@dataclass(frozen=True)
class Angle:
    """θ = atan2(|u×v|, u·v) with u and v from the middle atom to the others, in rad in [0, π]."""

    name: str
    atoms: tuple[int, int, int]
    unit: ClassVar[str] = "rad"
    periodic: ClassVar[bool] = False

    @classmethod
    def build(cls, section: CVSection, system: System) -> Self:
        """The angle of ``section.angle``."""
        assert section.angle is not None
        return cls(section.name, section.angle)

    def __call__(self, positions: torch.Tensor) -> torch.Tensor:
        """Angles (n,) in rad at ``positions`` (n, N, 3) in nm."""
        first, middle, last = (positions[:, index] for index in self.atoms)
        u, v = first - middle, last - middle
        return torch.atan2(torch.linalg.vector_norm(torch.linalg.cross(u, v), dim=-1), (u * v).sum(-1))

    def force(self, energy: str, n_particles: int) -> Any:
        """See :class:`molgen.observables.force.MechanicalVariable`."""
        import openmm

        force = openmm.CustomAngleForce(f"{energy}; s=theta")
        force.addAngle(*self.atoms, [])
        return force
