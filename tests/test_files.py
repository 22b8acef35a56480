"""Whole files and plain data."""

from pathlib import Path

import numpy as np
import pytest

from molgen.files import json_bytes, sha256_file, to_plain, write_atomically


def test_plain_data() -> None:
    data = {"a": np.float64(1.5), 2: (np.arange(2), Path("x/y")), "inf": float("inf"), "t": True, "n": None}
    assert to_plain(data) == {"a": 1.5, "2": [[0, 1], "x/y"], "inf": None, "t": True, "n": None}
    assert json_bytes({"φ": 1}) == '{\n  "φ": 1\n}\n'.encode()


def test_what_json_cannot_hold_is_an_error() -> None:
    with pytest.raises(TypeError, match="set cannot be written"):
        to_plain({"a": {1, 2}})


def test_write_and_hash(tmp_path: Path) -> None:
    write_atomically(tmp_path / "new" / "file", b"abc")
    assert (tmp_path / "new" / "file").read_bytes() == b"abc"
    # the SHA-256 of "abc" as FIPS 180-2 prints it
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert sha256_file(tmp_path / "new" / "file") == expected
