"""Root mean square deviation after optimal superposition."""

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import torch

from molgen.systems.definition import CVSection
from molgen.systems.system import System

_SMALLEST_MSD_NM2 = 1e-20


@dataclass(frozen=True)
class RMSD:
    """d = sqrt((Σ|aᵢ|² + Σ|bᵢ|² − 2λ) / n) in nm, over centred positions aᵢ and reference bᵢ, all weights equal.

    λ is the largest eigenvalue of Horn's quaternion matrix of S = Σ aᵢbᵢᵀ, so that only proper rotations are
    considered and a mirror image keeps its distance: B. K. P. Horn, J. Opt. Soc. Am. A 4, 629 (1987),
    doi:10.1364/JOSAA.4.000629. Computed in double precision whatever the input; below 1e-8 nm the value is
    rounding noise and its gradient is zero.
    """

    name: str
    atoms: tuple[int, ...]
    reference: tuple[tuple[float, float, float], ...]
    unit: ClassVar[str] = "nm"
    periodic: ClassVar[bool] = False

    @classmethod
    def build(cls, section: CVSection, system: System) -> Self:
        """The deviation from the positions of the system's topology file."""
        assert section.rmsd is not None
        reference = tuple((float(x), float(y), float(z)) for x, y, z in system.positions[list(section.rmsd.atoms)])
        return cls(section.name, section.rmsd.atoms, reference)

    def __call__(self, positions: torch.Tensor) -> torch.Tensor:
        """Deviations (n,) in nm at ``positions`` (n, N, 3) in nm."""
        mobile = positions[:, list(self.atoms)].double()
        mobile = mobile - mobile.mean(1, keepdim=True)
        fixed = torch.as_tensor(self.reference, dtype=torch.float64, device=positions.device)
        fixed = fixed - fixed.mean(0)
        largest = torch.linalg.eigvalsh(_quaternion_matrix(torch.einsum("nia,ib->nab", mobile, fixed)))[:, -1]
        square = ((mobile**2).sum((1, 2)) + (fixed**2).sum() - 2.0 * largest) / len(self.atoms)
        result: torch.Tensor = square.clamp(min=_SMALLEST_MSD_NM2).sqrt().to(positions.dtype)
        return result

    def force(self, energy: str, n_particles: int) -> Any:
        """See :class:`molgen.observables.force.MechanicalVariable`."""
        import openmm

        # OpenMM wants a place for every particle and looks at those of the atoms named.
        reference = [openmm.Vec3(0.0, 0.0, 0.0)] * n_particles
        for atom, place in zip(self.atoms, self.reference, strict=True):
            reference[atom] = openmm.Vec3(*place)
        force = openmm.CustomCVForce(f"{energy}; s=deviation")
        force.addCollectiveVariable("deviation", openmm.RMSDForce(reference, list(self.atoms)))
        return force


def _quaternion_matrix(s: torch.Tensor) -> torch.Tensor:
    """Horn's symmetric 4×4 matrices (n, 4, 4) of correlation matrices ``s`` (n, 3, 3)."""
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = ([s[:, i, j] for j in range(3)] for i in range(3))
    rows = [
        [xx + yy + zz, yz - zy, zx - xz, xy - yx],
        [yz - zy, xx - yy - zz, xy + yx, zx + xz],
        [zx - xz, xy + yx, yy - xx - zz, yz + zy],
        [xy - yx, zx + xz, yz + zy, zz - xx - yy],
    ]
    return torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)
