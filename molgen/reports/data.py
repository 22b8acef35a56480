"""What a report shows: plain, frozen records that any workflow can fill.

Free energies are in kT, ``F = -ln p`` up to a constant chosen by the maker (usually the minimum at 0); an empty
bin is NaN or +inf and is drawn as empty, never as zero. Angles are in radians here and shown in degrees.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from molgen.arrays import FloatArray, IntArray
from molgen.errors import UsageError


@dataclass(frozen=True)
class Profile1D:
    """A free-energy profile along one collective variable, with its interval and, if any, a reference.

    Shapes: m grid points; every array is ``(m,)``, in kT except ``grid_centres``.
    Raises ``UsageError`` when the shapes disagree.
    """

    cv: str
    """Name of the collective variable, e.g. ``phi``."""
    unit: str
    """``rad`` (shown in degrees), ``nm`` or ``""``."""
    grid_centres: FloatArray
    """Bin centres, ascending, in ``unit``."""
    free_energy: FloatArray
    """F of the weighted model, kT."""
    low: FloatArray
    """Lower end of the 95 % interval, kT."""
    high: FloatArray
    """Upper end of the 95 % interval, kT."""
    reference: FloatArray | None = None
    """F of the reference on the same bins and with the same zero convention, kT."""
    reference_low: FloatArray | None = None
    """Lower end of the reference's 95 % interval, kT."""
    reference_high: FloatArray | None = None
    """Upper end of the reference's 95 % interval, kT."""

    def __post_init__(self) -> None:
        shape = np.shape(self.grid_centres)
        names = ("free_energy", "low", "high", "reference", "reference_low", "reference_high")
        _same_shape(f"profile of {self.cv}", shape, {name: getattr(self, name) for name in names})

    @property
    def has_values(self) -> bool:
        """Whether there is anything to draw: a finite free energy of the model or of the reference."""
        lines = [self.free_energy] if self.reference is None else [self.free_energy, self.reference]
        return any(bool(np.isfinite(line).any()) for line in lines)


@dataclass(frozen=True)
class Profile2D:
    """A free-energy surface over two collective variables, x along the first axis of every grid.

    Shapes: edges ``(nx + 1,)`` and ``(ny + 1,)``, grids ``(nx, ny)``. Raises ``UsageError`` when they disagree.
    """

    cv_x: str
    """Name of the collective variable on the horizontal axis."""
    cv_y: str
    """Name of the collective variable on the vertical axis."""
    edges_x: FloatArray
    """Bin edges, ascending, in ``unit_x``."""
    edges_y: FloatArray
    """Bin edges, ascending, in ``unit_y``."""
    free_energy: FloatArray
    """F of the weighted model, kT; NaN or inf where empty."""
    reference: FloatArray | None = None
    """F of the reference on the same bins, kT; NaN or inf where empty."""
    unit_x: str = "rad"
    """Unit of ``edges_x``."""
    unit_y: str = "rad"
    """Unit of ``edges_y``."""
    states: IntArray | None = None
    """State index of each cell centre, -1 for none; outlines are drawn where it changes."""
    state_names: tuple[str, ...] = ()
    """Names that ``states`` indexes."""

    def __post_init__(self) -> None:
        shape = (len(self.edges_x) - 1, len(self.edges_y) - 1)
        grids = {"free_energy": self.free_energy, "reference": self.reference, "states": self.states}
        _same_shape(f"surface of {self.cv_x}, {self.cv_y}", shape, grids)


@dataclass(frozen=True)
class EnergyHistograms:
    """Histograms of the reduced potential u = U/kT on common bins; counts or densities, the figure normalises.

    Shapes: edges ``(m + 1,)``, histograms ``(m,)``. Raises ``UsageError`` when they disagree.
    """

    edges: FloatArray
    """Bin edges, ascending, kT."""
    model_raw: FloatArray
    """The model's draws as they came, every draw counted once."""
    model_weighted: FloatArray
    """The same draws under their importance weights."""
    reference: FloatArray | None = None
    """Frames of the reference ensemble."""
    beyond: float = 0.0
    """Share (0 to 1) of the model's draws outside ``edges`` or with a non-finite energy; said in the caption."""

    def __post_init__(self) -> None:
        names = ("model_raw", "model_weighted", "reference")
        _same_shape("energy histograms", (len(self.edges) - 1,), {name: getattr(self, name) for name in names})


@dataclass(frozen=True)
class MemberHistograms:
    """Where the rows of each ensemble lie along one variable, and what they carry of the weight there.

    Shapes: edges ``(m + 1,)``, ``rows`` and ``weight`` ``(M, m)`` of M ensembles. Raises ``UsageError`` when they
    disagree.
    """

    cv: str
    """Name of the collective variable."""
    unit: str
    """``rad`` (shown in degrees), ``nm`` or ``""``."""
    edges: FloatArray
    """Bin edges, ascending, in ``unit``."""
    names: tuple[str, ...]
    """Names of the ensembles."""
    rows: FloatArray
    """Rows of each ensemble per bin."""
    weight: FloatArray
    """Their share of all weight per bin."""

    def __post_init__(self) -> None:
        shape = (len(self.names), len(self.edges) - 1)
        _same_shape(f"histograms of {self.cv}", shape, {"rows": self.rows, "weight": self.weight})


@dataclass(frozen=True)
class ReportData:
    """Everything one report shows. Only ``result`` is needed; a part that is not given is left out of the page."""

    result: Mapping[str, Any]
    """The object of ``result.json``: verdict, reasons, populations, delta_f, ESS figures, audit, evaluations, …

    Within it a population's ``ess`` is a number of effective samples; ``ess_raw`` and its kin are shares (0 to 1).
    """
    profiles_1d: Sequence[Profile1D] = ()
    """Profiles in the order to be shown."""
    profiles_2d: Sequence[Profile2D] = ()
    """Surfaces in the order to be shown."""
    energies: EnergyHistograms | None = None
    """Energy histograms."""
    log_weight: FloatArray | None = None
    """Unnormalised log w = -u - log q of every draw, shape (n,); -inf (or NaN) means weight 0."""
    members: Sequence[MemberHistograms] = ()
    """Where the rows of several ensembles lie, one entry a variable."""
    training: Sequence[Mapping[str, Any]] | None = None
    """Rows of the training log in time order. Keys used where present: ``step``; ``train_nll`` and
    ``validation_nll`` (nat per frame) or ``train_loss`` and ``validation_loss``; ``ess`` (share, 0 to 1); ``guard``,
    a mapping state -> disagreement in kT."""
    provenance: Mapping[str, Any] = field(default_factory=dict)
    """Versions, seed, hashes, command line …: nested mappings become dotted names. Defaults to the result's own."""

    def __post_init__(self) -> None:
        verdict = self.result.get("verdict")
        if verdict not in ("reliable", "caution", "refused"):
            raise UsageError(
                f"A report cannot be written for the verdict {verdict!r}.",
                "The result's 'verdict' is one of reliable, caution, refused.",
            )
        if self.log_weight is not None and np.ndim(self.log_weight) != 1:
            raise UsageError("The log weights of a report must be one row per draw.", "Give an array of shape (n,).")


def _same_shape(what: str, shape: tuple[int, ...], arrays: Mapping[str, Any]) -> None:
    for name, array in arrays.items():
        if array is not None and np.shape(array) != shape:
            raise UsageError(
                f"The {what} has {name} of shape {np.shape(array)} on a grid of shape {shape}.",
                "Compute every array of a figure on the same bins.",
            )
