"""Energy and densities of every row of several ensembles under each of the samples they make up, kept in shards."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from molgen.arrays import BoolArray, FloatArray, IntArray
from molgen.bias.parsing import parse_bias
from molgen.energies.base import Energy
from molgen.observables.states import StateSet
from molgen.observables.table import evaluate_cvs
from molgen.progress import ProgressEvent
from molgen.rundir import RunDirectory
from molgen.systems.system import System
from molgen.trajectories.constrained import log_stiff
from molgen.workflows.reweight_members import EquilibriumMember, MemberRows, Members, ModelMember
from molgen.workflows.reweight_model import log_density
from molgen.workflows.reweight_request import ReweightRequest
from molgen.workflows.reweight_rows import in_shards

_CHUNK = 4096

Density = Callable[[FloatArray, FloatArray], FloatArray]
"""ln of a density ``(n,)``, up to a factor where that is unknown, from positions ``(n, N, D)`` and u ``(n,)``."""


@dataclass(frozen=True)
class Sample:
    """Rows of one density: the draws of one proposal (of one or more ensembles), or the frames of one run.

    ``pinned`` says that the density is normalised.
    """

    members: tuple[int, ...]
    pinned: bool
    density: Density


@dataclass(frozen=True, eq=False)
class Pool:
    """All rows ``(n,)`` of all ensembles, in the order of the members.

    ``member``, ``origin`` and ``block`` are the ensemble, sample and block that each came from,
    ``log_density`` ``(n, K)`` ln of the density of each sample there (up to a factor for those not ``pinned``
    ``(K,)``), ``counts`` ``(K,)`` their rows.
    ``own_log_q`` is the log-density stored with a draw, 0 for a frame.
    """

    energy: FloatArray
    own_log_q: FloatArray
    in_domain: BoolArray
    label: IntArray
    variables: dict[str, FloatArray]
    member: IntArray
    origin: IntArray
    block: IntArray
    log_density: FloatArray
    counts: FloatArray
    pinned: BoolArray


def make_samples(members: Members, system: System, energy: Energy) -> list[Sample]:
    """One sample a proposal, equal ones together, and one a run of dynamics."""
    proposals: dict[str, list[int]] = {}
    for index, model in enumerate(members.models):
        proposals.setdefault(model.proposal, []).append(index)
    samples = [Sample(tuple(rows), True, _model_density(members.models[rows[0]])) for rows in proposals.values()]
    for number, run in enumerate(members.equilibria):
        samples.append(Sample((len(members.models) + number,), False, boltzmann_density(run, system, energy)))
    return samples


def _model_density(member: ModelMember) -> Density:
    density = log_density(member.loaded)

    def function(positions: FloatArray, _: FloatArray) -> FloatArray:
        values = density(positions)
        # Where the steps of a flow cannot be inverted it draws nothing that it keeps: there its density is 0.
        return np.where(np.isnan(values), -np.inf, values)

    return function


def boltzmann_density(member: EquilibriumMember, system: System, energy: Energy) -> Density:
    """-u_k = -(U/kT_k + B_k + ln|Z|^{-1/2}) up to a constant, T_k and B_k ↔ the run's temperature and bias.

    U/kT_k = u T/T_k with u and T those of ``energy``. Dynamics that holds bonds fixed has |Z|^{1/2} more density than
    the stiff limit (docs/statistics.md, section 1), to whose measure the draws of models and all weights refer.
    What else tells that measure from plain Cartesian coordinates, the volume of rigid motion, is a constant in f_k.
    """
    bias = None if member.bias is None else parse_bias(member.bias, member.system)
    ratio = energy.temperature_k / member.temperature_k

    def function(positions: FloatArray, reduced: FloatArray) -> FloatArray:
        potential = reduced * ratio
        if bias is not None:
            import torch

            with torch.no_grad():
                potential = potential + bias.reduced(torch.as_tensor(positions, dtype=torch.float64)).numpy()
        finite = np.isfinite(positions).all(axis=(1, 2))
        stiff = (
            log_stiff(positions[finite], system, str(member.path), member.hydrogen_mass_da) if finite.any() else None
        )
        if stiff is not None:
            potential[finite] = potential[finite] + stiff
        return np.where(np.isfinite(potential), -potential, -np.inf)

    return function


def make_pool(
    run: RunDirectory,
    request: ReweightRequest,
    rows: Sequence[MemberRows],
    samples: Sequence[Sample],
    system: System,
    states: StateSet,
    energy: Energy,
) -> Pool:
    """Energies and densities of all ``rows``, computed in shards that a resumed run finds again.

    ``InterruptedRunError`` between two shards.
    """
    total, done = sum(len(item) for item in rows), 0
    densities: list[FloatArray] = []
    collected: dict[str, list[FloatArray]] = {}
    for index, item in enumerate(rows):

        def compute(start: int, stop: int, item: MemberRows = item) -> FloatArray:
            return _energy_and_densities(item, start, stop, samples, energy)

        def report(stop: int, done: int = done) -> None:
            request.progress(ProgressEvent("energies and densities", done + stop, total, "rows"))

        folder = f"energies/{index:03d}"
        shard = request.settings.shard_rows
        densities.append(in_shards(run, folder, len(item), shard, compute, report, request.interruption))
        done += len(item)
        for start in range(0, len(item), _CHUNK):
            for name, values in evaluate_cvs(system, item.positions(start, start + _CHUNK)).items():
                collected.setdefault(name, []).append(values)
    variables = {name: np.concatenate(values) for name, values in collected.items()}
    return _joined(rows, samples, np.concatenate(densities), variables, states)


def _energy_and_densities(
    item: MemberRows, start: int, stop: int, samples: Sequence[Sample], energy: Energy
) -> FloatArray:
    """u and ln of each density, ``(stop - start, 1 + K)``; no density outside the domain."""
    positions = item.positions(start, stop)
    reduced = energy.reduced(positions, purpose="reweighting")
    columns = np.stack([sample.density(positions, reduced) for sample in samples], axis=1)
    inside = item.in_domain[start:stop, None]
    return np.concatenate([reduced[:, None], np.where(inside, columns, -np.inf)], axis=1)


def _joined(
    rows: Sequence[MemberRows],
    samples: Sequence[Sample],
    found: FloatArray,
    variables: dict[str, FloatArray],
    states: StateSet,
) -> Pool:
    origin_of = {row: number for number, sample in enumerate(samples) for row in sample.members}
    member = np.repeat(np.arange(len(rows)), [len(item) for item in rows]).astype(np.int64)
    origin = np.array([origin_of[row] for row in range(len(rows))], dtype=np.int64)[member]
    pinned = np.array([sample.pinned for sample in samples], dtype=np.bool_)
    log_density, log_q = found[:, 1:], np.concatenate([item.log_q for item in rows])
    drawn = np.flatnonzero(pinned[origin])
    starts = np.cumsum([0, *(len(item) for item in rows)])[:-1]
    # As drawn: in double precision, and +inf where the model rejected the draw.
    log_density[drawn, origin[drawn]] = log_q[drawn]
    return Pool(
        energy=found[:, 0],
        own_log_q=log_q,
        in_domain=np.concatenate([item.in_domain for item in rows]),
        label=states.assign(variables) if states.names else np.full(len(member), -1, dtype=np.int64),
        variables=variables,
        member=member,
        origin=origin,
        block=np.concatenate([item.block + start for item, start in zip(rows, starts, strict=True)]),
        log_density=log_density,
        counts=np.bincount(origin, minlength=len(samples)).astype(np.float64),
        pinned=pinned,
    )
