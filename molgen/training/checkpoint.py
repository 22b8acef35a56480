"""Checkpoints of training: tensors in safetensors, the rest in JSON, renamed into place together."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save

from molgen.files import to_plain, write_atomically

CHECKPOINT = "checkpoint.safetensors"


def write_checkpoint(directory: Path, tensors: dict[str, torch.Tensor], record: dict[str, Any]) -> None:
    """Write ``tensors`` with ``record`` (plain data) as their metadata, atomically, into ``directory``."""
    metadata = {"record": json.dumps(to_plain(record))}
    contiguous = {name: tensor.detach().contiguous() for name, tensor in tensors.items()}
    write_atomically(directory / CHECKPOINT, save(contiguous, metadata=metadata))


def read_checkpoint(directory: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]] | None:
    """The checkpoint in ``directory``, or None."""
    path = directory / CHECKPOINT
    if not path.is_file():
        return None
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no iterator of its own
        record: dict[str, Any] = json.loads(file.metadata()["record"])
    return tensors, record
