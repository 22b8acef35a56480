"""Reading systems: built-ins, the user's TOML, and every refusal with its remedy."""

import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from molgen.errors import InputError
from molgen.systems import AnalyticSystem, MolecularSystem, load_system, system_names
from molgen.systems.loading import data_root

CLUSTERS = ("dw4", "lj13", "lj55")
NAMES = [
    "alanine-dipeptide", "alanine-dipeptide-obc1", "alanine-dipeptide-vacuum", "double-well", "muller-brown",
    "dead-end", "hidden-coordinate", "dw4", "lj13", "lj55",
]  # fmt: skip
PHI = "[[cv]]\nname = 'phi'\ntorsion = [4, 6, 8, 14]\n"


def written(folder: Path, text: str = "", *, topology: bool = True, name: str = "mine") -> Path:
    """A system.toml with ``text`` beside a copy of the dipeptide's topology."""
    (folder / "topology.pdb").write_bytes((data_root() / "systems/alanine-dipeptide/topology.pdb").read_bytes())
    head = f"name = '{name}'\n"
    path = folder / "system.toml"
    path.write_text(head + text + ("\n[topology]\nfile = 'topology.pdb'\n" if topology else ""))
    return path


def test_the_built_in_systems_are_listed() -> None:
    assert set(NAMES) <= set(system_names())


@pytest.mark.parametrize("name", NAMES)
def test_every_built_in_system_loads_and_can_be_pickled(name: str) -> None:
    system = load_system(name)
    again = pickle.loads(pickle.dumps(system))  # noqa: S301  (our own bytes: workers receive systems so)
    assert again.name == name
    assert again.fingerprint == system.fingerprint
    assert again.positions.shape == (system.n_particles, system.dim)
    assert system.definition.state or name in CLUSTERS
    assert (data_root() / "systems" / name / "README.md").is_file()


@pytest.mark.parametrize("name", NAMES[:3])
def test_the_dipeptides_share_atoms_and_have_physical_masses_and_no_constraints(name: str) -> None:
    system = load_system(name)
    assert isinstance(system, MolecularSystem)
    assert [a.name for a in system.topology.atoms][:9] == ["HH31", "CH3", "HH32", "HH33", "C", "O", "N", "H", "CA"]
    assert [a.residue_name for a in system.topology.atoms[::8]] == ["ACE", "ALA", "NME"]
    assert len(system.topology.bonds) == 21
    assert sum(a.mass_da for a in system.topology.atoms) == pytest.approx(144.17, abs=0.02)
    assert "<Constraints/>" in system.system_xml
    assert "CMMotionRemover" not in system.system_xml
    assert system.temperature_k == 300.0


def test_the_three_force_fields_have_different_fingerprints() -> None:
    assert len({load_system(name).fingerprint for name in NAMES[:3]}) == 3


def test_an_analytic_system_has_unit_thermal_energy() -> None:
    from molgen.units import thermal_energy

    system = load_system("double-well")
    assert isinstance(system, AnalyticSystem)
    assert thermal_energy(system.temperature_k) == pytest.approx(1.0, abs=1e-15)
    assert system.parameters == {"barrier": 5.0, "tilt": 0.5}
    assert load_system("muller-brown").dim == 2


def test_a_users_file_folder_and_defaults(tmp_path: Path) -> None:
    path = written(tmp_path, "temperature_k = 310\n")
    from_file, from_folder = load_system(path), load_system(str(tmp_path))
    assert from_file.temperature_k == 310.0
    assert from_file.fingerprint == from_folder.fingerprint == load_system("alanine-dipeptide").fingerprint
    assert from_file.definition.forcefield.files == ("amber99sbildn.xml", "amber99_obc.xml")


def test_loading_a_package_imports_nothing_heavy() -> None:
    code = (
        "import sys, molgen.systems; molgen.systems.load_system('double-well');"
        "bad = {'openmm', 'torch', 'mdtraj'} & set(sys.modules); assert not bad, bad"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(InputError, match="Did you mean alanine-dipeptide"):
        load_system("alanine-dipeptid")


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="There is no file"):
        load_system(tmp_path / "absent.toml")
    with pytest.raises(InputError, match=r"holds no system\.toml"):
        load_system(tmp_path)
    path = written(tmp_path)
    (tmp_path / "topology.pdb").unlink()
    with pytest.raises(InputError, match=r"topology\.pdb does not exist.*\[topology\] file"):
        load_system(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("temprature_k = 300\n", "unknown key 'temprature_k'. Did you mean temperature_k"),
        ("[dynamics]\ntimestep = 1\n", "Did you mean timestep_fs"),
        ("[[cv]]\nname = 'phi'\ntorson = [4, 6, 8, 14]\n", "Did you mean torsion"),
        ("temperature_k = -1\n", "greater than 0"),
        ("name = \n", "not valid TOML"),
        (PHI.replace("14", "99"), "names atom 99, but there are 22 atoms"),
        (PHI.replace("4, 6", "-1, 6"), "names atom -1"),
        (PHI.replace("4, 6", "6, 6"), "names an atom twice"),
        (PHI + "distance = [1, 2]\n", "gives torsion and distance"),
        ("[[cv]]\nname = 'phi'\n", "gives none"),
        (PHI + PHI, "cv name 'phi' is given twice"),
        ("[[cv]]\nname = 'my phi'\nposition = 0\n", "cannot be a cv name"),
        ("[[cv]]\nname = 'x'\nposition = 0\n", "a position"),
        ("[[cv]]\nname = 'r'\nrmsd = {atoms = [1, 2]}\n", "at least 3 atoms"),
        ("[[state]]\nname='a'\nwhere='otherwise'\n" * 2, "state name 'a' is given twice"),
        ("[analytic]\npotential = 'double-well'\n", "either a .topology. or an .analytic."),
        ("[forcefield]\nfiles = ['no-such.xml']\n", "force field no-such.xml cannot be read"),
        ("[forcefield]\nfiles = ['tip3p.xml']\n", "no template for ACE 1, ALA 2, NME 3"),
        ("[forcefield]\nsystem_xml = 'no.xml'\n", "does not exist"),
    ],
)
def test_a_bad_entry_is_refused_with_a_remedy(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        load_system(written(tmp_path, text))
    assert caught.value.hint


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "either a .topology. or an .analytic."),
        ("[analytic]\npotential = 'double-well'\nparameters = {barier = 1}\n", "Did you mean barrier"),
        ("temperature_k = 300\n[analytic]\npotential = 'double-well'\n", "has no temperature"),
        ("[analytic]\npotential = 'double-well'\n[[cv]]\nname='y'\nposition = 1\n", "no coordinate"),
    ],
)
def test_a_bad_analytic_system_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_system(written(tmp_path, text, topology=False))


def test_a_system_of_another_molecule_is_refused(tmp_path: Path) -> None:
    import openmm

    other = openmm.System()
    other.addParticle(1.0)
    (tmp_path / "one.xml").write_text(openmm.XmlSerializer.serialize(other))
    with pytest.raises(InputError, match="has 1 particles"):
        load_system(written(tmp_path, "[forcefield]\nsystem_xml = 'one.xml'\n"))


def test_positions_are_in_nanometres() -> None:
    system = load_system("alanine-dipeptide")
    assert isinstance(system, MolecularSystem)
    lengths = [np.linalg.norm(system.positions[i] - system.positions[j]) for i, j in system.topology.bonds]
    assert min(lengths) > 0.09
    assert max(lengths) < 0.16
