"""A committor of the double well on disk, fitted to shots drawn from the exact one: no dynamics, a second of work."""

from pathlib import Path
from typing import Any

import numpy as np

from molgen.committor.artifact import save_committor
from molgen.committor.fitting import FittingData, FittingSettings, fit_committor
from molgen.committor.model import CommittorSettings
from molgen.dynamics.passage_factory import dynamics_record
from molgen.observables.boundary import Boundary
from molgen.rundir import RunDirectory
from tests.wells import committor, double_well

SETTINGS = FittingSettings(model=CommittorSettings(hidden=16, members=4), steps=300)


def save_well(folder: Path, system: Any = None) -> Path:
    """As ``committor fit`` leaves it."""
    boundary = Boundary(system or double_well(), "left", "right")
    rng = np.random.default_rng(1)
    x = rng.uniform(-0.9, 0.9, 400)
    rows = FittingData(x.reshape(-1, 1, 1), rng.binomial(20, committor(x)), np.full(400, 20), np.arange(400) // 4)
    with RunDirectory.open(folder, kind="committor", config={"source": "drawn"}, seed=1) as run:
        save_committor(
            folder, fit_committor(boundary, rows, SETTINGS, 2), dynamics_record(boundary.system, boundary), {}
        )
        run.finish({})
    return folder
