"""The drawing surface leaves no trace and gives the same bytes twice."""

from pathlib import Path

import matplotlib
import numpy as np

from molgen.reports.canvas import Figure, axis_name, finish, panel, shown_values


def _line() -> Figure:
    with panel((1.5, 1.2)) as (canvas, axes):
        axes.plot([0, 1], [0, 1])
        return finish(canvas, title="Line", alt="A line.")


def test_equal_inputs_give_equal_bytes(tmp_path: Path) -> None:
    one, other = _line(), _line()
    assert one.svg == other.svg
    one.save(tmp_path / "line.svg")
    assert (tmp_path / "line.svg").read_bytes() == one.svg


def test_no_global_style_is_changed() -> None:
    before = dict(matplotlib.rcParams)
    _line()
    assert dict(matplotlib.rcParams) == before


def test_angles_are_shown_in_degrees() -> None:
    assert shown_values(np.array([np.pi]), "rad") == [180.0]
    assert shown_values(np.array([0.5]), "nm") == [0.5]
    assert [axis_name("phi", "rad"), axis_name("end_to_end", "nm"), axis_name("x", "")] == [
        "φ / °",
        "end_to_end / nm",
        "x",
    ]
