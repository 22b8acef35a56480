"""A bias in one line: ``harmonic(phi, center=60deg, k=50 kJ/mol/rad^2) + linear(rg, slope=2 kT/nm)``.

A variable is one of the system's, or ``function(path)``: one that stands in a file or directory and is opened by a
function that whoever parses knows, such as ``committor(c)``.
"""

import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from molgen.bias.base import Parameter, SumBias, VariableBias
from molgen.bias.quantities import example_of, parse_energies, parse_quantity, tidy
from molgen.bias.table import bias_class
from molgen.errors import InputError
from molgen.observables.base import CollectiveVariable
from molgen.observables.table import build_cvs
from molgen.settings import nearest_hint
from molgen.systems.system import System

_TERM = re.compile(r"\s*([A-Za-z][\w-]*)\s*\(((?:[^()]|\([^()]*\))*)\)\s*")
_CALL = re.compile(r"\s*([A-Za-z][\w-]*)\s*\(([^()]*)\)\s*")
_EXAMPLE = 'Write, for example, "harmonic(phi, center=60deg, k=50 kJ/mol/rad^2)"; join several with +.'

Functions = Mapping[str, Callable[[str, Path, System], CollectiveVariable]]
"""Functions by name that open a variable: from what stands in the parentheses, the folder that paths start from and the
system; ``InputError`` if they cannot. The name of the variable is a text that opens it again from anywhere."""
NO_FUNCTIONS: Functions = {}


def parse_bias(
    text: str, system: System, *, folder: Path | None = None, functions: Functions = NO_FUNCTIONS
) -> SumBias:
    """The bias ``text`` describes on the collective variables of ``system``, in kT at its temperature.

    Files named in it are relative to ``folder`` (None: where the program runs); their content enters the bias's own
    ``text``, which needs no file any more. Variables that one of ``functions`` opens stay in their files.

    ``InputError``, one sentence with a remedy, for an unknown bias, variable or parameter, a missing or wrong unit,
    a centre outside the range of its variable, and anything else that cannot be read.
    """
    terms = [_term(kind, inside, system, folder or Path(), functions) for kind, inside in split_terms(text)]
    return SumBias(tuple(terms))


def find_variable(
    name: str, system: System, folder: Path | None = None, functions: Functions = NO_FUNCTIONS
) -> CollectiveVariable:
    """The collective variable ``name`` of ``system``, or the one that ``function(path)`` opens.

    ``InputError`` with the nearest names if there is none.
    """
    if call := _CALL.fullmatch(name):
        function, inside = call.groups()
        if function not in functions:
            if functions:
                raise InputError(f"There is no variable {function}(...).", nearest_hint(function, functions))
            raise InputError(f"{name} can bias draws of a model only.", "Give it to molgen sample --bias.")
        return functions[function](inside.strip(), folder or Path(), system)
    variables = build_cvs(system)
    if name not in variables:
        hint = nearest_hint(name, variables) if variables else "Define it as a [[cv]] in the system.toml first."
        raise InputError(f"{system.name} has no collective variable {name!r}.", hint)
    return variables[name]


def split_terms(text: str) -> list[tuple[str, str]]:
    """Name and arguments of each term of ``kind(arguments) + ...``; ``InputError`` for anything else."""
    found, end = [], 0
    while match := _TERM.match(text, end):
        found.append((match.group(1), match.group(2)))
        end = match.end()
        if end == len(text):
            return found
        if text[end] != "+":
            break
        end += 1
    raise InputError(f"The bias {text!r} cannot be read.", _EXAMPLE)


def _term(kind: str, inside: str, system: System, folder: Path, functions: Functions) -> VariableBias:
    described = bias_class(kind)
    name, *assignments = (part.strip() for part in inside.split(","))
    cv = find_variable(name, system, folder, functions)
    source = f"{kind}({name})"
    written = _assignments(assignments, described.PARAMETERS, cv, source)
    written = described.expand(cv, written, system, folder, source)
    parameters = described.PARAMETERS
    values = {key: _value(text, parameters[key], cv, system, f"{source}: {key}") for key, text in written.items()}
    _check(values, parameters, cv, source)
    listed = [cv.name, *(f"{key}={tidy(written[key])}" for key in parameters if key in written)]
    return described.build(cv, values, f"{kind}({', '.join(listed)})")


def _value(text: str, parameter: Parameter, cv: CollectiveVariable, system: System, source: str) -> Any:
    """A parameter in kT, rad and nm."""
    if parameter.dimension == "energies":
        return parse_energies(text, system.temperature_k, source=source)
    return parse_quantity(text, parameter.dimension, cv.unit, system.temperature_k, source=source)


def _assignments(
    assignments: list[str], parameters: Mapping[str, Parameter], cv: CollectiveVariable, source: str
) -> dict[str, str]:
    written: dict[str, str] = {}
    for assignment in assignments:
        key, equals, quantity = (part.strip() for part in assignment.partition("="))
        if not equals or not quantity:
            raise InputError(f"{source}: {assignment!r} gives no parameter a value.", _EXAMPLE)
        if key not in parameters:
            raise InputError(f"{source}: there is no parameter {key!r}.", nearest_hint(key, parameters))
        if key in written:
            raise InputError(f"{source}: {key} is given twice.", "Give every parameter once.")
        written[key] = quantity
    for key, parameter in parameters.items():
        if key not in written and not parameter.optional:
            example = example_of(parameter.dimension, cv.unit)
            raise InputError(f"{source}: {key} is missing.", f"Add, for example, {key}={example}.")
    return written


def _check(values: dict[str, Any], parameters: Mapping[str, Parameter], cv: CollectiveVariable, source: str) -> None:
    for key, value in values.items():
        if parameters[key].positive and value <= 0.0:
            raise InputError(f"{source}: {key} is not above zero.", f"Give a positive {key}.")
    if "center" not in values:
        return
    low, high, words = _range(cv)
    if not low - 1e-9 <= values["center"] <= high + 1e-9:
        raise InputError(f"{source}: the center lies outside the range of {cv.name}.", f"It {words}.")


def _range(cv: CollectiveVariable) -> tuple[float, float, str]:
    """The values a variable can take, and the same in words."""
    if cv.periodic:
        return -math.pi, math.pi, "runs from -180deg to 180deg"
    if cv.unit == "rad":
        return 0.0, math.pi, "runs from 0deg to 180deg"
    if cv.unit == "nm":
        return 0.0, math.inf, "is never below 0 nm"
    return -math.inf, math.inf, "may have any value"
