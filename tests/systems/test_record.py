"""A system's record stands by itself."""

import json
from pathlib import Path

import numpy as np
import pytest

from molgen.errors import InputError
from molgen.systems import MolecularSystem, load_system
from molgen.systems.record import system_from_record, system_record


@pytest.mark.parametrize("name", ["alanine-dipeptide", "muller-brown"])
def test_a_record_survives_json(name: str) -> None:
    system = load_system(name)
    again = system_from_record(json.loads(json.dumps(system_record(system))))
    assert again.fingerprint == system.fingerprint
    assert again.definition == system.definition
    np.testing.assert_array_equal(again.positions, system.positions)
    if isinstance(system, MolecularSystem):
        assert isinstance(again, MolecularSystem)
        assert again.topology == system.topology


def test_an_altered_record_is_refused() -> None:
    record = system_record(load_system("double-well"))
    record["definition"]["analytic"]["parameters"]["tilt"] = 0.7
    with pytest.raises(InputError, match="fingerprint"):
        system_from_record(record)


def test_an_incomplete_or_foreign_record_is_refused() -> None:
    record = system_record(load_system("double-well"))
    with pytest.raises(InputError, match="format 7"):
        system_from_record({**record, "format": 7})
    del record["positions"]
    with pytest.raises(InputError, match="incomplete"):
        system_from_record(record)


def test_the_reference_is_found_again_only_for_the_same_built_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "systems" / "well"
    folder.mkdir(parents=True)
    text = "name = 'well'\n[analytic]\npotential = 'double-well'\n[reference]\nfile = 'ref.h5'\n"
    (folder / "system.toml").write_text(text)
    (folder / "ref.h5").write_bytes(b"")
    monkeypatch.setattr("molgen.systems.loading.data_root", lambda: tmp_path)
    monkeypatch.setattr("molgen.systems.record.data_root", lambda: tmp_path)
    record = system_record(load_system("well"))
    assert system_from_record(record).reference_path == folder / "ref.h5"
    (folder / "system.toml").write_text(text.replace("'double-well'", "'double-well'\nparameters = {tilt = 1.0}"))
    assert system_from_record(record).reference_path is None
    (folder / "ref.h5").unlink()
    assert system_from_record(record).reference_path is None
