"""Sampling under a bias: the choice of a method, an `auto` bias, the adaptation, and the header's record."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from molgen import seeds
from molgen.bias.base import SumBias
from molgen.bias.reading import bias_line
from molgen.energies.factory import open_energy
from molgen.engines.executors import open_executor
from molgen.errors import UsageError
from molgen.files import json_bytes
from molgen.interruption import Interruption
from molgen.models.artifact import LoadedModel
from molgen.models.continuous import ContinuousFlow
from molgen.progress import Progress, silent
from molgen.rundir import RunDirectory, write_atomically
from molgen.sampling.flattening import AutoBias, Flattened, FlatteningSettings, flatten, parse_auto
from molgen.sampling.guidance import GuidanceSettings
from molgen.sampling.guided_flow import GUIDED, bias_record, guided_flow
from molgen.sampling.latent_adaptation import adapt_latent
from molgen.sampling.latent_proposal import LATENT, LatentSettings, checked_flow, latent_record
from molgen.sampling.methods import METHODS, PushedModel, model_of_record
from molgen.settings import Settings, nearest_hint
from molgen.systems.system import System
from molgen.workflows.bias_functions import FUNCTIONS, check_smooth, read_bias

AUTO = "auto"
RECORD = "bias.json"
_REASONS = {
    LATENT: "the model is a spline flow, whose latent distribution can be adapted",
    GUIDED: "the model has a velocity field, which the bias can drive",
}


@dataclass(frozen=True)
class BiasPlan:
    """What was asked for, checked: ``line`` of the bias (None without one), ``method``, and how the method is set.

    ``notes`` say what was chosen by itself; ``evaluations`` is the most that an ``auto`` bias will cost.
    """

    model: PushedModel
    line: str | None = None
    bias: SumBias | AutoBias | None = None
    method: str | None = None
    applied: Settings | None = None
    flattening: FlatteningSettings = field(default_factory=FlatteningSettings)
    notes: tuple[str, ...] = ()

    @property
    def piece(self) -> int:
        """How many draws are made at a time."""
        return self.model.piece

    @property
    def evaluations(self) -> int:
        """The most energies that will be computed."""
        if not isinstance(self.bias, AutoBias):
            return 0
        return self.flattening.pilot * (1 if self.bias.most is None else self.flattening.rounds)

    @property
    def settings(self) -> dict[str, Any]:
        """What of the settings the draws depend on."""
        if self.method is None or self.applied is None:
            return {}
        name = {GUIDED: "guidance"}.get(self.method, self.method)
        flattening = {"flattening": self.flattening.model_dump()} if isinstance(self.bias, AutoBias) else {}
        return {name: self.applied.model_dump()} | flattening


@dataclass(frozen=True)
class Pushed:
    """What is drawn from; ``record`` is the header's, None without a bias; energies spent."""

    model: PushedModel
    record: dict[str, Any] | None = None
    notes: tuple[str, ...] = ()
    evaluations: int = 0


def plan_bias(
    model: Any,
    system: System,
    given: str | None,
    method: str,
    by_method: Mapping[str, Settings],
    flattening: FlatteningSettings,
) -> BiasPlan:
    """The plan for ``model`` and the bias ``given``; ``InputError`` or ``UsageError`` for what cannot be done."""
    names = (AUTO, *METHODS, "annealed")
    if method not in names:
        raise UsageError(f"There is no method {method!r}.", nearest_hint(method, names))
    if given is None:
        if method != AUTO:
            raise UsageError(f"--method {method} has no bias to apply.", 'Give --bias "harmonic(...)", or no --method.')
        return BiasPlan(model)
    text, folder = bias_line(given)
    bias: SumBias | AutoBias = parse_auto(text, system, folder, FUNCTIONS) or read_bias(text, system, folder=folder)
    notes: tuple[str, ...] = ()
    if method == AUTO:
        method = GUIDED if isinstance(model, ContinuousFlow) else LATENT
        notes = (f"Method {method}: {_REASONS[method]}.",)
    if method == GUIDED:
        check_smooth([bias.cv] if isinstance(bias, AutoBias) else [term.cv for term in bias.terms])
    if method == GUIDED and isinstance(bias, SumBias):
        settings = by_method[GUIDED]
        assert isinstance(settings, GuidanceSettings)
        guided_flow(model, bias, settings)
    elif method == GUIDED:
        guided_flow(model, SumBias(()), GuidanceSettings())
    else:
        checked_flow(model)
    return BiasPlan(model, bias.text, bias, method, by_method[method], flattening, notes)


def push(
    plan: BiasPlan,
    loaded: LoadedModel,
    run: RunDirectory,
    workers: int,
    platform: str,
    progress: Progress = silent,
    interruption: Interruption | None = None,
) -> Pushed:
    """What ``plan`` draws from: an ``auto`` bias is found and the method adapted, or read if ``run`` did so before."""
    if plan.bias is None:
        return Pushed(plan.model)
    path = run.path / RECORD
    if not path.exists():
        found = _found(plan, loaded, run.seed, workers, platform, progress, interruption)
        write_atomically(path, json_bytes(found))
    kept = json.loads(path.read_bytes())
    model = model_of_record(plan.model, kept["record"], loaded.system, str(path), FUNCTIONS)
    return Pushed(model, kept["record"], tuple(kept["notes"]), int(kept["evaluations"]))


def _found(
    plan: BiasPlan,
    loaded: LoadedModel,
    seed: int,
    workers: int,
    platform: str,
    progress: Progress,
    interruption: Interruption | None,
) -> dict[str, Any]:
    """The record of the bias, notes and evaluations, as plain data."""
    notes, spent, bias = list(plan.notes), 0, plan.bias
    assert bias is not None
    if isinstance(bias, AutoBias):
        flattened, spent = _flattened(plan, bias, loaded, seed, workers, platform, progress, interruption)
        bias = flattened.bias
        notes.append(
            f"The profile along {plan.bias.cv.name} was levelled up to {flattened.most:.1f} kT after {spent} energies."  # type: ignore[union-attr]
        )
    record, said = _record(plan, bias, loaded.system, seed, progress, interruption)
    if isinstance(plan.bias, AutoBias):
        record["asked"] = plan.bias.text
    return {"record": record, "notes": notes + said, "evaluations": spent}


def _flattened(
    plan: BiasPlan,
    auto: AutoBias,
    loaded: LoadedModel,
    seed: int,
    workers: int,
    platform: str,
    progress: Progress,
    interruption: Interruption | None,
) -> tuple[Flattened, int]:
    """The bias that levels the profile, and the energies it cost."""

    def pushed(bias: SumBias, round_: int) -> PushedModel:
        own = seeds.child_seed(seed, "flattening", round_)
        record, _ = _record(plan, bias, loaded.system, own, progress, interruption)
        return model_of_record(plan.model, record, loaded.system, "auto", FUNCTIONS)

    with open_executor(workers) as executor:
        energy = open_energy(loaded.system, executor=executor, platform=platform, temperature_k=loaded.temperature_k)
        settings = plan.flattening
        found = flatten(
            plan.model, loaded.system, auto, energy, pushed, settings, seed, progress, interruption, FUNCTIONS
        )
        return found, energy.counter.sampling


def _record(
    plan: BiasPlan,
    bias: SumBias,
    system: System,
    seed: int,
    progress: Progress,
    interruption: Interruption | None,
) -> tuple[dict[str, Any], list[str]]:
    """The header's record of ``bias`` under the plan's method, and what is worth saying of it."""
    if plan.method == GUIDED:
        assert isinstance(plan.applied, GuidanceSettings)
        return bias_record(bias, plan.applied), []
    assert isinstance(plan.applied, LatentSettings)
    adapted = adapt_latent(checked_flow(plan.model), bias, plan.applied, seed, progress, interruption)
    assert adapted.proposal.mixture is not None
    note = (
        f"The latent distribution was adapted in {adapted.stages} stages: {adapted.efficiency:.0%} of its draws were "
        f"effective for the biased model, {plan.applied.base_share:.0%} of the draws come from the plain one."
    )
    return latent_record(bias.text, adapted.proposal, plan.applied), [note]
