"""Direct passages through the workflow: what is said of trajectories that left the domain."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from molgen.files import json_bytes
from molgen.shooting.stages import Stages
from molgen.systems.definition import DomainSection
from molgen.systems.loading import load_system
from molgen.systems.record import system_record
from molgen.workflows.committor_passages import detours
from molgen.workflows.rate_routes import PASSAGES, detours_of


def test_looks_outside_the_domain_are_counted(tmp_path: Path) -> None:
    system = load_system("alanine-dipeptide-vacuum")
    stages = Stages(tmp_path, "chains")
    stages.write(0, 0, {"positions": np.repeat(system.positions[None], 3, axis=0)})
    assert detours(stages, system) == ()
    stages.write(0, 1, {"positions": np.stack([system.positions, -system.positions])})
    (note,) = detours(stages, system)
    assert "in 1 of 5 looks" in note


def test_beside_shots_it_is_their_domain_that_counts(tmp_path: Path) -> None:
    """A turned peptide bond is no detour for who shot from frames with turned ones, too."""
    system = load_system("alanine-dipeptide-vacuum")
    definition = system.definition.model_copy(update={"domain": DomainSection(cis_trans="free")})
    for name, one in (("passages", system), ("alike", system), ("free", replace(system, definition=definition))):
        (tmp_path / name).mkdir()
        (tmp_path / name / "system.json").write_bytes(json_bytes(system_record(one)))
    axis = system.positions[6] - system.positions[4]
    turned = system.positions.copy()
    turned[6:] = turned[4] + Rotation.from_rotvec(np.pi * axis / np.linalg.norm(axis)).apply(turned[6:] - turned[4])
    stages = Stages(tmp_path / "passages" / PASSAGES, "chains")
    stages.write(0, 0, {"positions": np.stack([system.positions, turned])})
    (note,) = detours_of(tmp_path / "passages", None)
    assert "in 1 of 2 looks" in note
    assert detours_of(tmp_path / "passages", tmp_path / "alike") == (note,)
    assert detours_of(tmp_path / "passages", tmp_path / "free") == ()
