"""What a user can set of a reweighting."""

from pydantic import Field, PositiveFloat, PositiveInt

from molgen.settings import Settings


class DistanceSettings(Settings):
    """Sample sizes of the distances to a reference; their floor is made with the same ones.

    ``divergence_bins`` are those of the Jensen-Shannon divergence along each variable.
    """

    energy_points: PositiveInt = 10_000
    torsion_points: PositiveInt = 1_000
    repeats: PositiveInt = 10
    divergence_bins: PositiveInt = 72
    enabled: bool = True


class ProfileSettings(Settings):
    """Grids of the free-energy profiles; ``surfaces`` are pairs of variables (none: the first two of the system)."""

    bins_1d: PositiveInt = 72
    bins_2d: PositiveInt = 48
    surfaces: tuple[tuple[str, str], ...] = ()


class RestraintSettings(Settings):
    """``theta`` weighs the prior against the data (:mod:`molgen.reweighting.maximum_entropy`); None chooses it."""

    theta: PositiveFloat | None = None


class ReweightSettings(Settings):
    """Settings of :func:`molgen.workflows.reweighting.reweight`.

    ``shard_rows`` energies are one unit of resuming. Of a reference every ``reference_stride``-th frame is read, and
    the energy of at most ``reference_energies`` of them is computed (for E-W2 and the forward ESS).
    """

    shard_rows: PositiveInt = 4096
    bootstrap_repeats: int = Field(default=200, ge=20)
    audit_rows: int = Field(default=64, ge=8)
    reference_stride: PositiveInt = 1
    reference_energies: PositiveInt = 10_000
    distances: DistanceSettings = DistanceSettings()
    profiles: ProfileSettings = ProfileSettings()
    restraints: RestraintSettings = RestraintSettings()
