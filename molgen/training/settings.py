"""Settings of training."""

from typing import Self

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from molgen.models.spline_flow import SplineFlowSettings
from molgen.settings import Settings


class _Weights(Settings):
    """Weights of objectives, which must not all be zero."""

    @model_validator(mode="after")
    def _asks_for_something(self) -> Self:
        if not any(self.model_dump().values()):
            raise ValueError("no objective has a weight")
        return self


class LearnWeights(_Weights):
    """What the first stage makes smaller on the frames: KL(p || q) by its path gradient and by likelihood."""

    forward: NonNegativeFloat = 1.0
    likelihood: NonNegativeFloat = 0.3


class RefineWeights(_Weights):
    """What refining makes smaller, see :mod:`molgen.training.objectives`.

    ``frames`` is the forward divergence on frames of dynamics, ``forward`` and ``likelihood`` that on fresh draws
    weighted by p/q. ``reverse`` (on fresh draws) and ``log_variance`` (on frames and on fresh draws) seek modes: the
    guard switches them off if a state gets lost.
    """

    frames: NonNegativeFloat = 1.0
    forward: NonNegativeFloat = 1.0
    likelihood: NonNegativeFloat = 0.3
    reverse: NonNegativeFloat = 0.0
    log_variance: NonNegativeFloat = 0.0


class LearnSettings(Settings):
    """First stage: the path gradient of KL(p || q) on the frames given, with a share of plain likelihood.

    The learning rate rises over ``warmup`` steps and falls linearly to ``final_rate`` of ``rate``.
    """

    steps: PositiveInt = 1200
    batch: PositiveInt = 512
    rate: PositiveFloat = 1e-3
    final_rate: PositiveFloat = 0.1
    warmup: PositiveInt = 30
    weights: LearnWeights = LearnWeights()
    average: float = Field(default=0.998, gt=0.0, lt=1.0)
    max_frames: PositiveInt = 100_000
    validation_fraction: float = Field(default=0.1, gt=0.0, lt=1.0)
    patience: PositiveInt = 8


class RefineSettings(Settings):
    """Second stage: rounds of fresh draws, labelled with the energy and weighted towards the target.

    Each round draws ``draws`` frames, as many again up to ``pieces`` times until their weights are worth ``effective``
    x ``draws`` (Kish), and takes ``steps`` steps on the rows of the last ``keep`` rounds. Weights are clipped at their
    ``clip`` quantile for training only.
    """

    rounds: NonNegativeInt = 120
    draws: PositiveInt = 2048
    pieces: PositiveInt = 4
    effective: PositiveFloat = 0.5
    steps: PositiveInt = 8
    keep: PositiveInt = 8
    batch: PositiveInt = 512
    rate: PositiveFloat = 7e-4
    weights: RefineWeights = RefineWeights()
    clip: float = Field(default=0.99, gt=0.0, lt=1.0)
    guard_every: PositiveInt = 25
    average: float = Field(default=0.995, gt=0.0, lt=1.0)


class StateSettings(Settings):
    """States found from the frames where the system declares none: how many at most, and how rare they may be.

    ``min_share`` is a share of the frames, ``min_population`` one of the target: a found state that is rarer at the
    target's temperature is trained on and guarded, but not reported on.
    """

    max: PositiveInt = 24
    min_share: float = Field(default=0.005, ge=0.0, lt=1.0)
    min_population: float = Field(default=0.005, ge=0.0, lt=1.0)


class TrainingSettings(Settings):
    """Everything ``molgen train --model spline`` can be told; ``guard_draws`` fresh draws check every state.

    A state with the share s of the frames makes up s**balance of the frames in a batch.
    """

    flow: SplineFlowSettings = SplineFlowSettings()
    learn: LearnSettings = LearnSettings()
    refine: RefineSettings = RefineSettings()
    states: StateSettings = StateSettings()
    balance: float = Field(default=1.0, ge=0.0, le=1.0)
    guard_draws: PositiveInt = 4096
    check_every: PositiveInt = 100
    torch_threads: PositiveInt = 1

    @property
    def max_frames(self) -> int:
        """Most frames that are read."""
        return self.learn.max_frames

    @property
    def validation_fraction(self) -> float:
        """Share of the frames that is held out."""
        return self.learn.validation_fraction


class MatchingTrainingSettings(Settings):
    """Everything ``molgen train`` can be told of a continuous flow; ``flow`` are the model's own settings.

    ``steps`` steps on random batches of ``batch`` training frames (None: as many as have some 20,000 pairs of
    particles, from 64 to 256). The learning rate rises over ``warmup`` steps and
    falls linearly to ``final_rate`` of ``rate``; ``average`` is the decay of the averaged parameters, which are the
    model. Every ``check_every`` steps the loss of held-out frames is noted. At the end ``check_draws`` fresh draws and
    at most ``check_frames`` frames check effective sample size and states.
    """

    flow: Settings = Settings()
    steps: PositiveInt = 20_000
    batch: PositiveInt | None = None
    rate: PositiveFloat = 2e-3
    final_rate: PositiveFloat = 0.01
    warmup: PositiveInt = 100
    average: float = Field(default=0.999, gt=0.0, lt=1.0)
    max_frames: PositiveInt = 100_000
    validation_fraction: float = Field(default=0.1, gt=0.0, lt=1.0)
    check_every: PositiveInt = 500
    check_draws: PositiveInt = 500
    check_frames: PositiveInt = 300
    states: StateSettings = StateSettings()
    torch_threads: PositiveInt = 1


AnyTrainingSettings = TrainingSettings | MatchingTrainingSettings
"""Settings of some training: all have flow, states, max_frames, validation_fraction, torch_threads."""
