"""A committor on disk: ``committor.safetensors`` with the numbers, ``committor.json`` with the rest. No code in it."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from molgen import __version__
from molgen.committor.model import Committor, CommittorSettings
from molgen.errors import InputError
from molgen.files import json_bytes, sha256_file, write_atomically
from molgen.observables.boundary import Boundary
from molgen.rundir import configuration_hash
from molgen.systems.record import system_from_record, system_record

WEIGHTS = "committor.safetensors"
DESCRIPTION = "committor.json"
FORMAT = 3


@dataclass(frozen=True)
class LoadedCommittor:
    """A committor with the dynamics it belongs to (``record``) and what its fit recorded."""

    model: Committor
    record: dict[str, Any]
    sha256: str
    fit: dict[str, Any]

    @property
    def dynamics_sha256(self) -> str:
        """The hash of :attr:`record`."""
        return configuration_hash(self.record)


def save_committor(directory: Path, model: Committor, record: dict[str, Any], fit: dict[str, Any]) -> str:
    """Write ``model`` of the dynamics ``record`` into ``directory``, the weights first; returns their SHA-256."""
    tensors = {key: value.detach().contiguous().clone() for key, value in model.state_dict().items()}
    write_atomically(directory / WEIGHTS, save(tensors))
    digest = sha256_file(directory / WEIGHTS)
    description = {
        "format": FORMAT,
        "molgen": __version__,
        "settings": model.settings.model_dump(),
        "system": system_record(model.boundary.system),
        "dynamics": record,
        "sha256": digest,
        "fit": fit,
    }
    write_atomically(directory / DESCRIPTION, json_bytes(description))
    return digest


def load_committor(directory: str | Path) -> LoadedCommittor:
    """Read a committor written by :func:`save_committor`; ``InputError`` if it is missing, damaged or inconsistent."""
    path = Path(directory)
    for name in (DESCRIPTION, WEIGHTS):
        if not (path / name).is_file():
            raise InputError(f"{path} holds no committor ({name} is missing).", "Give the -o of molgen committor fit.")
    try:
        description = json.loads((path / DESCRIPTION).read_bytes())
        record, digest = dict(description["dynamics"]), str(description["sha256"])
        settings = CommittorSettings.parse(description["settings"], source=str(path / DESCRIPTION))
        system = system_from_record(description["system"])
        fit = dict(description["fit"])
        known = description["format"]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path / DESCRIPTION} does not describe a committor.", "Fit it again.") from error
    if known != FORMAT:
        raise InputError(f"{path} has committor format {known}, this molgen reads {FORMAT}.", "Fit it again.")
    if sha256_file(path / WEIGHTS) != digest:
        raise InputError(f"{path / WEIGHTS} is not the file that was saved (SHA-256 differs).", "Fit it again.")
    if system.fingerprint != record["fingerprint"]:
        raise InputError(f"The system in {path / DESCRIPTION} was changed.", "Fit it again.")
    boundary = Boundary(system, record["a"]["name"], record["b"]["name"])
    model = Committor(boundary, settings, torch.Generator())
    try:
        model.load_state_dict(load_file(path / WEIGHTS))
    except (RuntimeError, SafetensorError) as error:
        raise InputError(f"{path / WEIGHTS} does not fit its description.", "Fit it again.") from error
    return LoadedCommittor(model.requires_grad_(False), record, digest, fit)
