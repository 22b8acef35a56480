"""Settings a user can write: frozen, every key known, `a.b=3` overrides."""

import difflib
import tomllib
from collections.abc import Iterable
from types import NoneType
from typing import Any, Self, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from molgen.errors import InputError, UsageError


class Settings(BaseModel):
    """Base of every configuration model: immutable and closed to unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @classmethod
    def parse(cls, data: dict[str, Any], *, source: str) -> Self:
        """Validate ``data``; ``InputError`` names the key, the nearest known key and ``source``."""
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            raise InputError(*_sentence(error, cls, source)) from error

    def with_overrides(self, overrides: Iterable[str]) -> Self:
        """A copy with ``a.b=3`` assignments applied (the value is read as TOML, else as text).

        ``none`` is None where a setting may be.
        """
        data = self.model_dump()
        for item in overrides:
            path, separator, text = item.partition("=")
            if not separator:
                raise UsageError(
                    f"{item!r} is not an override.", "Write --set key=value, for example --set flow.bins=8."
                )
            *parents, last = path.strip().split(".")
            target = data
            for parent in parents:
                child = target.get(parent)
                if not isinstance(child, dict):
                    raise UsageError(f"{path!r} names no setting.", nearest_hint(parent, target))
                target = child
            if last not in target:
                raise UsageError(f"{path!r} names no setting.", nearest_hint(last, target))
            value = _toml_value(text.strip())
            target[last] = None if value == "none" and _may_be_none(type(self), [*parents, last]) else value
        return self.parse(data, source="--set")


def nearest_hint(word: str, known: Iterable[str]) -> str:
    """``Did you mean …?`` with the nearest known words, or the list of all of them."""
    names = sorted(known)
    close = difflib.get_close_matches(word, names, n=2, cutoff=0.6)
    if close:
        return f"Did you mean {' or '.join(close)}?"
    return f"Known: {', '.join(names)}."


def _toml_value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _may_be_none(model: type[BaseModel], location: list[str]) -> bool:
    for part in location[:-1]:
        inner = _inner_model(model.model_fields[part].annotation)
        if inner is None:
            return False
        model = inner
    return NoneType in get_args(model.model_fields[location[-1]].annotation)


def _sentence(error: ValidationError, model: type[BaseModel], source: str) -> tuple[str, str]:
    first = error.errors()[0]
    location = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        known = _fields_at(model, first["loc"][:-1])
        return f"{source}: unknown key {location!r}.", nearest_hint(str(first["loc"][-1]), known)
    return f"{source}: {location or 'the file'}: {first['msg'][0].lower()}{first['msg'][1:]}.", "Correct that entry."


def _fields_at(model: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    current: Any = model
    for part in location:
        if isinstance(part, int) or not hasattr(current, "model_fields"):
            continue
        field = current.model_fields.get(part)
        current = _inner_model(field.annotation) if field is not None else None
    return list(getattr(current, "model_fields", {}))


def _inner_model(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        inner = _inner_model(argument)
        if inner is not None:
            return inner
    return None
