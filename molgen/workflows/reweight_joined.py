"""Several samples joined into one: their normalisations found, and the weights of all rows repeated by a bootstrap."""

from dataclasses import dataclass

import numpy as np

from molgen import seeds
from molgen.arrays import FloatArray
from molgen.errors import InputError
from molgen.progress import ProgressEvent
from molgen.reweighting.bootstrap import Replicates, replicates
from molgen.reweighting.mixture import components, log_mixture, responsibilities, shared_rows
from molgen.reweighting.multistate import confirm, solve_free_energies
from molgen.rundir import RunDirectory
from molgen.workflows.reweight_densities import Pool, Sample
from molgen.workflows.reweight_members import Members
from molgen.workflows.reweight_request import ReweightRequest


@dataclass(frozen=True, eq=False)
class Joined:
    """A pool with the normalisation ``free_energies`` ``(K,)`` of its samples, and a bootstrap of the weights."""

    pool: Pool
    free_energies: FloatArray
    replicates: Replicates

    @property
    def log_mixture(self) -> FloatArray:
        """ln of the density of all samples together ``(n,)``."""
        return log_mixture(self.pool.log_density + self.free_energies, self.pool.counts)

    @property
    def share(self) -> FloatArray:
        """The probability ``(n, K)`` that a row came from each sample."""
        return responsibilities(self.pool.log_density + self.free_energies, self.pool.counts)


def join(run: RunDirectory, request: ReweightRequest, members: Members, samples: list[Sample], pool: Pool) -> Joined:
    """Find the normalisations; ``InputError`` for samples that are not connected."""
    free = solve_free_energies(pool.log_density, pool.counts, pool.pinned)
    share = responsibilities(pool.log_density + free, pool.counts)
    component = components(shared_rows(share), pool.pinned)
    if np.any(component > 0):
        names = [" with ".join(members.names[index] for index in sample.members) for sample in samples]
        apart = [name for name, number in zip(names, component, strict=True) if number == component[-1]]
        others = [name for name, number in zip(names, component, strict=True) if number != component[-1]]
        raise InputError(
            f"{' and '.join(apart)} share{'s' if len(apart) == 1 else ''} no configurations with "
            f"{' and '.join(others)}, so that nothing says how they are to be joined.",
            "Add a window between them, or draws of a model that reach both.",
        )
    confirm(pool.log_density, pool.counts, pool.pinned, free)
    repeats = request.settings.bootstrap_repeats
    done = iter(range(repeats))

    def between() -> None:
        request.interruption.check()
        request.progress(ProgressEvent("bootstrap", next(done), repeats, "replicates"))

    target = np.where(pool.in_domain & np.isfinite(pool.energy), -pool.energy, -np.inf)
    found = replicates(
        pool.log_density,
        pool.counts,
        pool.pinned,
        free,
        pool.origin,
        pool.block,
        target,
        repeats=repeats,
        generator=seeds.numpy_generator(run.seed, "replicates"),
        between=between,
    )
    request.progress(ProgressEvent("bootstrap", repeats, repeats, "replicates"))
    return Joined(pool, free, found)
