"""Direct passages through the workflow: what is said of trajectories that left the domain."""

from pathlib import Path

import numpy as np

from molgen.shooting.stages import Stages
from molgen.systems.loading import load_system
from molgen.workflows.committor_passages import detours


def test_looks_outside_the_domain_are_counted(tmp_path: Path) -> None:
    system = load_system("alanine-dipeptide-vacuum")
    stages = Stages(tmp_path, "chains")
    stages.write(0, 0, {"positions": np.repeat(system.positions[None], 3, axis=0)})
    assert detours(stages, system) == ()
    stages.write(0, 1, {"positions": np.stack([system.positions, -system.positions])})
    (note,) = detours(stages, system)
    assert "in 1 of 5 looks" in note
