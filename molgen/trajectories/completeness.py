"""Whether a trajectory file was written and copied to its end, by its format's own rules."""

from collections.abc import Callable
from pathlib import Path

from molgen.errors import InputError
from molgen.trajectories.dcd import check_dcd_complete
from molgen.trajectories.gromacs import check_trr_complete, check_xtc_complete
from molgen.trajectories.netcdf import check_netcdf_complete
from molgen.trajectories.pdb import check_pdb_complete

_CHECKS: dict[tuple[str, ...], Callable[[Path], None]] = {
    (".dcd",): check_dcd_complete,
    (".xtc",): check_xtc_complete,
    (".trr",): check_trr_complete,
    (".nc", ".netcdf", ".ncdf"): check_netcdf_complete,
    (".pdb", ".ent", ".pdb.gz"): check_pdb_complete,
}


def check_complete(path: Path) -> None:
    """``InputError`` if the file is empty or ends too early; other formats (HDF5, GRO) find that out by themselves."""
    if path.stat().st_size == 0:
        raise InputError(f"{path} is empty: it holds no frames.", "Copy it again, or leave it out.")
    for endings, check in _CHECKS.items():
        if path.name.lower().endswith(endings):
            check(path)
