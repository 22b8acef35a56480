"""What a `committor run` is asked for, and what it gives."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field, PositiveFloat, PositiveInt

from molgen.committor.fitting import FittingSettings
from molgen.dynamics.propagator import steps_of
from molgen.settings import Settings
from molgen.workflows.committor_exploring import ExploringSettings
from molgen.workflows.committor_rounds import LEAST_PAIRS, Round, plan_rounds


class CommittorRunSettings(Settings):
    """Shots in ``rounds``: ``pairs`` pairs a point to fit to, ``held_pairs`` a point to judge by.

    Before them ways between the states that hot dynamics found are bisected, with ``bisection_share`` of the shots at
    most. ``held_share`` of the lineages and of the shots is for judging alone. Of each shot at most ``trail`` frames on
    its way are kept to be shot from, with a ``ceiling`` only what lies less than so many kT above transition paths. A
    shot that is undecided after ``limit_ps`` is taken on to ``longest`` times that. The run ends early after
    ``max_evaluations`` steps of dynamics (exploring included), or when it has stopped improving: the log loss of the
    held-out shots has fallen by less than ``least_gain`` nats a shot since ``patience`` rounds before, by the upper end
    of a one-sided 95 % interval, so that chance alone ends nothing.
    """

    bisection_share: float = Field(default=0.15, ge=0.0, lt=1.0)
    rounds: PositiveInt = 10
    pairs: PositiveInt = 1
    held_pairs: PositiveInt = 5
    held_share: float = Field(default=0.2, gt=0.0, lt=1.0)
    trail: PositiveInt = 10
    ceiling: float | None = None
    batch: PositiveInt = 50
    limit_ps: PositiveFloat | None = None
    longest: PositiveInt = 10
    max_evaluations: PositiveInt | None = None
    patience: PositiveInt = 3
    least_gain: PositiveFloat = 1e-3
    fitting: FittingSettings = FittingSettings()
    exploring: ExploringSettings = ExploringSettings()

    def limit_steps(self, timestep_ps: float) -> int:
        """The longest shot in time steps, 10,000 unless given."""
        return 10_000 if self.limit_ps is None else max(1, steps_of(self.limit_ps, timestep_ps))

    def bisection_pairs(self, shots: int) -> int:
        """Pairs of shots for the bisection of ways at most; a round's worth of ``shots`` is left."""
        return min(int(self.bisection_share * shots) // 2, shots // 2 - LEAST_PAIRS)

    def plan(self, shots: int) -> tuple[Round, ...]:
        """The rounds of ``shots`` shots."""
        return plan_rounds(shots, self.rounds, self.pairs, self.held_pairs, self.held_share)


@dataclass(frozen=True)
class CommittorRunResult:
    """What was learned; the log losses, slope and ece are of the held-out shots.

    ``evaluations`` are steps of dynamics in shots, ``exploring_evaluations`` those before; ``rounds`` says for each
    round what stood at its end.
    """

    directory: Path
    system: str
    a: str
    b: str
    features: str
    rounds: tuple[dict[str, Any], ...]
    ended: str
    points: int
    shots: int
    held_out_shots: int
    undecided: int
    crashed: int
    evaluations: int
    exploring_evaluations: int
    log_loss: float
    log_loss_floor: float
    slope: float
    slope_error: float
    ece: float
    calibrated: bool
    dynamics_sha256: str
    committor_sha256: str
    seed: int
    platform: str
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The result as plain data."""
        return {**self.__dict__, "directory": str(self.directory)}
