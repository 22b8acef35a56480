"""A bias as a user gives it: in one line, or in a TOML file of ``[[bias]]`` sections."""

import tomllib
from pathlib import Path
from typing import Any

from molgen.errors import InputError

_EXAMPLE = 'Write [[bias]] with kind = "harmonic", cv = "phi", center = "60deg" and k = "50 kJ/mol/rad^2".'


def bias_line(given: str) -> tuple[str, Path]:
    """The line of ``given``, itself or what the ``.toml`` file of that name says, and the folder its paths start from.

    Each section names ``kind`` and ``cv``; its other keys are the parameters, as text with units (numbers where there
    is no unit, lists of numbers for ``values``, which then needs ``unit``). ``InputError`` for a file that is missing
    or cannot be read.
    """
    if not given.strip().endswith(".toml"):
        return given.strip(), Path()
    path = Path(given.strip())
    try:
        sections = tomllib.loads(path.read_text(encoding="utf-8")).get("bias")
    except FileNotFoundError as error:
        raise InputError(f"There is no file {path}.", "Give a bias in one line, or a TOML file.") from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"{path} is not a readable TOML file ({error}).", _EXAMPLE) from error
    if not isinstance(sections, list) or not sections:
        raise InputError(f"{path} has no [[bias]] section.", _EXAMPLE)
    return " + ".join(_line(section, path) for section in sections), path.parent


def _line(section: Any, path: Path) -> str:
    """One section as ``kind(cv, key=value, ...)``."""
    if not isinstance(section, dict):
        raise InputError(f"{path}: a bias is no section.", _EXAMPLE)
    for key in ("kind", "cv"):
        if not isinstance(section.get(key), str):
            raise InputError(f"{path}: a [[bias]] section has no {key}.", _EXAMPLE)
    unit = section.get("unit", "")
    arguments = [section["cv"]]
    for key, value in section.items():
        if key in ("kind", "cv", "unit"):
            continue
        if isinstance(value, list):
            value = f"{'; '.join(map(str, value))} {unit}"
        if any(mark in str(value) for mark in "(),="):
            raise InputError(f"{path}: {key} = {value!r} cannot be read.", _EXAMPLE)
        arguments.append(f"{key}={value}")
    return f"{section['kind']}({', '.join(arguments)})"
