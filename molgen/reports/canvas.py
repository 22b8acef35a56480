"""The drawing style of every figure, and figures as self-contained images.

Matplotlib's Agg side only: nothing opens a window, and no global style is changed. An image is an SVG in a data
URI, so that it carries its own fonts and cannot clash with other figures on a page.
"""

import base64
import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from molgen.arrays import FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

MODEL = "#1b4f8a"
"""The weighted model: dark blue, solid."""
REFERENCE = "#c4631a"
"""The reference: orange, dashed; lighter than MODEL in greyscale."""
RAW = "#8c97a3"
"""Unweighted draws and guide lines: grey, dotted."""
COLOUR_MAP = "viridis"
"""Perceptually uniform, monotone in greyscale."""

PANEL_INCHES = (4.7, 3.3)

_STYLE: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9.0,
    "axes.labelsize": 9.5,
    "axes.linewidth": 0.7,
    "axes.edgecolor": "#3a4148",
    "axes.labelcolor": "#1f2429",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": "#3a4148",
    "ytick.color": "#3a4148",
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "legend.handlelength": 2.2,
    "lines.linewidth": 1.7,
    "lines.solid_capstyle": "round",
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "svg.fonttype": "path",
    "svg.hashsalt": "molgen",
    "axes.unicode_minus": True,
}


@dataclass(frozen=True)
class Figure:
    """A finished picture with its words."""

    svg: bytes
    """The image, self-contained; the same inputs give the same bytes."""
    title: str
    alt: str
    """What a reader who cannot see it needs to know."""
    caption: str = ""

    @property
    def uri(self) -> str:
        """The image as a data URI for an ``<img>``."""
        return "data:image/svg+xml;base64," + base64.b64encode(self.svg).decode("ascii")

    def save(self, path: Path) -> None:
        """Write the SVG to ``path`` (for documents; the report embeds it instead)."""
        path.write_bytes(self.svg)


@contextmanager
def panel(inches: tuple[float, float] = PANEL_INCHES) -> Iterator[tuple["Canvas", "Axes"]]:
    """One axes in the house style; drawing happens inside the block, as does ``finish``."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Canvas

    with matplotlib.rc_context(cast("Any", _STYLE)):
        canvas = Canvas(figsize=inches, layout="constrained")
        FigureCanvasAgg(canvas)
        yield canvas, canvas.add_subplot()


def finish(canvas: "Canvas", *, title: str, alt: str, caption: str = "") -> Figure:
    """Render ``canvas`` without dates or program names in the file."""
    stream = io.BytesIO()
    metadata = {"Date": None, "Creator": None, "Format": None, "Type": None}
    canvas.savefig(stream, format="svg", dpi=180, metadata=metadata)
    return Figure(stream.getvalue(), title, alt, caption)


def shown_values(values: FloatArray, unit: str) -> FloatArray:
    """Values of a collective variable as drawn: radians become degrees."""
    return np.degrees(values) if unit == "rad" else np.asarray(values, dtype=np.float64)


def axis_name(cv: str, unit: str) -> str:
    """``φ / °`` for a torsion called phi, ``distance / nm`` and so on."""
    greek = {"phi": "φ", "psi": "ψ", "omega": "ω", "theta": "θ", "chi": "χ", "chi1": "χ₁", "chi2": "χ₂"}
    shown = {"rad": "°", "": ""}.get(unit, unit)
    return f"{greek.get(cv, cv)} / {shown}" if shown else greek.get(cv, cv)


def set_angle_ticks(axis: Any, values: FloatArray, unit: str) -> None:
    """Round angles as ticks and limits where a whole turn is shown; ``axis`` is an ``XAxis`` or ``YAxis``."""
    if unit == "rad" and float(np.ptp(values)) > 300.0:
        axis.set_major_locator(_multiples_of(90.0))
        low, high = (90.0 * round(float(end) / 90.0) for end in (values.min(), values.max()))
        axis.axes.set(**{f"{axis.axis_name}lim": (low, high)})


def plain_log_ticks(axis: Any, *, factor: float = 1.0, steps: tuple[float, ...] = (1.0,)) -> None:
    """Ticks of a logarithmic axis in plain numbers (``factor`` 100 for per cent) at ``steps`` times powers of ten."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

    axis.set_major_locator(LogLocator(subs=steps, numticks=12))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{float(f'{factor * value:.3g}'):g}"))
    axis.set_minor_locator(NullLocator())
    axis.set_minor_formatter(NullFormatter())


def legend_above(axes: "Axes") -> None:
    """The legend in one line over the axes, where no curve can run into it."""
    axes.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=3, columnspacing=1.3, borderaxespad=0.1)


def _multiples_of(step: float) -> Any:
    from matplotlib.ticker import MultipleLocator

    return MultipleLocator(step)
