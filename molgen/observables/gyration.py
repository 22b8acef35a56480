"""Radius of gyration."""

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import torch

from molgen.systems.definition import CVSection
from molgen.systems.system import MolecularSystem, System


@dataclass(frozen=True)
class RadiusOfGyration:
    """R = sqrt(Σ mᵢ |rᵢ − r̄|² / Σ mᵢ) in nm, r̄ the centre of mass, masses mᵢ physical (1 for pseudo-particles)."""

    name: str
    atoms: tuple[int, ...]
    masses_da: tuple[float, ...]
    unit: ClassVar[str] = "nm"
    periodic: ClassVar[bool] = False

    @classmethod
    def build(cls, section: CVSection, system: System) -> Self:
        """The radius over ``section.radius_of_gyration`` with the masses of the system."""
        atoms = section.atoms(system.n_particles)
        if not isinstance(system, MolecularSystem):
            return cls(section.name, atoms, (1.0,) * len(atoms))
        return cls(section.name, atoms, tuple(system.topology.atoms[index].mass_da for index in atoms))

    def __call__(self, positions: torch.Tensor) -> torch.Tensor:
        """Radii (n,) in nm at ``positions`` (n, N, D) in nm."""
        masses = torch.as_tensor(self.masses_da, dtype=positions.dtype, device=positions.device)
        share = (masses / masses.sum())[:, None]
        chosen = positions[:, list(self.atoms)]
        centred = chosen - (share * chosen).sum(1, keepdim=True)
        return (share * centred**2).sum((1, 2)).sqrt()

    def force(self, energy: str, n_particles: int) -> Any:
        """See :class:`molgen.observables.force.MechanicalVariable`.

        R² = Σ mᵢ |rᵢ − r̄|² / Σ mᵢ is a sum over bonds from each atom to the centroid, whose masses are these and not
        those that dynamics moves.
        """
        import openmm

        square = openmm.CustomCentroidBondForce(2, "share*distance(g1,g2)^2")
        square.addPerBondParameter("share")
        total = sum(self.masses_da)
        centre = square.addGroup(self.atoms, self.masses_da)
        for atom, mass in zip(self.atoms, self.masses_da, strict=True):
            square.addBond([square.addGroup([atom], [1.0]), centre], [mass / total])
        force = openmm.CustomCVForce(f"{energy}; s=sqrt(square)")
        force.addCollectiveVariable("square", square)
        return force
