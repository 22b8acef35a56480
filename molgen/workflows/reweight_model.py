"""Finding the model that drew an ensemble, and its log-density as a function of arrays."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from molgen.arrays import FloatArray
from molgen.ensemble import EnsembleHeader
from molgen.errors import InputError
from molgen.rundir import read_manifest
from molgen.sampling.methods import check_record
from molgen.systems.record import system_from_record

if TYPE_CHECKING:
    from molgen.models.artifact import LoadedModel

_ROWS = 1024


def ensemble_file(path: Path) -> Path:
    """The ensemble file of a sample run's directory, or ``path`` itself if it is a file."""
    if path.is_dir():
        read_manifest(path, "sample")
        return path / "ensemble.h5"
    return path


def find_model(ensemble: Path, header: EnsembleHeader, model: Path | None) -> "LoadedModel | None":
    """The model given, else the one the sample run's configuration names, if it is still there; else None.

    A model given by the user that cannot be read, or is of another system, is an ``InputError``; one that is merely
    remembered is not.
    """
    if header.kind == "model" and header.bias is not None:
        check_record(header.bias, str(ensemble))
    if model is not None:
        loaded = _load(model)
        if loaded.fingerprint != header.system_record["fingerprint"]:
            # The more telling sentences, about atoms and elements, come first.
            loaded.check_system(system_from_record(dict(header.system_record)))
        return _as_drawn(loaded, header, ensemble)
    if header.kind == "equilibrium" or not ensemble.is_dir():
        return None
    remembered = read_manifest(ensemble, "sample").config.get("model")
    if not isinstance(remembered, str):
        return None
    for candidate in (Path(remembered), ensemble / remembered, ensemble.parent / remembered):
        if candidate.is_dir():
            try:
                found = _load(candidate)
            except InputError:
                return None
            return _as_drawn(found, header, ensemble)
    return None


def _as_drawn(loaded: "LoadedModel", header: EnsembleHeader, source: Path) -> "LoadedModel":
    """The model as it drew the ensemble: with its steps, temperature and bias, but with exact densities."""
    model: Any = loaded.model
    if header.drawing:
        from molgen.models.base import DrawOptions

        drawn = DrawOptions(**header.drawing)
        model = model.with_options(DrawOptions(steps=drawn.steps, temperature_k=drawn.temperature_k))
    if header.kind == "model" and header.bias is not None:
        from molgen.sampling.methods import model_of_record
        from molgen.workflows.bias_functions import FUNCTIONS

        model = model_of_record(model, header.bias, loaded.system, str(source), FUNCTIONS)
    return loaded if model is loaded.model else replace(loaded, model=model)


def log_density(loaded: "LoadedModel") -> Callable[[FloatArray], FloatArray]:
    """log q of positions ``(n, N, D)``, in pieces that bound the memory; rows outside the domain give -inf."""
    import torch

    rows = min(_ROWS, loaded.model.piece)

    def function(positions: FloatArray) -> FloatArray:
        loaded.check_frames(positions)
        parts = []
        with torch.no_grad():
            for start in range(0, len(positions), rows):
                frames = torch.as_tensor(positions[start : start + rows], dtype=torch.float64)
                values = loaded.model.log_prob(frames)
                inside = loaded.model.in_domain(frames)
                parts.append(torch.where(inside, values, -torch.inf).double().numpy())
        return np.concatenate(parts) if parts else np.zeros(0)

    return function


def _load(path: Path) -> "LoadedModel":
    from molgen.models.artifact import load_model

    return load_model(path)
