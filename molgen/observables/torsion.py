"""Torsion angle of four atoms."""

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import torch

from molgen.systems.definition import CVSection
from molgen.systems.system import System


@dataclass(frozen=True)
class Torsion:
    """φ = atan2(|b₂| b₁·(b₂×b₃), (b₁×b₂)·(b₂×b₃)), b_k = r_{k+1} − r_k, in rad in (−π, π].

    Zero when cis, positive clockwise looking along b₂ (IUPAC). The form with atan2 keeps its precision at 0 and π:
    Blondel and Karplus, J. Comput. Chem. 17, 1132 (1996), doi:10.1002/(SICI)1096-987X(19960715)17:9<1132.
    """

    name: str
    atoms: tuple[int, int, int, int]
    unit: ClassVar[str] = "rad"
    periodic: ClassVar[bool] = True

    @classmethod
    def build(cls, section: CVSection, system: System) -> Self:
        """The torsion of ``section.torsion``."""
        assert section.torsion is not None
        return cls(section.name, section.torsion)

    def __call__(self, positions: torch.Tensor) -> torch.Tensor:
        """Torsions (n,) in rad at ``positions`` (n, N, 3) in nm."""
        p0, p1, p2, p3 = (positions[:, index] for index in self.atoms)
        b1, b2, b3 = p1 - p0, p2 - p1, p3 - p2
        normal = torch.linalg.cross(b2, b3)
        sine = torch.linalg.vector_norm(b2, dim=-1) * (b1 * normal).sum(-1)
        cosine = (torch.linalg.cross(b1, b2) * normal).sum(-1)
        return torch.atan2(sine, cosine)

    def force(self, energy: str, n_particles: int) -> Any:
        """See :class:`molgen.observables.force.MechanicalVariable`; OpenMM's angle has the same sign and zero."""
        import openmm

        force = openmm.CustomTorsionForce(f"{energy}; s=theta")
        force.addTorsion(*self.atoms, [])
        return force
