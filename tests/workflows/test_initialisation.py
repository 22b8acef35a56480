"""`init` from every source: what it makes is a system that works, and bad input writes nothing."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from molgen import workflows
from molgen.energies.molecular import MolecularEnergy
from molgen.errors import InputError, UsageError
from molgen.files import json_bytes
from molgen.systems import MolecularSystem, load_system
from molgen.systems.loading import data_root

OBC1 = data_root() / "systems" / "alanine-dipeptide-obc1"


def loaded(result: workflows.InitResult) -> MolecularSystem:
    system = load_system(result.directory)
    assert isinstance(system, MolecularSystem)
    return system


def test_a_sequence_becomes_a_system_with_variables(tmp_path: Path) -> None:
    result = workflows.init(tmp_path / "gtf", sequence="GTF", termini="zwitterion", temperature_k=310.0)
    system = loaded(result)
    assert result.system == system.name == "gtf"
    assert result.n_atoms == system.n_particles == 44
    assert result.cvs == tuple(cv.name for cv in system.definition.cv)
    assert {"psi_1", "phi_2", "phi_3", "chi1_2"} <= set(result.cvs)
    assert system.temperature_k == 310.0
    assert result.system_file == tmp_path / "gtf" / "system.toml"
    assert json.loads(json_bytes(result.to_json()))["choices"] == list(result.choices)
    energy = MolecularEnergy(system, platform="Reference")
    assert np.isfinite(energy.reduced(system.positions[None], purpose="data")).all()


def test_the_same_call_gives_the_same_files(tmp_path: Path) -> None:
    files = []
    for folder in ("one", "two"):
        result = workflows.init(tmp_path / folder, sequence="HC", name="it", ph=5.0)
        files.append([path.read_bytes() for path in result.files])
    assert files[0] == files[1]
    workflows.init(tmp_path / "one", sequence="HC", name="it", ph=5.0)
    with pytest.raises(InputError, match="already there"):
        workflows.init(tmp_path / "one", sequence="HC", name="it", ph=7.0)


def test_settings_reach_the_definition(tmp_path: Path) -> None:
    definition = loaded(
        workflows.init(tmp_path / "a", sequence="A", cis_trans="free", constraints="h-bonds", name="mine")
    ).definition
    assert (definition.name, definition.domain.cis_trans, definition.forcefield.constraints) == (
        "mine",
        "free",
        "h-bonds",
    )
    assert "omega_1" in [cv.name for cv in definition.cv]


def test_what_init_wrote_can_be_given_back_to_it(tmp_path: Path) -> None:
    first = workflows.init(tmp_path / "first", sequence="CAPHC", disulphides=((1, 5),))
    second = workflows.init(tmp_path / "second", pdb=tmp_path / "first" / "topology.pdb")
    assert loaded(first).fingerprint == loaded(second).fingerprint
    assert first.cvs == second.cvs
    assert (tmp_path / "first/topology.pdb").read_bytes() == (tmp_path / "second/topology.pdb").read_bytes()


def test_a_pdb_with_its_system(tmp_path: Path) -> None:
    result = workflows.init(tmp_path / "ala", pdb=OBC1 / "topology.pdb", system_xml=OBC1 / "system.xml")
    assert loaded(result).fingerprint == load_system("alanine-dipeptide-obc1").fingerprint
    assert [path.name for path in result.files] == ["system.toml", "topology.pdb", "system.xml"]


def test_a_force_field_of_openmms(tmp_path: Path) -> None:
    result = workflows.init(tmp_path / "ala", pdb=OBC1 / "topology.pdb", forcefield=("amber14/protein.ff14SB.xml",))
    assert loaded(result).definition.forcefield.files == ("amber14/protein.ff14SB.xml",)


def test_a_smiles(tmp_path: Path) -> None:
    result = workflows.init(tmp_path / "ether", smiles="CCOCC", seed=2)
    system = loaded(result)
    assert system.n_particles == 15
    assert result.cvs == ("torsion_C2_O1", "torsion_O1_C3")  # the methyls are symmetric
    assert system.definition.description == "CCOCC, MMFF94"


def test_a_closed_chain_keeps_its_closing_bond(tmp_path: Path) -> None:
    """cyclo(Gly-Gly): two standard residues with a bond that no reader implies."""
    from rdkit import Chem
    from rdkit.Chem import AllChem

    molecule = Chem.AddHs(Chem.MolFromSmiles("N1CC(=O)NCC1=O"))
    assert AllChem.EmbedMolecule(molecule, randomSeed=1) == 0
    heavy = {0: "N", 1: "CA", 2: "C", 3: "O", 4: "N", 5: "CA", 6: "C", 7: "O"}
    residue = {k: 0 if k < 4 else 1 for k in heavy}
    names: dict[int, tuple[int, str]] = {k: (residue[k], name) for k, name in heavy.items()}
    for atom in molecule.GetAtoms():
        if atom.GetSymbol() != "H":
            continue
        parent = atom.GetNeighbors()[0].GetIdx()
        alpha = "HA3" if (residue[parent], "HA2") in names.values() else "HA2"
        name = "H" if heavy[parent] == "N" else alpha
        names[atom.GetIdx()] = (residue[parent], name)
    positions = molecule.GetConformer().GetPositions()
    order = sorted(names, key=lambda k: names[k][0])
    lines = [
        f"ATOM  {serial:5d}  {names[k][1]:<3s} GLY A{names[k][0] + 1:4d}    "
        + "".join(f"{x:8.3f}" for x in positions[k])
        + f"  1.00  0.00           {names[k][1][0]}"
        for serial, k in enumerate(order, start=1)
    ]
    first, last = order.index(0) + 1, order.index(6) + 1
    (tmp_path / "ring.pdb").write_text("\n".join([*lines, f"CONECT{first:5d}{last:5d}", "END", ""]))
    system = loaded(workflows.init(tmp_path / "ring", pdb=tmp_path / "ring.pdb"))
    assert (min(first, last) - 1, max(first, last) - 1) in system.topology.bonds
    assert len(system.topology.bonds) == 14


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "none given"),
        ({"sequence": "A", "smiles": "CC"}, "--sequence and --smiles given"),
        ({"smiles": "CCOCC", "termini": "capped"}, "--termini belongs to --sequence, not to --smiles"),
        ({"sequence": "A", "chain": "B"}, "--chain belongs to --pdb"),
        ({"sequence": "A", "system_xml": Path("x.xml")}, "--system-xml belongs to --pdb"),
        ({"pdb": Path("x.pdb"), "variants": {1: "HID"}}, "--variant belongs to --sequence"),
        ({"pdb": Path("x.pdb"), "disulphides": ((1, 2),)}, "--disulphide belongs to --sequence"),
        ({"pdb": Path("x.pdb"), "ph": 0.0}, "--ph belongs to --sequence"),
        ({"pdb": Path("x.pdb"), "system_xml": Path("x.xml"), "forcefield": ("a.xml",)}, "names another"),
        ({"pdb": Path("x.pdb"), "system_xml": Path("x.xml"), "constraints": "h-bonds"}, "says itself which bonds"),
    ],
)
def test_arguments_that_do_not_fit_together(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        workflows.init(tmp_path / "new", **options)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "options",
    [
        {"sequence": "GXF"},
        {"sequence": "AHA", "variants": {1: "HID"}},
        {"sequence": "G", "termini": "zwitterion"},
        {"pdb": Path("absent.pdb")},
        {"pdb": OBC1 / "topology.pdb", "forcefield": ("tip3p.xml",)},
        {"smiles": "CC("},
    ],
)
def test_bad_input_writes_nothing(tmp_path: Path, options: dict[str, Any]) -> None:
    with pytest.raises(InputError) as caught:
        workflows.init(tmp_path / "deep" / "new", **options)
    assert caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_names_come_from_the_folder(tmp_path: Path) -> None:
    assert workflows.init(tmp_path / "my pép tide!", sequence="G").system == "my-p-p-tide"
