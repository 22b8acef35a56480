"""What is asked of a reweighting, whichever way its rows get their weights."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from molgen.errors import InputError
from molgen.interruption import Interruption
from molgen.observables.states import with_states
from molgen.progress import Progress
from molgen.rundir import RunDirectory
from molgen.systems.definition import StateSection
from molgen.systems.system import System
from molgen.trajectories.options import EVERYTHING, ReadingOptions
from molgen.workflows.reweight_restraints import RestraintTable
from molgen.workflows.reweight_settings import ReweightSettings
from molgen.workflows.reweight_target import target_system

KIND = "reweight"
TEMPERATURE_RANGE = 1.25
"""Draws may be weighed to temperatures up to this factor away; within it the verdict decides."""


@dataclass(frozen=True)
class ReweightRequest:
    """The arguments of :func:`molgen.workflows.reweighting.reweight`, checked and with their defaults."""

    ensembles: tuple[Path, ...]
    output: Path
    reference: Path | None
    reading: ReadingOptions
    model: Path | None
    states: Mapping[str, str] | None
    temperature_k: float | None
    settings: ReweightSettings
    seed: int | None
    workers: int
    platform: str
    progress: Progress
    interruption: Interruption
    allow_noisy_density: bool
    other: System | None = None
    """Another force field to weigh to; None for that of the draws."""
    restraints: RestraintTable | None = None
    """Measured averages that the weighed ensemble is to agree with."""

    def config(self) -> dict[str, Any]:
        """What a resumed run must have in common with the one it goes on with, beside the ensembles themselves."""
        config: dict[str, Any] = {
            "reference": str(self.reference) if self.reference is not None else None,
            "model": str(self.model) if self.model is not None else None,
            "states": dict(self.states) if self.states is not None else None,
            "temperature_k": self.temperature_k,
            "platform": self.platform,
            "settings": self.settings.model_dump(mode="json"),
        }
        if self.other is not None:
            config["system"] = self.other.fingerprint
        if self.restraints is not None:
            config |= self.restraints.hashes
        if self.reading != EVERYTHING:
            config["reading"] = self.reading.to_json()
        return config

    def run(self, ensembles: Mapping[str, Any], work: Callable[[RunDirectory], Mapping[str, Any]]) -> Mapping[str, Any]:
        """The record in result.json: that of a finished run, else what ``work`` makes in the run directory.

        ``ensembles`` is what tells the ensembles of this run from others.
        """
        config = {**ensembles, **self.config()}
        with RunDirectory.open(self.output, kind=KIND, config=config, seed=self.seed) as run:
            stored: Mapping[str, Any] | None = run.read_json("result.json") if run.complete else None
            return work(run) if stored is None else stored

    def with_states(self, system: System) -> System:
        """``system`` with the states that were given in place of its own."""
        if self.states is None:
            return system
        return with_states(system, tuple(StateSection(name=name, where=where) for name, where in self.states.items()))

    def target(self, drawn: System, draws: int | None = None) -> System:
        """The system to weigh to: ``drawn`` (its states those that were given), or the other force field of its atoms.

        ``InputError`` for one that the draws cannot be weighed to, and for restraints on what it has not or whose
        columns have not one value for each of the ``draws``.
        """
        target = target_system(self.other, drawn)
        if self.restraints is not None:
            self.restraints.restraints(target)
            if draws is not None:
                self.restraints.check_rows(draws)
        return target

    @property
    def asked_k(self) -> float | None:
        """The temperature that was given, else the one that another force field's file has written out."""
        if self.temperature_k is None and self.other is not None:
            definition = self.other.definition
            return self.other.temperature_k if "temperature_k" in definition.model_fields_set else None
        return self.temperature_k

    def target_temperature(self, drawn_k: float) -> float:
        """The temperature to weigh to, of draws at ``drawn_k``; ``InputError`` if no weight could bridge the gap."""
        target_k = drawn_k if self.asked_k is None else self.asked_k
        low, high = drawn_k / TEMPERATURE_RANGE, drawn_k * TEMPERATURE_RANGE
        if not low <= target_k <= high:
            raise InputError(
                f"The draws are of {drawn_k:g} K, too far from {target_k:g} K to be weighed to it.",
                f"Give a temperature from {low:.0f} to {high:.0f} K, or train a model at {target_k:g} K.",
            )
        return target_k
