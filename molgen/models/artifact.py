"""A trained model on disk: ``model.safetensors`` with the numbers, ``model.json`` with the rest. No code in it."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save

from molgen import __version__
from molgen.errors import InputError
from molgen.files import json_bytes, sha256_file, write_atomically
from molgen.models.spline_flow import SplineFlow
from molgen.models.table import model_class
from molgen.systems.record import system_from_record, system_record
from molgen.systems.system import System

WEIGHTS = "model.safetensors"
DESCRIPTION = "model.json"
FORMAT = 2
_KEYS: dict[str, type | tuple[type, ...]] = {
    "model": str,
    "settings": dict,
    "system": dict,
    "fingerprint": str,
    "temperature_k": (int, float),
    "sha256": str,
    "training": dict,
}


@dataclass(frozen=True)
class LoadedModel:
    """A model with what it was made for; ``sha256`` is that of its weights, ``training`` what training recorded."""

    model: SplineFlow
    system: System
    temperature_k: float
    fingerprint: str
    sha256: str
    training: dict[str, Any]


def save_model(directory: Path, name: str, model: SplineFlow, system: System, training: dict[str, Any]) -> str:
    """Write ``model`` into ``directory``, the weights first; returns their SHA-256."""
    tensors = {key: value.detach().contiguous().clone() for key, value in model.state_dict().items()}
    write_atomically(directory / WEIGHTS, save(tensors))
    digest = sha256_file(directory / WEIGHTS)
    description = {
        "format": FORMAT,
        "molgen": __version__,
        "model": name,
        "settings": model.settings.model_dump(),
        "system": system_record(system),
        "fingerprint": system.fingerprint,
        "temperature_k": system.temperature_k,
        "sha256": digest,
        "training": training,
    }
    write_atomically(directory / DESCRIPTION, json_bytes(description))
    return digest


def load_model(directory: str | Path) -> LoadedModel:
    """Read a model written by :func:`save_model`.

    ``InputError`` if files are missing or damaged, the weights do not have the recorded SHA-256, or the description
    is incomplete, of another format or contradicts itself.
    """
    path = Path(directory)
    description = _description(path)
    digest = sha256_file(path / WEIGHTS)
    if digest != description["sha256"]:
        raise InputError(
            f"{path / WEIGHTS} is not the file that was saved (SHA-256 differs).", "Train the model again."
        )
    system = system_from_record(description["system"])
    if system.fingerprint != description["fingerprint"]:
        raise InputError(f"The system in {path / DESCRIPTION} was changed.", "Train the model again.")
    if system.temperature_k != description["temperature_k"]:
        raise InputError(f"{path / DESCRIPTION} gives two temperatures.", "Train the model again.")
    kind = model_class(description["model"])
    settings = kind.settings_class.parse(description["settings"], source=str(path / DESCRIPTION))
    model = kind(system, settings)
    try:
        model.load_state_dict(load_file(path / WEIGHTS))
    except (RuntimeError, ValueError, SafetensorError) as error:
        raise InputError(f"{path / WEIGHTS} does not fit its description.", "Train the model again.") from error
    model.requires_grad_(False)
    return LoadedModel(
        model, system, float(description["temperature_k"]), system.fingerprint, digest, dict(description["training"])
    )


def _description(path: Path) -> dict[str, Any]:
    for name in (DESCRIPTION, WEIGHTS):
        if not (path / name).is_file():
            raise InputError(f"{path} holds no finished model ({name} is missing).", "Give the -o of molgen train.")
    try:
        description = json.loads((path / DESCRIPTION).read_bytes())
    except ValueError as error:
        raise InputError(f"{path / DESCRIPTION} cannot be read.", "Train the model again.") from error
    if not isinstance(description, dict):
        raise InputError(f"{path / DESCRIPTION} does not describe a model.", "Give the -o of molgen train.")
    if description.get("format") != FORMAT:
        raise InputError(
            f"{path} has model format {description.get('format')}, this molgen reads {FORMAT}.",
            "Train the model again.",
        )
    for key, kind in _KEYS.items():
        if not isinstance(description.get(key), kind):
            raise InputError(f"{path / DESCRIPTION} has no valid {key!r}.", "Train the model again.")
    return description
