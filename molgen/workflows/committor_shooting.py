"""Shooting the rounds of a `committor run`, one after the other, into its ledger."""

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, fields, replace

from molgen.shooting.ledger import Ledger
from molgen.shooting.points import ShootingPoints
from molgen.shooting.shots import Counts, count
from molgen.workflows.committor_bisection import Bisection, Way
from molgen.workflows.committor_rounds import Pool, Round, spent
from molgen.workflows.shooting_batches import Batches
from molgen.workflows.shot_data import check_decided


@dataclass(frozen=True, eq=False)
class RoundShooting:
    """Rounds shot by ``batches`` into ``ledger``; what is there already is not shot again.

    Shots that are undecided at the limit of ``batches`` are taken on to ``longest`` times that; ``InputError`` if too
    many are undecided then, so that a run that cannot succeed ends early.
    """

    ledger: Ledger
    batches: Batches
    longest: int

    def shoot(self, executor: Executor, before: Sequence[Round], entry: Round, name: str) -> None:
        """All shots of the round ``entry`` after the rounds ``before``, whose points are in the ledger."""
        points, pairs, batches = spent(before, self.batches.batch)
        self.batches.shoot(
            executor,
            self.points().positions,
            points + entry.configuration,
            first_batch=batches,
            first_pair=pairs,
            name=name,
        )
        replace(self.batches, limit=self.longest * self.batches.limit).take_on(executor)
        check_decided(
            self._all_counts(),
            f"They took {self.longest * self.batches.limit} steps each, and the same command with "
            f"--set longest={10 * self.longest} takes them on. Where "
            "dynamics stays long between the states, a higher temperature or other states may be the better question.",
        )

    def grow(self, pool: Pool, before: Sequence[Round], entry: Round) -> Pool:
        """``pool`` with the frames on the way of the shots of ``entry``."""
        first, last = (spent(rounds, self.batches.batch)[2] for rounds in (before, [*before, entry]))
        points, counts = self.points(), self._all_counts()
        return pool.grown(self.ledger.trail(range(first, last)), points, (counts.a > 0) & (counts.b > 0))

    def counts(self, before: Sequence[Round], entry: Round) -> Counts:
        """What became of the shots from each point of the round ``entry`` after ``before``."""
        first, last = (spent(rounds, self.batches.batch)[0] for rounds in (before, [*before, entry]))
        found = self._all_counts()
        return Counts(*(getattr(found, item.name)[first:last] for item in fields(Counts)))

    def _all_counts(self) -> Counts:
        shots = self.ledger.shots()
        assert shots is not None
        return count(shots, len(self.points()))

    def points(self) -> ShootingPoints:
        """The points of all rounds so far."""
        points = self.ledger.points()
        assert points is not None
        return points


def bisect(
    shooting: RoundShooting, executor: Executor, ways: list[Way], pool: Pool, pairs: int
) -> tuple[list[Round], Pool]:
    """Bisect as many of ``ways`` as ``pairs`` pairs of shots allow; the rounds, and the pool with what they met."""
    rounds: list[Round] = []
    chosen = _affordable(ways, pairs)
    if not chosen:
        return rounds, pool
    bisection = Bisection.begin(chosen, pool.lineage[pool.held_out])
    while len(bisection.under_way):
        number, entry = len(rounds), bisection.round
        if shooting.ledger.points_of(number) is None:
            shooting.ledger.add_points(bisection.points(number))
        shooting.shoot(executor, rounds, entry, f"bisection {number + 1}")
        bisection = bisection.narrowed(shooting.counts(rounds, entry))
        pool = shooting.grow(pool, rounds, entry)
        rounds.append(entry)
    return rounds, pool


def _affordable(ways: list[Way], pairs: int) -> list[Way]:
    """As many of ``ways``, evenly, as can be halved to the end; a way of m frames takes log2(m + 1) pairs at most."""
    if not ways:
        return []
    depth = max(len(way.positions) for way in ways).bit_length()
    count = min(len(ways), pairs // depth)
    return [ways[index * len(ways) // count] for index in range(count)]
