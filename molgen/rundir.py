"""A run is a directory that survives ``kill -9``: a lock, a manifest, atomic writes, resume by the same command."""

import fcntl
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from molgen.errors import InputError
from molgen.files import TEMPORARY_PREFIX, atomic_path, json_bytes, sha256_file, to_plain, write_atomically
from molgen.provenance import command_line, library_versions, provenance, timestamp
from molgen.seeds import new_root_seed

__all__ = [
    "Manifest",
    "RunDirectory",
    "RunLockedError",
    "configuration_hash",
    "provenance",
    "read_manifest",
    "sha256_file",
    "write_atomically",
]

MANIFEST = "manifest.json"
LOG = "run.log"
LOCK = ".lock"


class RunLockedError(InputError):
    """Another live process works in the run directory (exit 3)."""


@dataclass(frozen=True)
class Manifest:
    """What ``manifest.json`` says; ``artifacts`` maps a file's name in the run directory to its SHA-256."""

    kind: str
    status: str
    config: dict[str, Any]
    config_hash: str
    seed: int
    created: str
    command: str
    versions: dict[str, str]
    finished: str | None = None
    result: dict[str, Any] = field(default_factory=dict)
    artifacts: dict[str, str] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)


class RunDirectory:
    """One run on disk, locked while open; use it in a ``with`` statement.

    An ``InputError`` inside the statement takes a directory away again that was begun there and holds nothing yet.
    ``seed`` is the run's root seed, ``resumed`` says whether it was begun before, ``complete`` whether it is
    finished, in which case ``manifest.result`` holds what it gave.
    """

    def __init__(self, path: Path, manifest: Manifest, *, resumed: bool, lock: int) -> None:
        self.path = path
        self.manifest = manifest
        self.resumed = resumed
        self._lock: int | None = lock

    @classmethod
    def open(cls, path: str | Path, *, kind: str, config: Mapping[str, Any], seed: int | None) -> Self:
        """Create the run directory ``path`` or continue the run in it.

        ``InputError`` if it belongs to a run of another kind, configuration or seed (the first differing field
        is named), if another process holds it (``RunLockedError``), or if it is a folder of something else; in
        none of these cases anything is changed. With ``seed=None`` a new run draws one and a resumed run keeps its own.
        """
        path = Path(path)
        plain = to_plain(config)
        _check_usable(path)
        if _has_manifest(path):
            _check_same(path, _load(path), kind, plain, seed)
        lock = _acquire(path)
        try:
            for leftover in path.rglob(f"{TEMPORARY_PREFIX}*"):
                leftover.unlink()
            resumed = _has_manifest(path)
            if resumed:
                manifest = _load(path)
                _check_same(path, manifest, kind, plain, seed)
            else:
                manifest = _new_manifest(kind, plain, new_root_seed() if seed is None else seed)
                _store(path, manifest)
            run = cls(path, manifest, resumed=resumed, lock=lock)
            run.log(f"{'resumed' if resumed else 'started'}: {command_line()}")
        except BaseException:
            os.close(lock)
            raise
        return run

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None and issubclass(kind, InputError) and not self.resumed:
            self._withdraw()
        self.close()

    def _withdraw(self) -> None:
        """Remove a directory in which nothing but the run's own beginning was written: bad input leaves no trace."""
        own = {LOCK, LOG, MANIFEST}
        if all(entry.name in own for entry in self.path.iterdir()):
            for name in own:
                (self.path / name).unlink(missing_ok=True)
            self.path.rmdir()

    def close(self) -> None:
        """Give the lock back; what is written stays."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    @property
    def seed(self) -> int:
        """Root seed of the run."""
        return self.manifest.seed

    @property
    def complete(self) -> bool:
        """Whether :meth:`finish` was reached, now or in an earlier process."""
        return self.manifest.status == "complete"

    def atomic(self, name: str) -> AbstractContextManager[Path]:
        """A temporary path that becomes ``name`` when the ``with`` block ends without an exception."""
        return atomic_path(self._inside(name))

    def write_bytes(self, name: str, data: bytes) -> None:
        """Write the file ``name`` atomically."""
        write_atomically(self._inside(name), data)

    def write_json(self, name: str, data: Any) -> None:
        """Write ``data`` as JSON atomically; numbers that are not finite become null."""
        write_atomically(self._inside(name), json_bytes(data))

    def read_json(self, name: str) -> Any | None:
        """The content of the JSON file ``name``, or None if it is not there."""
        path = self._inside(name)
        return json.loads(path.read_bytes()) if path.exists() else None

    def log(self, message: str) -> None:
        """Append a dated line to ``run.log``."""
        with (self.path / LOG).open("a", encoding="utf-8") as file:
            file.write(f"{timestamp()} {message}\n")

    def record(self, **facts: Any) -> None:
        """Add facts (platform, hashes, timings) to the manifest's ``provenance``."""
        self.manifest = replace(self.manifest, provenance={**self.manifest.provenance, **to_plain(facts)})
        _store(self.path, self.manifest)

    def finish(self, result: Mapping[str, Any], artifacts: Iterable[str] | None = None) -> None:
        """Write the manifest last: status ``complete``, the result, the SHA-256 of each artifact.

        ``artifacts`` names files in the directory; without it they are all its files, except the log, those of
        nested run directories and hidden ones.
        """
        names = sorted(artifacts) if artifacts is not None else sorted(_files_of(self.path))
        self.manifest = replace(
            self.manifest,
            status="complete",
            finished=timestamp(),
            result=to_plain(result),
            artifacts={name: sha256_file(self._inside(name)) for name in names},
        )
        self.log("complete")
        _store(self.path, self.manifest)

    def _inside(self, name: str) -> Path:
        path = self.path / name
        if not path.resolve().is_relative_to(self.path.resolve()):
            raise ValueError(f"{name!r} lies outside the run directory")
        return path


def read_manifest(path: str | Path, kind: str | None = None) -> Manifest:
    """The manifest of the finished run in ``path``; ``InputError`` if it is no finished run of that ``kind``."""
    path = Path(path)
    what = "molgen run" if kind is None else f"{kind} run"
    if not _has_manifest(path):
        raise InputError(f"{path} is not the directory of a {what}.", "Give the directory that -o named.")
    manifest = _load(path)
    if kind is not None and manifest.kind != kind:
        raise InputError(f"{path} holds a {manifest.kind} run, not a {kind} run.", "Give another directory.")
    if manifest.status != "complete":
        raise InputError(f"The {manifest.kind} run in {path} is not complete.", "Run its command again to continue it.")
    return manifest


def configuration_hash(config: Mapping[str, Any]) -> str:
    """SHA-256 of ``config`` as JSON with sorted keys: equal for equal settings, whatever their order."""
    text = json.dumps(to_plain(config), sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _new_manifest(kind: str, config: dict[str, Any], seed: int) -> Manifest:
    return Manifest(
        kind=kind,
        status="running",
        config=config,
        config_hash=configuration_hash(config),
        seed=seed,
        created=timestamp(),
        command=command_line(),
        versions=library_versions(),
    )


def _has_manifest(path: Path) -> bool:
    return (path / MANIFEST).is_file()


def _store(path: Path, manifest: Manifest) -> None:
    write_atomically(path / MANIFEST, json_bytes(asdict(manifest)))


def _load(path: Path) -> Manifest:
    try:
        return Manifest(**json.loads((path / MANIFEST).read_bytes()))
    except (OSError, ValueError, TypeError) as error:
        raise InputError(
            f"{path / MANIFEST} cannot be read as a manifest of molgen.", "Give another directory, or remove this one."
        ) from error


def _check_usable(path: Path) -> None:
    """Refuse what is not a run directory and not empty; remains of a start that died early count as empty."""
    if path.exists() and not path.is_dir():
        raise InputError(f"{path} is a file, not a directory.", "Choose another -o.")
    if not path.exists() or _has_manifest(path):
        return
    foreign = [entry.name for entry in path.iterdir() if entry.name not in {LOCK, LOG} and not _temporary(entry)]
    if foreign:
        raise InputError(f"{path} is not empty and not a run directory of molgen.", "Choose another -o.")


def _temporary(path: Path) -> bool:
    return path.name.startswith(TEMPORARY_PREFIX)


def _check_same(path: Path, manifest: Manifest, kind: str, config: dict[str, Any], seed: int | None) -> None:
    remedy = "Repeat the first command to continue that run, or choose another -o."
    if manifest.kind != kind:
        raise InputError(f"{path} holds a {manifest.kind} run, not a {kind} run.", "Choose another -o.")
    if manifest.config_hash != configuration_hash(config):
        name, old, new = next(_differences(manifest.config, config))
        raise InputError(f"{path} was begun with {name} = {old}, now it is {new}.", remedy)
    if seed is not None and seed != manifest.seed:
        raise InputError(f"{path} was begun with seed = {manifest.seed}, now it is {seed}.", remedy)


def _differences(old: Any, new: Any, name: str = "") -> Iterator[tuple[str, str, str]]:
    """Dotted name, old and new value (as JSON) of every differing field; a list is one value."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in dict.fromkeys((*old, *new)):
            dotted = f"{name}.{key}" if name else key
            if key not in old or key not in new:
                yield dotted, _shown(old.get(key, "not set")), _shown(new.get(key, "not set"))
            else:
                yield from _differences(old[key], new[key], dotted)
    elif old != new:
        yield name, _shown(old), _shown(new)


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _acquire(path: Path) -> int:
    """Lock ``path`` for this process; the kernel gives the lock back however the process ends."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise InputError(
            f"{path} cannot be written: {error.strerror}.", "Choose another -o or change its permissions."
        ) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip() or "unknown"
        os.close(descriptor)
        raise RunLockedError(
            f"{path} is in use by another molgen process (number {holder}).",
            "Wait until it ends, or choose another -o.",
        ) from error
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return descriptor


def _files_of(root: Path, folder: Path | None = None) -> Iterator[str]:
    for entry in (folder or root).iterdir():
        if entry.name.startswith(".") or (entry.parent == root and entry.name in {MANIFEST, LOG}):
            continue
        if entry.is_dir():
            if not _has_manifest(entry):
                yield from _files_of(root, entry)
        elif entry.is_file():
            yield entry.relative_to(root).as_posix()
