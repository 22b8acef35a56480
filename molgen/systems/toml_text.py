"""A system definition as the text of a system.toml that people like to read."""

import json
from typing import Any

from molgen.systems.built import BuiltMolecule
from molgen.systems.definition import CVSection, SystemDefinition

_CHARACTERS_PER_LINE = 118


def toml_text(definition: SystemDefinition, molecule: BuiltMolecule) -> str:
    """``definition`` as TOML with comments: what was chosen, and which atoms the collective variables are made of."""
    lines = [f"# {line}" for choice in molecule.choices for line in _wrapped(choice)]
    lines += ["", *_entries({"name": definition.name, "description": definition.description})]
    lines += _entries({"temperature_k": definition.temperature_k})
    assert definition.topology is not None
    lines += ["", "[topology]", *_entries({"file": definition.topology.file})]
    forcefield = definition.forcefield
    if forcefield.system_xml is not None:
        entries: dict[str, Any] = {"system_xml": forcefield.system_xml}
    else:
        entries = {"files": list(forcefield.files), "constraints": forcefield.constraints}
    lines += ["", "[forcefield]", *_entries(entries)]
    lines += ["", "[dynamics]", *_entries(definition.dynamics.model_dump())]
    lines += ["", "# Peptide bonds keep their side (fixed) or may turn between cis and trans (free)."]
    lines += ["[domain]", *_entries(definition.domain.model_dump())]
    for cv in definition.cv:
        lines += ["", "[[cv]]", *_entries({"name": cv.name}), _torsion(cv, molecule)]
    for state in definition.state:
        lines += ["", "[[state]]", *_entries(state.model_dump())]
    return "\n".join(lines).lstrip("\n") + "\n"


def _torsion(cv: CVSection, molecule: BuiltMolecule) -> str:
    assert cv.torsion is not None
    names = "-".join(molecule.topology.atoms[k].name for k in cv.torsion)
    return f"{_entries({'torsion': list(cv.torsion)})[0]}  # {names}"


def _entries(values: dict[str, Any]) -> list[str]:
    return [f"{key} = {_value(value)}" for key, value in values.items() if value not in ("", None)]


def _value(value: Any) -> str:
    """JSON's text, lists and numbers are TOML's; but JSON leaves DEL alone, which TOML does not."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _wrapped(text: str) -> list[str]:
    import textwrap

    return textwrap.wrap(" ".join(text.split()), _CHARACTERS_PER_LINE, break_long_words=False, break_on_hyphens=False)
