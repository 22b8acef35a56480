"""What a ``system.toml`` may say, as frozen models closed to unknown keys."""

from typing import Literal

from pydantic import Field, PositiveFloat, PositiveInt

from molgen.settings import Settings

ANALYTIC_PARAMETERS: dict[str, dict[str, float]] = {
    "double-well": {"barrier": 5.0, "tilt": 0.5},
    "muller-brown": {"scale": 0.1},
    "dead-end": {"barrier": 4.0, "stiffness": 4.0, "depth": 9.0},
    "hidden-coordinate": {"barrier": 5.0, "stiffness": 10.0, "coupling": 1.5, "rest": 20.0},
    "pair-double-well": {"distance": 4.0, "quadratic": -4.0, "quartic": 0.9},
    "lennard-jones": {"depth": 1.0, "radius": 1.0, "spring": 1.0},
}
"""Each analytic potential and its parameters with their defaults (energies in kT)."""

ANALYTIC_DIMENSIONS: dict[str, int] = {
    "double-well": 1,
    "muller-brown": 2,
    "dead-end": 2,
    "hidden-coordinate": 10,
    "pair-double-well": 2,
    "lennard-jones": 3,
}
"""Dimensions of space of each analytic potential."""
CLUSTERS = ("pair-double-well", "lennard-jones")
"""Potentials of several identical particles, which no translation, rotation or exchange changes."""


class TopologySection(Settings):
    """Where the atoms, bonds and starting positions come from (PDB, relative to the TOML file)."""

    file: str


class ForceFieldSection(Settings):
    """The force field: OpenMM XML ``files``, or a whole serialised OpenMM System in ``system_xml``."""

    files: tuple[str, ...] = ("amber99sbildn.xml", "amber99_obc.xml")
    system_xml: str | None = None
    constraints: Literal["none", "h-bonds", "all-bonds", "h-angles"] = "none"


class AnalyticSection(Settings):
    """Pseudo-particles in a known potential, energies in kT, reduced lengths, unit masses.

    ``double-well``, x in one dimension:  V(x) = barrier (x^2 - 1)^2 + tilt x.

    ``muller-brown``, (x, y):  V = scale * sum_k A_k exp(a_k (x - x_k)^2 + b_k (x - x_k)(y - y_k) + c_k (y - y_k)^2)
    with the four terms of K. Müller and L. D. Brown, Theor. Chim. Acta 53, 75 (1979), doi:10.1007/BF00547608.

    ``dead-end``, (x, y):  V = barrier (x^2 - 1)^2 + stiffness/2 y^2 - depth exp(-((x - 0.3)^2 + (y - 1.5)^2)/0.32).

    ``hidden-coordinate``, ten coordinates, s = (x_1 + ... + x_9)/3:
    V = barrier (x_0^2 - 1)^2 + stiffness/2 (s - coupling x_0)^2 + rest/2 (x_1^2 + ... + x_9^2 - s^2).

    ``pair-double-well``, identical ``particles`` in the plane, a sum over unordered pairs at distance d:
    V = sum quadratic (d - distance)^2 + quartic (d - distance)^4 (J. Köhler et al., ICML 2020, arXiv:2006.02425).

    ``lennard-jones``, identical ``particles`` in space, unordered pairs and a spring to the centroid c:
    V = depth sum [(radius/d)^12 - 2 (radius/d)^6] + spring/2 sum_i |x_i - c|^2.
    """

    potential: Literal[
        "double-well", "muller-brown", "dead-end", "hidden-coordinate", "pair-double-well", "lennard-jones"
    ]
    particles: PositiveInt = 1
    parameters: dict[str, float] = Field(default_factory=dict)


class DynamicsSection(Settings):
    """The dynamics that committors and rates refer to.

    For an analytic system the reduced time unit is read as one picosecond.
    """

    integrator: Literal["langevin-middle", "overdamped"] = "langevin-middle"
    timestep_fs: PositiveFloat = 1.0
    friction_per_ps: PositiveFloat = 1.0
    hydrogen_mass: Literal["physical"] | PositiveFloat = "physical"
    check_every: PositiveInt = 10


class DomainSection(Settings):
    """Which part of configuration space belongs to the system, beside its stereocentres, which are always fixed."""

    cis_trans: Literal["fixed", "free"] = "fixed"


class RMSDSection(Settings):
    """Atoms superposed and compared, and the reference they are compared with."""

    atoms: tuple[int, ...]
    reference: Literal["topology"] = "topology"


class CVSection(Settings):
    """One collective variable: a name and exactly one kind, atoms by index from 0."""

    name: str
    torsion: tuple[int, int, int, int] | None = None
    angle: tuple[int, int, int] | None = None
    distance: tuple[int, int] | None = None
    rmsd: RMSDSection | None = None
    radius_of_gyration: tuple[int, ...] | Literal["all"] | None = None
    position: int | None = None

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds that are given (a valid section has one)."""
        return tuple(kind for kind in type(self).model_fields if kind != "name" and getattr(self, kind) is not None)

    def atoms(self, n_particles: int) -> tuple[int, ...]:
        """The atom indices the variable is made of (empty for ``position``)."""
        if self.radius_of_gyration == "all":
            return tuple(range(n_particles))
        if self.rmsd is not None:
            return self.rmsd.atoms
        given = self.torsion or self.angle or self.distance or self.radius_of_gyration or ()
        return tuple(given)


class StateSection(Settings):
    """One state: frames for which ``where`` holds and no earlier state's does."""

    name: str
    where: str


class ReferenceSection(Settings):
    """A reference ensemble shipped with the system, relative to the TOML file; read only for comparison."""

    file: str


class SystemDefinition(Settings):
    """A whole ``system.toml``."""

    name: str
    description: str = ""
    temperature_k: PositiveFloat = 300.0
    topology: TopologySection | None = None
    forcefield: ForceFieldSection = ForceFieldSection()
    analytic: AnalyticSection | None = None
    dynamics: DynamicsSection = DynamicsSection()
    domain: DomainSection = DomainSection()
    cv: tuple[CVSection, ...] = ()
    state: tuple[StateSection, ...] = ()
    reference: ReferenceSection | None = None
