"""Ensembles: frames, their log-density, energy, weight and domain flag, always indexed together, and their file.

The file is MDTraj's HDF5 layout, so ``mdtraj.load`` opens it: ``coordinates`` float32 ``(n, N, 3)`` in nm and
``topology`` as JSON. Beside them stand the row arrays ``log_q``, ``reduced_energy``, ``log_weight`` (float64), where
log q is noisy its standard errors ``log_q_error``, of annealed particles their ``population`` and the bias that was in
their weight, ``reduced_bias``, of frames of a part of the target their ``lineage``, and ``in_domain`` (bool), and the
header as JSON in an array of bytes. Nothing in it is pickled. Analytic systems live in 1 to 3 dimensions and are padded
with zeros to three on disk only.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import numpy as np

from molgen.arrays import BoolArray, FloatArray, IntArray
from molgen.errors import InputError
from molgen.files import atomic_path

Measure = Literal["internal-coordinates", "cartesian-zero-com", "external"]
Density = Literal["exact", "hutchinson"]
"""How ``log_q`` was found: exactly, or estimated with noise from random vectors (Hutchinson's trace)."""
COLUMNS = ("log_q", "reduced_energy", "log_weight", "log_q_error", "population", "reduced_bias", "lineage")
"""Optional float64 columns, one value a row."""


@dataclass(frozen=True)
class EnsembleHeader:
    """What a file of draws says about itself.

    ``measure`` names the space on which ``log_q`` is a density. ``kind`` is ``model`` for draws of a generative
    model, ``equilibrium`` for frames of the target (with ``log_weight`` where they carry weights), and ``annealed`` for
    particles of populations that were annealed to a target: these have no log q, but a ``log_weight`` of which the mean
    over all rows is the target's normalisation, and the number of their ``population``; ``part`` for weighted frames of
    a part of the target only, such as its transition states, which are no sample of the whole. ``density`` says
    how ``log_q`` was found (files that say nothing hold exact ones), ``drawing`` what was chosen for the draws other
    than the model's own way (:class:`molgen.models.base.DrawOptions`). ``bias`` is None, or the ``text`` of the bias
    that the draws were pushed by and the ``method``; with ``guided`` log_q is the density of the draws as they are, so
    that weights to the target are −u − log_q as always; with ``annealed`` the target of ``log_weight`` is e^{−u − B},
    and e^{−u} without a bias. ``annealing`` holds the temperatures and what happened to each population.
    """

    system_record: Mapping[str, Any]
    temperature_k: float
    measure: Measure
    model_sha256: str | None = None
    seed: int | None = None
    bias: Mapping[str, Any] | None = None
    evaluations: Mapping[str, int] = field(default_factory=dict)
    kind: Literal["model", "equilibrium", "annealed", "part"] = "model"
    dim: int = 3
    density: Density = "exact"
    drawing: Mapping[str, Any] = field(default_factory=dict)
    annealing: Mapping[str, Any] = field(default_factory=dict)

    def to_bytes(self) -> bytes:
        """The header as JSON."""
        return json.dumps(asdict(self), sort_keys=True).encode()

    @classmethod
    def from_bytes(cls, data: bytes, source: Path) -> Self:
        """Read :meth:`to_bytes`; ``InputError`` naming ``source`` if it is not such a header."""
        known = {item.name for item in fields(cls)}
        try:
            record = json.loads(data)
            return cls(**{key: value for key, value in record.items() if key in known})
        except (ValueError, TypeError, AttributeError) as error:
            raise InputError(
                f"{source} has no readable ensemble header.", "Draw it anew with molgen sample."
            ) from error


@dataclass(frozen=True)
class Ensemble:
    """Rows of an ensemble: positions ``(n, N, D)`` in nm and, where known, one value of each column a row."""

    positions: FloatArray
    log_q: FloatArray | None
    reduced_energy: FloatArray | None
    log_weight: FloatArray | None
    in_domain: BoolArray
    header: EnsembleHeader
    log_q_error: FloatArray | None = None
    population: FloatArray | None = None
    reduced_bias: FloatArray | None = None
    lineage: FloatArray | None = None

    def __post_init__(self) -> None:
        n = len(self.positions)
        for name in (*COLUMNS, "in_domain"):
            column = getattr(self, name)
            if column is not None and column.shape != (n,):
                raise ValueError(f"{name} has shape {column.shape}, not ({n},)")

    def __len__(self) -> int:
        return len(self.positions)


class EnsembleWriter:
    """Writes rows as they come; the file appears under its name, complete, when the context ends without an error.

    The columns of the first :meth:`append` are the columns of the file.
    """

    def __init__(self, path: Path, header: EnsembleHeader) -> None:
        self.path = Path(path)
        self.header = header
        self._stack = ExitStack()
        self._file: Any = None
        self._columns: tuple[str, ...] = ()
        self._created = False

    def __enter__(self) -> Self:
        import tables

        temporary = self._stack.enter_context(atomic_path(self.path))
        self._file = tables.open_file(str(temporary), mode="w", title="molgen ensemble")
        return self

    def append(self, rows: Ensemble) -> None:
        """Add ``rows``; ``ValueError`` if their columns differ from those of the first call."""
        columns = tuple(name for name in COLUMNS if getattr(rows, name) is not None)
        if not self._created:
            self._create(rows, columns)
        if columns != self._columns:
            raise ValueError(f"columns {columns} do not match the file's {self._columns}")
        padded = np.zeros((*rows.positions.shape[:2], 3), dtype=np.float32)
        padded[:, :, : self.header.dim] = rows.positions
        root = self._file.root
        root.coordinates.append(padded)
        for name in columns:
            getattr(root, name).append(np.asarray(getattr(rows, name), dtype=np.float64))
        root.in_domain.append(np.asarray(rows.in_domain, dtype=np.bool_))

    def _create(self, rows: Ensemble, columns: tuple[str, ...]) -> None:
        import tables

        n_particles = rows.positions.shape[1]
        handle = self._file
        attributes = handle.root._v_attrs
        attributes.conventions = "Pande"
        attributes.conventionVersion = "1.1"
        attributes.program = "molgen"
        attributes.application = "molgen"
        coordinates = handle.create_earray("/", "coordinates", atom=tables.Float32Atom(), shape=(0, n_particles, 3))
        coordinates.attrs["units"] = "nanometers"
        for name in columns:
            handle.create_earray("/", name, atom=tables.Float64Atom(), shape=(0,))
        handle.create_earray("/", "in_domain", atom=tables.BoolAtom(), shape=(0,))
        topology = json.dumps(mdtraj_topology_record(self.header.system_record, n_particles))
        handle.create_array("/", "topology", obj=[topology.encode("ascii")])
        handle.create_array("/", "molgen_header", obj=np.frombuffer(self.header.to_bytes(), dtype=np.uint8))
        self._columns = columns
        self._created = True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        if kind is None and not self._created:
            error = ValueError("an ensemble file needs at least one call of append")
            self._stack.__exit__(ValueError, error, None)
            raise error
        self._stack.__exit__(kind, error, trace)


class EnsembleReader:
    """Reads an ensemble file in chunks; the file is opened anew for every call and never changed."""

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        if not self.path.is_file():
            raise InputError(f"There is no ensemble file {self.path}.", "Draw one with molgen sample.")
        with self._open() as handle:
            for name in ("coordinates", "molgen_header", "in_domain"):
                if f"/{name}" not in handle:
                    raise InputError(f"{self.path} is not an ensemble file: it has no {name}.", "Use molgen sample.")
            self.header = EnsembleHeader.from_bytes(bytes(handle.get_node("/molgen_header").read()), self.path)
            self._n, self.n_particles = (int(size) for size in handle.get_node("/coordinates").shape[:2])
            self.columns = tuple(name for name in COLUMNS if f"/{name}" in handle)
            lengths = {name: len(handle.get_node(f"/{name}")) for name in (*self.columns, "in_domain")}
        for name, length in lengths.items():
            if length != self._n:
                raise InputError(f"{self.path} has {self._n} frames but {length} values of {name}.", "Draw it anew.")

    def __len__(self) -> int:
        return self._n

    def _open(self) -> Any:
        import tables

        try:
            return tables.open_file(str(self.path), mode="r")
        except tables.HDF5ExtError as error:
            raise InputError(f"{self.path} is not a readable HDF5 file.", "Draw it anew with molgen sample.") from error

    def chunks(self, size: int) -> Iterator[Ensemble]:
        """Consecutive rows, at most ``size`` at a time."""
        for start in range(0, self._n, size):
            yield self.slice(start, min(start + size, self._n))

    def slice(self, start: int, stop: int) -> Ensemble:
        """Rows ``start`` to ``stop - 1``."""
        with self._open() as handle:
            return self._build(lambda name: handle.get_node(f"/{name}")[start:stop])

    def rows(self, index: IntArray) -> Ensemble:
        """The rows ``index`` ``(m,)``, in that order."""
        unique, inverse = np.unique(np.asarray(index, dtype=np.int64), return_inverse=True)
        with self._open() as handle:
            return self._build(lambda name: np.stack([handle.get_node(f"/{name}")[int(i)] for i in unique])[inverse])

    def column(self, name: str) -> FloatArray | BoolArray:
        """All values ``(n,)`` of one column; ``InputError`` if the file lacks it."""
        if name not in (*self.columns, "in_domain"):
            raise InputError(f"{self.path} has no column {name}.", f"It has {', '.join((*self.columns, 'in_domain'))}.")
        with self._open() as handle:
            values = handle.get_node(f"/{name}")[:]
        return np.asarray(values)

    def _build(self, get: Any) -> Ensemble:
        coordinates = np.asarray(get("coordinates"), dtype=np.float64)
        columns = {name: np.asarray(get(name), dtype=np.float64) if name in self.columns else None for name in COLUMNS}
        return Ensemble(
            positions=coordinates[:, :, : self.header.dim],
            in_domain=np.asarray(get("in_domain"), dtype=np.bool_),
            header=self.header,
            **columns,
        )


def mdtraj_topology_record(system_record: Mapping[str, Any], n_particles: int) -> dict[str, Any]:
    """The topology as MDTraj's HDF5 files keep it: chains of residues of atoms, and bonds.

    ``system_record["topology"]`` holds ``atoms`` (name, element, residue_name, residue_index) and ``bonds``; systems
    without one (analytic ones) get ``n_particles`` virtual sites in one residue. ``ValueError`` if it has another
    number of atoms.
    """
    topology = system_record.get("topology")
    if not topology:
        sites = [{"index": i, "name": f"X{i + 1}", "element": "VS"} for i in range(n_particles)]
        return {"chains": [_chain([{"index": 0, "name": "PRT", "resSeq": 1, "atoms": sites}])], "bonds": []}
    if len(topology["atoms"]) != n_particles:
        raise ValueError(f"the system has {len(topology['atoms'])} atoms, the frames have {n_particles}")
    residues: dict[int, dict[str, Any]] = {}
    for index, atom in enumerate(topology["atoms"]):
        number = int(atom["residue_index"])
        empty = {"index": len(residues), "name": atom["residue_name"], "resSeq": number + 1, "segmentID": ""}
        residue = residues.setdefault(number, empty | {"atoms": []})
        residue["atoms"].append({"index": index, "name": atom["name"], "element": atom["element"]})
    bonds = [[int(i), int(j)] for i, j in topology["bonds"]]
    return {"chains": [_chain(list(residues.values()))], "bonds": bonds}


def _chain(residues: list[dict[str, Any]]) -> dict[str, Any]:
    return {"index": 0, "residues": residues}
