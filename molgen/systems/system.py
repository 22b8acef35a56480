"""The two kinds of system, as plain picklable values."""

import hashlib
import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from molgen.arrays import FloatArray
from molgen.systems.constraints import Constraint, read_constraints
from molgen.systems.definition import ANALYTIC_DIMENSIONS, SystemDefinition
from molgen.systems.topology import MolecularTopology
from molgen.units import BOLTZMANN_KJ_PER_MOL_K

REDUCED_TEMPERATURE_K = 1.0 / BOLTZMANN_KJ_PER_MOL_K
"""The temperature of an analytic system, at which kT = 1 kJ/mol: its potential is at once in kT and in kJ/mol."""


@dataclass(frozen=True, eq=False)
class MolecularSystem:
    """A molecule with its force field.

    ``positions`` (N, 3) in nm are those of the topology file; ``system_xml`` is the serialised OpenMM System.
    """

    definition: SystemDefinition
    topology: MolecularTopology
    positions: FloatArray
    system_xml: str
    reference_path: Path | None = field(default=None)

    @property
    def name(self) -> str:
        """The system's name."""
        return self.definition.name

    @property
    def temperature_k(self) -> float:
        """Temperature of the target ensemble in kelvin."""
        return self.definition.temperature_k

    @property
    def n_particles(self) -> int:
        """Number of atoms."""
        return self.topology.n_atoms

    @property
    def dim(self) -> int:
        """Dimensions of space."""
        return 3

    @cached_property
    def constraints(self) -> tuple[Constraint, ...]:
        """Distances that the System holds fixed: pairs ``i < j`` and the distance in nm."""
        return read_constraints(self.system_xml)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the canonical System XML with the atoms and bonds; the same on every machine."""
        atoms = [[a.name, a.element, a.residue_name, a.residue_index] for a in self.topology.atoms]
        parts = [canonical_xml(self.system_xml), atoms, self.topology.bonds]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


@dataclass(frozen=True, eq=False)
class AnalyticSystem:
    """Pseudo-particles in a known potential, in reduced units with kT = 1.

    ``positions`` (N, D) is a starting point. Several particles are identical, and their centroid is at the origin.
    """

    definition: SystemDefinition
    positions: FloatArray
    reference_path: Path | None = field(default=None)

    @property
    def name(self) -> str:
        """The system's name."""
        return self.definition.name

    @property
    def temperature_k(self) -> float:
        """The temperature at which kT is the unit of energy."""
        return REDUCED_TEMPERATURE_K

    @property
    def n_particles(self) -> int:
        """Number of pseudo-particles."""
        return len(self.positions)

    @property
    def dim(self) -> int:
        """Number of coordinates."""
        return int(self.positions.shape[1])

    @property
    def potential(self) -> str:
        """Name of the potential."""
        assert self.definition.analytic is not None
        return self.definition.analytic.potential

    @property
    def parameters(self) -> dict[str, float]:
        """The potential's parameters, defaults filled in."""
        assert self.definition.analytic is not None
        return dict(self.definition.analytic.parameters)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the potential's name, its parameters and the number of particles."""
        parts: list[object] = [self.potential, sorted(self.parameters.items())]
        if self.n_particles > 1:
            parts.append(self.n_particles)
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


System = MolecularSystem | AnalyticSystem


def starting_point(potential: str, particles: int = 1) -> FloatArray:
    """A point (N, D) near the deepest minimum of one particle's potential, or a compact lattice of several."""
    points = {
        "double-well": [[-1.0]],
        "muller-brown": [[-0.558, 1.442]],
        "dead-end": [[-1.0, 0.0]],
        "hidden-coordinate": [[-1.0, *[-0.5] * 9]],
    }
    if potential in points:
        position = np.asarray(points[potential], dtype=np.float64)
    else:
        spacing = {"pair-double-well": 4.0, "lennard-jones": 1.1}[potential]
        position = spacing * _lattice(particles, ANALYTIC_DIMENSIONS[potential])
    assert position.shape == (particles, ANALYTIC_DIMENSIONS[potential])
    return position


def _lattice(particles: int, dim: int) -> FloatArray:
    """The ``particles`` sites of a square or cubic lattice nearest to a point off its symmetry axes, centred."""
    side = np.arange(-5.0, 6.0)
    sites = np.stack(np.meshgrid(*[side] * dim, indexing="ij"), axis=-1).reshape(-1, dim)
    off = np.array([0.5, 0.47, 0.44])[:dim]
    nearest = sites[np.argsort(((sites - off) ** 2).sum(axis=1), kind="stable")[:particles]]
    return np.asarray(nearest - nearest.mean(axis=0), dtype=np.float64)


def canonical_xml(system_xml: str) -> str:
    """The System XML without OpenMM's version, with sorted attributes and no layout, so that it can be hashed."""
    root = ElementTree.fromstring(system_xml)
    for element in root.iter():
        element.attrib.pop("openmmVersion", None)
    return ElementTree.canonicalize(ElementTree.tostring(root, encoding="unicode"), strip_text=True)
