"""Reading tables of measured averages and of computed values."""

from pathlib import Path

import numpy as np
import pytest
import tables

from molgen.errors import InputError
from molgen.workflows.restraint_files import read_columns, read_restraints


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_a_table_of_averages(tmp_path: Path) -> None:
    text = '\ufeffname,mean,error,column\nJ,6.1,0.4,"karplus(phi, A=1, B=2, C=3)"\nd, 4 angstrom,0.1 angstrom,\n'
    first, second = read_restraints(write(tmp_path / "o.csv", text))
    assert (first.name, first.column) == ("J", "karplus(phi, A=1, B=2, C=3)")
    assert (second.name, second.mean, second.column) == ("d", "4 angstrom", "")


def test_columns_of_every_format(tmp_path: Path) -> None:
    a, b = np.array([1.0, np.nan, 3.0]), np.array([4.0, 5.0, 6.0])
    write(tmp_path / "v.csv", "a,b\n1,4\n,5\n3.0,6\n")
    np.savez(tmp_path / "v.npz", a=a, b=b)
    with tables.open_file(str(tmp_path / "v.h5"), "w") as handle:
        handle.create_array("/", "a", obj=a)
        handle.create_array("/", "b", obj=b)
    for name in ("v.csv", "v.npz", "v.h5"):
        found = read_columns(tmp_path / name)
        assert list(found) == ["a", "b"]
        np.testing.assert_array_equal(found["a"], a)
        np.testing.assert_array_equal(found["b"], b)


def test_what_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no file"):
        read_restraints(tmp_path / "none.csv")
    with pytest.raises(InputError, match="quotation marks") as caught:
        read_restraints(write(tmp_path / "o.csv", "name,mean,error,column\nJ,1,1,karplus(phi, A=1)\n"))
    assert "more values than" in str(caught.value)
    (tmp_path / "bytes.csv").write_bytes(b"\xff\xfe\x00name")
    with pytest.raises(InputError, match="cannot be read"):
        read_restraints(tmp_path / "bytes.csv")
    for name, text, message in (
        ("a.csv", "a\nsix\n", "is no number"),
        ("b.csv", "", "holds no columns"),
        ("c.npz", "no archive", "cannot be read as NPZ"),
        ("d.h5", "no archive", "cannot be read as HDF5"),
        ("e.txt", "a\n1\n", "no ending of a table"),
    ):
        with pytest.raises(InputError, match=message):
            read_columns(write(tmp_path / name, text))
    np.savez(tmp_path / "f.npz", a=np.zeros(3), b=np.zeros(4))
    with pytest.raises(InputError, match="columns of 3 and of 4 values"):
        read_columns(tmp_path / "f.npz")
    np.savez(tmp_path / "g.npz", a=np.zeros((3, 2)))
    with pytest.raises(InputError, match="a is no column"):
        read_columns(tmp_path / "g.npz")
    np.savez(tmp_path / "h.npz", a=np.array([{}], dtype=object))
    with pytest.raises(InputError, match="cannot be read as NPZ"):
        read_columns(tmp_path / "h.npz")
