"""Opening several ensembles: what each is, and whether they can be weighed together."""

import json
from collections import Counter
from collections.abc import Sequence
from itertools import combinations, product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from molgen.ensemble import EnsembleHeader, EnsembleReader
from molgen.errors import InputError
from molgen.files import json_bytes
from molgen.rundir import MANIFEST, read_manifest, sha256_file
from molgen.systems.record import system_from_record
from molgen.workflows.reweight_members import EquilibriumMember, Member, Members, ModelMember
from molgen.workflows.reweight_model import ensemble_file, find_model

if TYPE_CHECKING:
    from molgen.models.artifact import LoadedModel


def open_members(paths: Sequence[Path], model: Path | None) -> Members:
    """Open every ensemble; ``InputError`` for what cannot be weighed together, one sentence with a remedy.

    ``model`` is the model of those draws that do not say where theirs is.
    """
    names = _names(paths)
    models: list[ModelMember] = []
    equilibria: list[EquilibriumMember] = []
    for name, path in zip(names, paths, strict=True):
        if path.is_dir() and _kind(path) == "simulate":
            equilibria.append(_open_equilibrium(name, path))
        else:
            models.append(_open_model(name, path, model))
    models.sort(key=lambda item: (item.name, item.digest))
    equilibria.sort(key=lambda item: (item.name, item.digest))
    members = Members(tuple(models), tuple(equilibria))
    _check_given(members, model)
    _check_twice(members)
    _check_same_system(members)
    _check_same_density(members.models)
    _check_not_trained_on(members)
    return members


def _names(paths: Sequence[Path]) -> list[str]:
    """The last parts of the paths, with those before where two end alike."""
    resolved = [path.resolve() for path in paths]
    for depth in range(1, 8):
        names = ["/".join(path.parts[-depth:]) for path in resolved]
        if max(Counter(names).values()) == 1:
            return names
    return [str(path) for path in resolved]


def _kind(path: Path) -> str:
    if not (path / MANIFEST).is_file():
        raise InputError(
            f"{path} is not the directory of a sample or simulate run.", "Give the -o of molgen sample or simulate."
        )
    return read_manifest(path).kind


def _open_model(name: str, path: Path, model: Path | None) -> ModelMember:
    file = ensemble_file(path)
    reader = EnsembleReader(file)
    header = reader.header
    kind: str = header.kind
    if kind == "annealed":
        raise InputError(
            f"{path} was annealed: its rows have weights and no density that others could be weighed by.",
            "Reweight it alone.",
        )
    if kind != "model" or "log_q" not in reader.columns or len(reader) == 0:
        raise InputError(f"{file} has no draws with a log-density.", "Give the directory of a molgen sample run.")
    if header.density != "exact":
        raise InputError(
            f"The log-densities in {file} are {header.density} estimates, which no mixture can be made of.",
            "Draw with exact ones (molgen sample without --set density=...).",
        )
    loaded = _own_model(path, header, model)
    proposal = json_bytes([header.model_sha256, header.drawing.get("steps"), header.bias]).decode()
    return ModelMember(name, path, sha256_file(file), reader, loaded, proposal, _training_data(path, model))


def _own_model(path: Path, header: EnsembleHeader, model: Path | None) -> "LoadedModel":
    """The model that drew the ensemble; ``model`` where it is that one."""
    loaded = find_model(path, header, model)
    if loaded is not None and model is not None and loaded.sha256 != header.model_sha256:
        loaded = find_model(path, header, None)
    if loaded is None:
        raise InputError(
            f"The model that drew {path} was not found, and without it the density of the other ensembles' frames "
            "under it is unknown.",
            "Put the model back where it was, or give it with --model.",
        )
    if loaded.sha256 != header.model_sha256:
        raise InputError(
            f"The model that drew {path} was changed since.", "Draw the ensemble again, or bring the model back."
        )
    return loaded


def _open_equilibrium(name: str, path: Path) -> EquilibriumMember:
    manifest = read_manifest(path, "simulate")
    if manifest.status != "complete":
        raise InputError(f"The run in {path} is not finished.", "Finish it with the same command.")
    if manifest.result.get("kind") not in ("equilibrium", "umbrella"):
        raise InputError(
            f"{path} holds explore frames, which are no equilibrium sample.", "Give runs of molgen simulate --plain."
        )
    record = path / "system.json"
    if not record.is_file():
        raise InputError(f"{path} does not say what system it is of.", "Run the simulation again.")
    system = system_from_record(json.loads(record.read_bytes()))
    bias = manifest.result.get("bias")
    return EquilibriumMember(
        name=name,
        path=path,
        digest=sha256_file(path / MANIFEST),
        temperature_k=float(manifest.result.get("temperature_k", system.temperature_k)),
        bias=None if bias is None else str(bias),
        hydrogen_mass_da=manifest.config.get("settings", {}).get("hydrogen_mass_da"),
        system=system,
        frames=int(manifest.result.get("frames", 0)),
        evaluations=int(manifest.result.get("evaluations", 0)),
    )


def _check_given(members: Members, model: Path | None) -> None:
    """A model that the user names must have drawn one of the ensembles."""
    if model is None or not members.models:
        return
    first = members.models[0]
    given = find_model(first.path, first.header, model)
    if given is not None and given.sha256 not in {item.header.model_sha256 for item in members.models}:
        raise InputError(
            f"The model in {model} drew none of these ensembles.", "Give the one that did, or leave --model out."
        )


def _check_twice(members: Members) -> None:
    """No row may count twice: the same file, or draws from the same random numbers."""
    for first, second in combinations(members.all, 2):
        if first.digest == second.digest:
            raise InputError(f"{first.path} and {second.path} are the same ensemble.", "Give every ensemble once.")
    for one, other in combinations(members.models, 2):
        same = one.header.model_sha256 == other.header.model_sha256 and one.header.seed == other.header.seed
        if same and one.header.seed is not None:
            raise InputError(
                f"{one.path} and {other.path} were drawn from the same model with the same seed, so that their draws "
                "are not independent.",
                "Draw one of them again with another --seed.",
            )
    for run, again in combinations(members.equilibria, 2):
        manifests = [read_manifest(item.path, "simulate") for item in (run, again)]
        if manifests[0].config_hash == manifests[1].config_hash and manifests[0].seed == manifests[1].seed:
            raise InputError(f"{run.path} and {again.path} are the same simulation.", "Give every run once.")


def _check_same_system(members: Members) -> None:
    fingerprints = {member.path: _fingerprint(member) for member in members.all}
    (first, expected), *others = fingerprints.items()
    for path, fingerprint in others:
        if fingerprint != expected:
            raise InputError(
                f"{first} and {path} are of different molecules or force fields.",
                "Give ensembles of one system.",
            )


def _fingerprint(member: Member) -> str:
    if isinstance(member, EquilibriumMember):
        return member.system.fingerprint
    return str(member.header.system_record["fingerprint"])


def _check_same_density(models: Sequence[ModelMember]) -> None:
    for one, other in combinations(models, 2):
        if one.header.measure != other.header.measure:
            raise InputError(
                f"The densities of {one.path} and {other.path} refer to different measures "
                f"({one.header.measure} and {other.header.measure}).",
                "Give ensembles of models of one kind.",
            )
        if abs(one.header.temperature_k - other.header.temperature_k) > 1e-6:
            raise InputError(
                f"{one.path} is of {one.header.temperature_k:g} K and {other.path} of "
                f"{other.header.temperature_k:g} K.",
                "Give ensembles of models of one temperature.",
            )


def _check_not_trained_on(members: Members) -> None:
    """Frames that a model was fitted to are not independent of its density."""
    for model, member in product(members.models, members.equilibria):
        if member.digest in (model.trained_on or ()):
            raise InputError(
                f"The model of {model.path} was trained on the frames in {member.path}, so that its density is too "
                "high on them.",
                "Give a run that was not trained on.",
            )


def _training_data(path: Path, model: Path | None) -> frozenset[str] | None:
    """Hashes of what the model was trained on, from the run that trained it; None if that is not there."""
    candidates = [] if model is None else [model]
    if path.is_dir():
        remembered = Path(str(read_manifest(path, "sample").config.get("model")))
        candidates += [remembered, path / remembered, path.parent / remembered]
    for candidate in candidates:
        if (candidate / MANIFEST).is_file():
            data: Any = read_manifest(candidate).config.get("data", {})
            return frozenset(str(value) for value in data.values())
    return None
