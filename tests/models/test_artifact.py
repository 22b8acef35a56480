"""What :func:`load_model` refuses beside damaged weights (which the contract tests cover)."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from molgen.errors import InputError
from molgen.models.artifact import DESCRIPTION, WEIGHTS, load_model, save_model
from molgen.models.spline_flow import SplineFlow, SplineFlowSettings
from molgen.systems.loading import load_system


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    system = load_system("double-well")
    model = SplineFlow(system, SplineFlowSettings(hidden=8), torch.Generator().manual_seed(1))
    digest = save_model(tmp_path, "spline", model, system, {})
    assert digest == hashlib.sha256((tmp_path / WEIGHTS).read_bytes()).hexdigest()
    return tmp_path


def edit(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    description = json.loads((folder / DESCRIPTION).read_text())
    change(description)
    (folder / DESCRIPTION).write_text(json.dumps(description))


def resign(folder: Path) -> None:
    """Record the SHA-256 of the weights as they are now."""
    digest = hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest()
    edit(folder, lambda d: d.update(sha256=digest))


@pytest.mark.parametrize("name", [WEIGHTS, DESCRIPTION])
def test_a_missing_file_is_named(saved: Path, name: str) -> None:
    (saved / name).unlink()
    with pytest.raises(InputError, match=name):
        load_model(saved)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "3", '"model"'])
def test_a_description_that_is_no_description_is_refused(saved: Path, text: str) -> None:
    (saved / DESCRIPTION).write_text(text)
    with pytest.raises(InputError):
        load_model(saved)


def test_bytes_that_are_no_text_are_refused(saved: Path) -> None:
    (saved / DESCRIPTION).write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="cannot be read"):
        load_model(saved)


@pytest.mark.parametrize("key", ["model", "settings", "system", "fingerprint", "temperature_k", "sha256", "training"])
@pytest.mark.parametrize("value", [None, []])
def test_a_missing_entry_is_named(saved: Path, key: str, value: object) -> None:
    edit(saved, lambda d: d.pop(key) if value is None else d.update({key: value}))
    with pytest.raises(InputError, match=key):
        load_model(saved)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"format": 99}, "format"),
        ({"model": "splines"}, "splines"),
        ({"settings": {"hiden": 8}}, "hiden"),
        ({"fingerprint": "0" * 64}, "changed"),
        ({"temperature_k": 310.0}, "two temperatures"),
        ({"settings": {"hidden": 16}}, "does not fit"),
    ],
)
def test_a_changed_entry_is_refused(saved: Path, change: dict[str, Any], match: str) -> None:
    edit(saved, lambda d: d.update(change))
    with pytest.raises(InputError, match=match):
        load_model(saved)


def test_a_changed_potential_is_refused(saved: Path) -> None:
    edit(saved, lambda d: d["system"]["definition"]["analytic"]["parameters"].update(barrier=7.0))
    with pytest.raises(InputError, match="fingerprint"):
        load_model(saved)


def test_weights_that_are_no_safetensors_are_refused_even_with_their_own_digest(saved: Path) -> None:
    (saved / WEIGHTS).write_bytes(b"not tensors at all")
    resign(saved)
    with pytest.raises(InputError, match="does not fit"):
        load_model(saved)


def test_missing_tensors_are_refused(saved: Path) -> None:
    tensors = load_file(saved / WEIGHTS)
    del tensors["whitening.scale"]
    save_file(tensors, saved / WEIGHTS)
    resign(saved)
    with pytest.raises(InputError, match="does not fit"):
        load_model(saved)


def test_a_model_stands_alone_and_can_be_saved_again(saved: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    loaded = load_model(saved)
    elsewhere = tmp_path_factory.mktemp("copy")
    assert isinstance(loaded.model, SplineFlow)
    assert save_model(elsewhere, "spline", loaded.model, loaded.system, loaded.training) == loaded.sha256
    assert (elsewhere / DESCRIPTION).read_bytes() == (saved / DESCRIPTION).read_bytes()
