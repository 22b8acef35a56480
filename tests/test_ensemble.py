"""The ensemble file: streamed, atomic, opened by MDTraj, rows aligned."""

import dataclasses
import json
from pathlib import Path

import mdtraj
import numpy as np
import pytest

from molgen.ensemble import Ensemble, EnsembleHeader, EnsembleReader, EnsembleWriter
from molgen.errors import InputError
from molgen.systems.loading import load_system
from molgen.systems.record import system_record

WATER = {
    "topology": {
        "atoms": [
            {"name": name, "element": name[0], "residue_name": "HOH", "residue_index": 0, "mass_da": 1.0}
            for name in ("O", "H1", "H2")
        ],
        "bonds": [[0, 1], [0, 2]],
    },
    "system_xml": "x" * 200_000,
}


def _rows(n: int, particles: int, dim: int, header: EnsembleHeader, seed: int = 0) -> Ensemble:
    generator = np.random.default_rng(seed)
    positions = generator.normal(size=(n, particles, dim)).astype(np.float32).astype(np.float64)
    return Ensemble(positions, generator.normal(size=n), None, None, generator.random(n) < 0.9, header)


def test_streamed_rows_come_back_aligned_and_mdtraj_opens_the_file(tmp_path: Path) -> None:
    header = EnsembleHeader(WATER, 300.0, "internal-coordinates", "ab" * 32, 7, evaluations={"sampling": 0})
    parts = [_rows(n, 3, 3, header, seed=n) for n in (5, 8, 2)]
    path = tmp_path / "ensemble.h5"
    with EnsembleWriter(path, header) as writer:
        for part in parts:
            assert not path.exists()
            writer.append(part)
    positions = np.concatenate([part.positions for part in parts])
    log_q = np.concatenate([part.log_q for part in parts if part.log_q is not None])

    reader = EnsembleReader(path)
    assert len(reader) == 15
    assert reader.header == header
    chunks = list(reader.chunks(4))
    assert [len(chunk) for chunk in chunks] == [4, 4, 4, 3]
    np.testing.assert_array_equal(np.concatenate([chunk.positions for chunk in chunks]), positions)
    np.testing.assert_array_equal(reader.column("log_q"), log_q)
    some = reader.rows(np.array([11, 3, 3]))
    np.testing.assert_array_equal(some.positions, positions[[11, 3, 3]])
    np.testing.assert_array_equal(some.log_q, log_q[[11, 3, 3]])
    assert some.reduced_energy is None
    with pytest.raises(InputError, match="no column log_weight"):
        reader.column("log_weight")

    trajectory = mdtraj.load(str(path))
    np.testing.assert_array_equal(trajectory.xyz, positions.astype(np.float32))
    assert [atom.element.symbol for atom in trajectory.topology.atoms] == ["O", "H", "H"]
    assert trajectory.topology.n_bonds == 2


def test_analytic_systems_are_padded_on_disk_only(tmp_path: Path) -> None:
    header = EnsembleHeader({"definition": {"name": "double-well"}}, 300.0, "external", dim=1)
    rows = _rows(6, 1, 1, header)
    path = tmp_path / "ensemble.h5"
    with EnsembleWriter(path, header) as writer:
        writer.append(rows)
    assert EnsembleReader(path).slice(0, 6).positions.shape == (6, 1, 1)
    trajectory = mdtraj.load(str(path))
    np.testing.assert_array_equal(trajectory.xyz[:, :, 1:], 0.0)
    np.testing.assert_array_equal(trajectory.xyz[:, :, 0], rows.positions[:, :, 0].astype(np.float32))


def test_a_failed_write_leaves_nothing_and_keeps_the_old_file(tmp_path: Path) -> None:
    header = EnsembleHeader(WATER, 300.0, "external")
    path = tmp_path / "ensemble.h5"
    with EnsembleWriter(path, header) as writer:
        writer.append(_rows(3, 3, 3, header))
    with pytest.raises(RuntimeError, match="power"), EnsembleWriter(path, header) as writer:
        writer.append(_rows(9, 3, 3, header))
        raise RuntimeError("power cut")
    assert len(EnsembleReader(path)) == 3
    assert [item.name for item in tmp_path.iterdir()] == ["ensemble.h5"]


def test_misaligned_rows_and_changed_columns_are_errors(tmp_path: Path) -> None:
    header = EnsembleHeader(WATER, 300.0, "external")
    rows = _rows(3, 3, 3, header)
    with pytest.raises(ValueError, match="log_q has shape"):
        Ensemble(rows.positions, np.zeros(2), None, None, rows.in_domain, header)
    with pytest.raises(ValueError, match="do not match"), EnsembleWriter(tmp_path / "e.h5", header) as writer:
        writer.append(rows)
        writer.append(Ensemble(rows.positions, None, None, None, rows.in_domain, header))


def test_annealed_particles_keep_population_weight_and_bias(tmp_path: Path) -> None:
    annealing = {"schedule": {"temperatures": [0.5, 1.0]}, "populations": [{"log_z": -1.5, "ess": [0.9, 0.7]}]}
    bias = {"text": "harmonic(x, center=0, k=8 kT)", "method": "annealed"}
    header = EnsembleHeader(WATER, 300.0, "external", bias=bias, kind="annealed", annealing=annealing)
    generator = np.random.default_rng(1)
    columns = {name: generator.normal(size=6) for name in ("reduced_energy", "log_weight", "reduced_bias")}
    columns["log_weight"][2] = -np.inf
    population = np.repeat([0.0, 1.0], 3)
    inside = np.isfinite(columns["log_weight"])
    positions = generator.normal(size=(6, 3, 3)).astype(np.float32).astype(np.float64)
    rows = Ensemble(positions, None, in_domain=inside, header=header, population=population, **columns)
    with EnsembleWriter(tmp_path / "e.h5", header) as writer:
        writer.append(rows)
    reader = EnsembleReader(tmp_path / "e.h5")
    assert reader.header == header
    assert reader.columns == ("reduced_energy", "log_weight", "population", "reduced_bias")
    for name, values in {**columns, "population": population}.items():
        np.testing.assert_array_equal(reader.column(name), values)
        np.testing.assert_array_equal(getattr(reader.rows(np.array([4, 0])), name), values[[4, 0]])
    with pytest.raises(ValueError, match="population has shape"):
        dataclasses.replace(rows, population=np.zeros(5))


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no ensemble file"):
        EnsembleReader(tmp_path / "missing.h5")
    (tmp_path / "text.h5").write_text("not hdf5")
    with pytest.raises(InputError, match="not a readable HDF5"):
        EnsembleReader(tmp_path / "text.h5")


def test_mdtraj_finds_the_torsions_of_a_real_system(tmp_path: Path) -> None:
    system = load_system("alanine-dipeptide")
    header = EnsembleHeader(system_record(system), 300.0, "internal-coordinates")
    positions = system.positions[None].astype(np.float32).astype(np.float64)
    with EnsembleWriter(tmp_path / "e.h5", header) as writer:
        writer.append(Ensemble(positions, np.zeros(1), None, None, np.ones(1, dtype=np.bool_), header))
    trajectory = mdtraj.load(str(tmp_path / "e.h5"))
    index, _ = mdtraj.compute_phi(trajectory)
    assert index.tolist() == [[4, 6, 8, 14]]
    assert trajectory.topology.n_bonds == len(system_record(system)["topology"]["bonds"])
    with pytest.raises(ValueError, match="22 atoms"), EnsembleWriter(tmp_path / "f.h5", header) as writer:
        writer.append(Ensemble(positions[:, :5], None, None, None, np.ones(1, dtype=np.bool_), header))


def test_a_header_without_a_word_on_its_density_is_of_exact_ones(tmp_path: Path) -> None:
    header = EnsembleHeader(WATER, 300.0, "external", density="hutchinson", drawing={"steps": 4})
    assert EnsembleHeader.from_bytes(header.to_bytes(), tmp_path) == header
    older = {key: value for key, value in json.loads(header.to_bytes()).items() if key not in ("density", "drawing")}
    assert EnsembleHeader.from_bytes(json.dumps(older).encode(), tmp_path).density == "exact"


def test_errors_of_noisy_densities_are_kept(tmp_path: Path) -> None:
    header = EnsembleHeader(WATER, 300.0, "cartesian-zero-com", density="hutchinson")
    rows = _rows(4, 3, 3, header)
    error = np.arange(4.0)
    with EnsembleWriter(tmp_path / "e.h5", header) as writer:
        writer.append(dataclasses.replace(rows, log_q_error=error))
    reader = EnsembleReader(tmp_path / "e.h5")
    assert "log_q_error" in reader.columns
    np.testing.assert_array_equal(reader.column("log_q_error"), error)
    np.testing.assert_array_equal(reader.slice(1, 3).log_q_error, error[1:3])
