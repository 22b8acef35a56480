"""Finding and reading systems: built-in names, or a ``system.toml`` of the user's."""

import tomllib
from collections import Counter
from pathlib import Path

from molgen.arrays import FloatArray
from molgen.errors import InputError
from molgen.settings import nearest_hint
from molgen.systems.definition import (
    ANALYTIC_DIMENSIONS,
    ANALYTIC_PARAMETERS,
    CLUSTERS,
    AnalyticSection,
    CVSection,
    SystemDefinition,
)
from molgen.systems.forcefield import build_molecule
from molgen.systems.system import AnalyticSystem, MolecularSystem, System, starting_point

_FILE = "system.toml"


def data_root() -> Path:
    """The folder of shipped data: inside an installed package, else in the source tree.

    ``InputError`` if neither is there.
    """
    package = Path(__file__).resolve().parent.parent
    for candidate in (package / "_data", package.parent / "data"):
        if (candidate / "systems").is_dir():
            return candidate
    raise InputError("The built-in systems are missing from this installation.", "Install molgen again.")


def system_names() -> list[str]:
    """Names of the built-in systems, sorted."""
    return sorted(path.parent.name for path in (data_root() / "systems").glob(f"*/{_FILE}"))


def load_system(name_or_path: str | Path) -> System:
    """The built-in system of that name, or the one in a ``system.toml`` (or a folder that holds one).

    ``InputError`` for an unknown name (with the nearest ones), a missing or malformed file, an unknown key,
    atom indices out of range, or names given twice.
    """
    return read_system(_locate(name_or_path))


def read_definition(path: Path) -> SystemDefinition:
    """The checked definition in a TOML file, without building anything from it."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}).", "Check the path and its permissions.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not valid TOML: {error}.", "Correct that line.") from error
    return checked(SystemDefinition.parse(data, source=str(path)), str(path))


def read_system(path: Path) -> System:
    """The system a TOML file defines; its paths are relative to the file."""
    definition = read_definition(path)
    folder = path.resolve().parent
    reference = None
    if definition.reference is not None and (folder / definition.reference.file).is_file():
        reference = folder / definition.reference.file
    if definition.analytic is not None:
        return AnalyticSystem(definition, _start(definition.analytic), reference)
    assert definition.topology is not None
    topology, positions, xml = build_molecule(folder / definition.topology.file, definition.forcefield, folder)
    _check_atoms(definition, topology.n_atoms, str(path))
    return MolecularSystem(definition, topology, positions, xml, reference)


def checked(definition: SystemDefinition, source: str) -> SystemDefinition:
    """``definition`` with analytic defaults filled in; ``InputError`` where its entries contradict each other."""
    if (definition.topology is None) == (definition.analytic is None):
        raise InputError(
            f"{source}: a system has either a [topology] or an [analytic] potential.", "Give exactly one of the two."
        )
    _check_names(definition, source)
    for cv in definition.cv:
        if len(cv.kinds) != 1:
            given = " and ".join(cv.kinds) or "none"
            known = ", ".join(kind for kind in CVSection.model_fields if kind != "name")
            raise InputError(f"{source}: the cv {cv.name!r} gives {given}.", f"Give exactly one of {known}.")
    return definition if definition.analytic is None else _checked_analytic(definition, source)


def _locate(name_or_path: str | Path) -> Path:
    names = system_names()
    if isinstance(name_or_path, str) and name_or_path in names:
        return data_root() / "systems" / name_or_path / _FILE
    path = Path(name_or_path)
    if path.is_dir():
        if not (path / _FILE).is_file():
            raise InputError(f"The folder {path} holds no {_FILE}.", "Give the path of the file itself.")
        return path / _FILE
    if path.is_file():
        return path
    if path.suffix == ".toml" or len(path.parts) > 1:
        raise InputError(f"There is no file {path}.", f"Give a {_FILE} or one of {', '.join(names)}.")
    raise InputError(f"There is no system {str(name_or_path)!r}.", nearest_hint(str(name_or_path), names))


def _check_names(definition: SystemDefinition, source: str) -> None:
    sections = {"cv": [cv.name for cv in definition.cv], "state": [state.name for state in definition.state]}
    for kind, names in sections.items():
        twice = [name for name, count in Counter(names).items() if count > 1]
        if twice:
            raise InputError(f"{source}: the {kind} name {twice[0]!r} is given twice.", "Give every one its own name.")
        for name in names:
            if not name.isidentifier():
                hint = "Use letters, digits and underscores, beginning with a letter."
                raise InputError(f"{source}: {name!r} cannot be a {kind} name.", hint)


def _checked_analytic(definition: SystemDefinition, source: str) -> SystemDefinition:
    analytic = definition.analytic
    assert analytic is not None
    defaults = ANALYTIC_PARAMETERS[analytic.potential]
    for name in analytic.parameters:
        if name not in defaults:
            raise InputError(f"{source}: {analytic.potential} has no parameter {name!r}.", nearest_hint(name, defaults))
    if "temperature_k" in definition.model_fields_set:
        hint = "Remove temperature_k; scale the potential's parameters instead."
        raise InputError(f"{source}: an analytic potential is in units of kT and has no temperature.", hint)
    several = analytic.potential in CLUSTERS
    if several != (analytic.particles > 1):
        hint = "Give particles = 2 or more." if several else "Leave particles out: it has one."
        raise InputError(f"{source}: {analytic.potential} cannot have {analytic.particles} particles.", hint)
    for cv in definition.cv:
        if several:
            _check_cluster_cv(cv, analytic, source)
        elif cv.position is None or not 0 <= cv.position < ANALYTIC_DIMENSIONS[analytic.potential]:
            hint = f"Give position = 0 … {ANALYTIC_DIMENSIONS[analytic.potential] - 1}."
            raise InputError(f"{source}: the cv {cv.name!r} is no coordinate of {analytic.potential}.", hint)
    filled = analytic.model_copy(update={"parameters": {**defaults, **analytic.parameters}})
    return definition.model_copy(update={"analytic": filled})


def _check_cluster_cv(cv: CVSection, analytic: AnalyticSection, source: str) -> None:
    if cv.radius_of_gyration != "all":
        hint = 'Give radius_of_gyration = "all", which does not depend on how the particles are numbered.'
        raise InputError(f"{source}: the cv {cv.name!r} is none of {analytic.particles} identical particles.", hint)


def _start(analytic: AnalyticSection) -> FloatArray:
    return starting_point(analytic.potential, analytic.particles)


def _check_atoms(definition: SystemDefinition, n_atoms: int, source: str) -> None:
    for cv in definition.cv:
        if cv.position is not None:
            hint = "Use torsion, angle, distance, rmsd or radius_of_gyration."
            raise InputError(
                f"{source}: the cv {cv.name!r} is a position, which a molecule has no fixed frame for.", hint
            )
        atoms = cv.atoms(n_atoms)
        for index in atoms:
            if not 0 <= index < n_atoms:
                message = f"{source}: the cv {cv.name!r} names atom {index}, but there are {n_atoms} atoms."
                raise InputError(message, f"Atom indices run from 0 to {n_atoms - 1}.")
        if len(set(atoms)) != len(atoms):
            raise InputError(f"{source}: the cv {cv.name!r} names an atom twice.", "Name every atom once.")
        least = {"rmsd": 3, "radius_of_gyration": 2}.get(cv.kinds[0], 0)
        if len(atoms) < least:
            raise InputError(f"{source}: the cv {cv.name!r} needs at least {least} atoms.", "Name more atoms.")
