"""Records refuse arrays that do not belong together."""

import numpy as np
import pytest

from molgen.errors import UsageError
from molgen.reports.data import EnergyHistograms, Profile1D, Profile2D, ReportData

LINE = np.zeros(4)


def test_profile_arrays_share_their_grid() -> None:
    with pytest.raises(UsageError, match=r"profile of phi has high of shape \(5,\)"):
        Profile1D("phi", "rad", LINE, LINE, LINE, np.zeros(5))


def test_surface_has_x_along_the_first_axis() -> None:
    edges_x, edges_y = np.arange(4.0), np.arange(6.0)
    assert Profile2D("phi", "psi", edges_x, edges_y, np.zeros((3, 5))).states is None
    with pytest.raises(UsageError, match="surface of phi, psi has free_energy"):
        Profile2D("phi", "psi", edges_x, edges_y, np.zeros((5, 3)))


def test_histograms_have_one_value_fewer_than_edges() -> None:
    with pytest.raises(UsageError, match="energy histograms has model_raw"):
        EnergyHistograms(LINE, LINE, np.zeros(3))


def test_report_needs_a_known_verdict_and_one_weight_a_draw() -> None:
    with pytest.raises(UsageError, match="verdict 'fine'"):
        ReportData(result={"verdict": "fine"})
    with pytest.raises(UsageError, match="one row per draw"):
        ReportData(result={"verdict": "reliable"}, log_weight=np.zeros((2, 2)))
