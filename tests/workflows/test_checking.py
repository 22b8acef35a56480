"""The check says what is wrong in words, and never crashes on a stranger's file."""

from dataclasses import replace
from pathlib import Path

import mdtraj
import numpy as np
import openmm
import pytest
import tables

from molgen.energies.factory import open_energy
from molgen.ensemble import Ensemble, EnsembleHeader, EnsembleWriter
from molgen.errors import UsageError
from molgen.systems.definition import CVSection, StateSection
from molgen.systems.loading import load_system
from molgen.systems.mdtraj_topology import mdtraj_topology
from molgen.systems.record import system_record
from molgen.systems.system import MolecularSystem, System
from molgen.systems.topology import MolecularTopology
from molgen.trajectories.options import ReadingOptions
from molgen.trajectories.reading import read_frames
from molgen.units import thermal_energy
from molgen.workflows.checking import CheckResult, check
from molgen.workflows.findings import Finding
from molgen.workflows.initialisation import init

MIRROR = np.array([-1.0, 1.0, 1.0])


@pytest.fixture(scope="module")
def dipeptide() -> MolecularSystem:
    system = load_system("alanine-dipeptide")
    assert isinstance(system, MolecularSystem)
    return system


@pytest.fixture(scope="module")
def frames(dipeptide: MolecularSystem) -> mdtraj.Trajectory:
    """Sixty frames of the reference ensemble, every state among them."""
    assert dipeptide.reference_path is not None
    found = read_frames([dipeptide.reference_path], dipeptide, ReadingOptions(stride=267))
    return mdtraj.Trajectory(np.asarray(found.positions), mdtraj_topology(dipeptide))


def looked(system: System | str, *paths: Path, reading: ReadingOptions | None = None) -> CheckResult:
    return check(system, paths, reading=reading or ReadingOptions(), platform="Reference")


def finding(result: CheckResult, name: str) -> Finding:
    (found,) = [item for item in result.findings if item.name == name]
    return found


def of_level(result: CheckResult, level: str) -> list[str]:
    return [item.name for item in result.findings if item.level == level]


def test_a_sound_system_has_no_problem(dipeptide: MolecularSystem) -> None:
    result = looked("alanine-dipeptide")
    assert result.problems == ()
    assert "22 atoms in 3 residues, 21 bonds" in finding(result, "system").sentence
    assert "1 stereocentre: CA of ALA 2" in finding(result, "stereocentres").sentence
    assert "2 peptide bonds, 0 cis" in finding(result, "peptide bonds").sentence
    assert finding(result, "coordinates").sentence.startswith("60 internal coordinates; ")
    assert "3 states (alpha_l, alpha_r, extended)" in finding(result, "states").sentence
    assert "100,000 energies" in finding(result, "speed").sentence
    stored = result.to_json()
    assert stored["problems"] == 0
    assert len(stored["findings"]) == len(result.findings)


def test_platforms_are_timed_when_none_is_named(dipeptide: MolecularSystem) -> None:
    speed = finding(check(dipeptide), "speed").sentence
    assert "is the fastest (ms a step: " in speed
    assert "for 1 ns and" in speed
    with pytest.raises(UsageError, match="no platform"):
        check(dipeptide, platform="Abacus")


def test_an_analytic_system_and_one_that_is_not_there(tmp_path: Path) -> None:
    assert looked("double-well").problems == ()
    missing = looked(str(tmp_path / "system.toml"))
    assert of_level(missing, "problem") == ["system"]
    assert "There is no file" in missing.problems[0].sentence


@pytest.mark.filterwarnings("ignore:.*netCDF4")
@pytest.mark.parametrize("ending", ["pdb", "dcd", "xtc", "trr", "nc", "h5"])
def test_sound_frames_in_every_format(
    tmp_path: Path, dipeptide: MolecularSystem, frames: mdtraj.Trajectory, ending: str
) -> None:
    path = tmp_path / f"t.{ending}"
    frames.save(str(path))
    result = looked(dipeptide, path)
    assert result.problems == ()
    assert result.frames == len(frames)
    assert all(result.states.values())
    assert "60 frames in 1 lineage (taken as equilibrium" in finding(result, path.name).sentence
    energies = finding(result, f"{path.name}: energies")
    assert energies.level == "ok"
    share = float(energies.sentence.rsplit(";", 1)[1].split()[0])
    assert 0.4 < share < 0.8  # one half of kT a degree of freedom, and what is not harmonic
    assert "train would use 60 frames in 1 lineage" in finding(result, "frames").sentence
    assert of_level(result, "note") == ["frames"]  # they are few


def test_states_that_no_frame_visits_are_named(
    tmp_path: Path, dipeptide: MolecularSystem, frames: mdtraj.Trajectory
) -> None:
    mdtraj.Trajectory(np.repeat(dipeptide.positions[None], 5, 0), frames.topology).save(str(tmp_path / "t.dcd"))
    result = looked(dipeptide, tmp_path / "t.dcd")
    assert of_level(result, "problem") == ["states visited"]
    assert "No frame visits alpha_l." in finding(result, "states visited").sentence
    assert result.states == {"alpha_l": 0, "alpha_r": 5, "extended": 0}


def test_files_that_cannot_be_used_are_problems_and_the_others_are_still_looked_at(
    tmp_path: Path, dipeptide: MolecularSystem, frames: mdtraj.Trajectory
) -> None:
    def saved(name: str, xyz: np.ndarray) -> Path:
        mdtraj.Trajectory(xyz.astype(np.float32), frames.topology).save(str(tmp_path / name))
        return tmp_path / name

    cut = saved("cut.dcd", frames.xyz)
    cut.write_bytes(cut.read_bytes()[:-1000])
    spoilt = frames.xyz.copy()
    spoilt[7, 3] = np.nan
    frames.atom_slice(list(range(21))).save(str(tmp_path / "less.dcd"))
    (tmp_path / "empty.xtc").touch()
    (tmp_path / "junk.dcd").write_bytes(b"\x00" * 500)
    wrapped = frames.xyz.copy()
    wrapped[:, :11] += 1.5
    bad = {
        cut: "truncated: its header promises 60 frames",
        saved("angstrom.dcd", 10.0 * frames.xyz): "looks like ångström",
        saved("nan.dcd", spoilt): "not finite",
        saved("order.dcd", frames.xyz[:, [1, 0, *range(2, 22)]]): "median length",
        saved("broken.dcd", np.where(np.arange(60)[:, None, None] < 9, wrapped, frames.xyz)): "broken",
        tmp_path / "less.dcd": "has 21 atoms",
        tmp_path / "empty.xtc": "holds no frames",
        tmp_path / "junk.dcd": "",
        tmp_path / "absent.dcd": "no file",
    }
    good = saved("good.dcd", frames.xyz)
    result = looked(dipeptide, *bad, good)
    for path, words in bad.items():
        found = finding(result, path.name)
        assert found.level == "problem"
        assert words in found.sentence
        assert found.remedy
    assert result.frames == len(frames)
    assert of_level(result, "problem") == [path.name for path in bad]


def test_mirrored_frames_are_a_problem_and_other_labels_a_note(
    tmp_path: Path, dipeptide: MolecularSystem, frames: mdtraj.Trajectory
) -> None:
    mdtraj.Trajectory(frames.xyz * MIRROR.astype(np.float32), frames.topology).save(str(tmp_path / "m.dcd"))
    order = list(range(22))
    order[11], order[12] = 12, 11
    mdtraj.Trajectory(frames.xyz[:, order], frames.topology).save(str(tmp_path / "l.dcd"))
    result = looked(dipeptide, tmp_path / "m.dcd", tmp_path / "l.dcd")
    assert of_level(result, "problem") == ["m.dcd: domain"]
    assert "handedness at the stereocentre CA of ALA 2" in finding(result, "m.dcd: domain").sentence
    labels = finding(result, "l.dcd: domain")
    assert labels.level == "note"
    assert "CB of ALA 2 in 60 frames" in labels.sentence
    assert result.frames == 60


def test_a_box_and_a_broken_molecule_are_noted(
    tmp_path: Path, dipeptide: MolecularSystem, frames: mdtraj.Trajectory
) -> None:
    boxed = mdtraj.Trajectory(frames.xyz, frames.topology)
    boxed.unitcell_lengths = np.full((60, 3), 2.5)
    boxed.unitcell_angles = np.full((60, 3), 90.0)
    boxed.xyz = boxed.xyz - boxed.xyz[:, :1] + 0.05
    boxed.xyz = boxed.xyz - np.floor(boxed.xyz / 2.5) * 2.5
    boxed.save(str(tmp_path / "b.xtc"))
    result = looked(dipeptide, tmp_path / "b.xtc")
    assert result.problems == ()
    assert "periodic box" in finding(result, "b.xtc: box").sentence
    assert "made whole" in finding(result, "b.xtc: domain").sentence


def test_stored_energies_are_compared_up_to_an_offset(
    tmp_path: Path, dipeptide: MolecularSystem, frames: mdtraj.Trajectory
) -> None:
    kt = thermal_energy(300.0)
    u = open_energy(dipeptide, platform="Reference").reduced(frames.xyz.astype(np.float64), purpose="data")

    def stored(name: str, values: np.ndarray, units: str = "kilojoules_per_mole") -> str:
        path = tmp_path / name
        frames.save(str(path))
        with tables.open_file(str(path), "a") as handle:
            handle.create_array("/", "potentialEnergy", obj=values)
            handle.root.potentialEnergy._v_attrs.units = units
        result = looked(dipeptide, path)
        (item,) = [f for f in result.findings if f.name == f"{name}: stored energies"]
        return f"{item.level}: {item.sentence}"

    assert stored("same.h5", u * kt + 5.0 * kt).startswith("ok: Stored energies differ from recomputed ones by 5 kT")
    assert stored("kcal.h5", u * kt / 4.184, "kilocalories_per_mole").startswith("ok: Stored energies differ")
    assert stored("other.h5", u * kt * 1.3).startswith("problem: ")
    assert stored("bad.h5", np.full(60, np.nan)).startswith("note: The file's energies are not all finite")


def test_energies_of_an_ensemble_and_its_draws_of_weight_zero(
    tmp_path: Path, dipeptide: MolecularSystem, frames: mdtraj.Trajectory
) -> None:
    positions = frames.xyz.astype(np.float64)
    u = open_energy(dipeptide, platform="Reference").reduced(positions, purpose="data")
    weight = np.zeros(60)
    weight[:4] = -np.inf
    positions[:4] = 0.0
    header = EnsembleHeader(system_record(dipeptide), 300.0, "internal-coordinates", kind="equilibrium")

    def written(name: str, energies: np.ndarray) -> Path:
        with EnsembleWriter(tmp_path / name, header) as writer:
            writer.append(Ensemble(positions, None, energies, weight, weight == 0.0, header))
        return tmp_path / name

    result = looked(dipeptide, written("same.h5", u), written("other.h5", 0.5 * u))
    assert finding(result, "same.h5: stored energies").level == "ok"
    assert of_level(result, "problem") == ["other.h5: stored energies"]
    assert result.frames == 112
    assert "Give the weighted ensemble alone" in next(f.remedy for f in result.findings if "together" in f.sentence)


def test_a_selection_of_a_solvated_file(tmp_path: Path, dipeptide: MolecularSystem, frames: mdtraj.Trajectory) -> None:
    topology = mdtraj.Topology()
    residue = topology.add_residue("HOH", topology.add_chain())
    for name, symbol in (("O", "O"), ("H1", "H"), ("H2", "H")):
        topology.add_atom(name, mdtraj.element.get_by_symbol(symbol), residue)
    water = np.tile(np.array([[2.0, 2, 2], [2.1, 2, 2], [2, 2.1, 2]], dtype=np.float32), (60, 1, 1))
    full = frames.stack(mdtraj.Trajectory(water, topology))
    full.save(str(tmp_path / "t.h5"))
    refused = finding(looked(dipeptide, tmp_path / "t.h5"), "t.h5")
    assert refused.level == "problem"
    assert "1 water molecule" in refused.sentence
    assert "--selection" in refused.remedy
    assert looked(dipeptide, tmp_path / "t.h5", reading=ReadingOptions(selection="protein")).problems == ()


def with_bonds(system: MolecularSystem, bonds: tuple[tuple[int, int], ...]) -> MolecularSystem:
    return replace(system, topology=MolecularTopology(system.topology.atoms, bonds))


def test_bonds_that_the_force_field_lacks_or_has_too_many(dipeptide: MolecularSystem) -> None:
    system = openmm.XmlSerializer.deserialize(dipeptide.system_xml)
    force = next(f for f in system.getForces() if isinstance(f, openmm.HarmonicBondForce))
    force.addBond(0, 21, 0.15, 1000.0)
    extra = replace(dipeptide, system_xml=openmm.XmlSerializer.serialize(system))
    found = finding(looked(extra), "bonds")
    assert found.level == "problem"
    assert "bonds atoms that the topology does not" in found.sentence
    ring = finding(looked(with_bonds(dipeptide, (*dipeptide.topology.bonds, (0, 21)))), "bonds")
    assert ring.level == "problem"
    assert "no term for 1 bond of the topology" in ring.sentence
    two = looked(with_bonds(dipeptide, dipeptide.topology.bonds[1:]))
    assert "falls into 2 molecules" in finding(two, "molecule").sentence
    assert {"molecule", "coordinates"} <= set(of_level(two, "problem"))  # bonds are judged by the force field's too


def test_pairs_of_a_nonbonded_term_are_no_bonds(tmp_path: Path) -> None:
    """MMFF94 keeps van der Waals and charges of every pair in a bond force."""
    init(tmp_path / "menthol", smiles="C[C@@H]1CC[C@H]([C@@H](C1)O)C(C)C")
    assert finding(looked(str(tmp_path / "menthol")), "bonds").level == "ok"


def test_constraints_hold_bonds_too() -> None:
    system = load_system("alanine-dipeptide")
    assert isinstance(system, MolecularSystem)
    parsed = openmm.XmlSerializer.deserialize(system.system_xml)
    index = next(k for k, f in enumerate(parsed.getForces()) if isinstance(f, openmm.HarmonicBondForce))
    bonds = [parsed.getForce(index).getBondParameters(k) for k in range(parsed.getForce(index).getNumBonds())]
    others = openmm.HarmonicBondForce()
    for bond in bonds[1:]:
        others.addBond(*bond)
    parsed.addForce(others)
    parsed.removeForce(index)
    assert (
        finding(looked(replace(system, system_xml=openmm.XmlSerializer.serialize(parsed))), "bonds").level == "problem"
    )
    parsed.addConstraint(*bonds[0][:3])
    fixed = replace(system, system_xml=openmm.XmlSerializer.serialize(parsed))
    assert "1 distance fixed by constraints" in finding(looked(fixed), "bonds").sentence


def test_a_clashing_and_an_overlapping_structure(dipeptide: MolecularSystem) -> None:
    positions = dipeptide.positions.copy()
    positions[21] = positions[0] + 0.03
    clash = finding(looked(replace(dipeptide, positions=positions)), "energy")
    assert clash.level == "problem"
    assert "kT a degree of freedom" in clash.sentence
    positions[21] = positions[0]
    assert "not finite" in finding(looked(replace(dipeptide, positions=positions)), "energy").sentence


def test_states_and_variables_that_are_missing_or_wrong(dipeptide: MolecularSystem) -> None:
    def defined(**changes: object) -> CheckResult:
        return looked(replace(dipeptide, definition=dipeptide.definition.model_copy(update=changes)))

    assert finding(defined(cv=(), state=()), "variables").level == "note"
    assert finding(defined(state=()), "states").level == "note"
    wrong = defined(state=(StateSection(name="a", where="omega > 0deg"),))
    assert finding(wrong, "variables").level == "problem"
    twice = CVSection(name="d", distance=(0, 1))
    assert "d 0.1" in finding(defined(cv=(*dipeptide.definition.cv, twice)), "variables").sentence
