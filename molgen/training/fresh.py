"""Fresh draws of the flow, labelled by the energy and weighted towards the target: what refining learns from."""

import torch

from molgen.energies.base import Energy
from molgen.errors import PartialError
from molgen.models.spline_flow import SplineFlow
from molgen.training.labelled import DrawnFrames, pulled_back
from molgen.training.settings import RefineSettings
from molgen.weights import kish_ess


class FreshDraws:
    """The rows of the last few rounds, each weighted by p/q of the flow that drew it.

    A round's weights are normalised to mean 1 and clipped at a quantile; importance weights need not know that the flow
    has moved on since. Training alone uses them: estimates are made from other draws.
    """

    def __init__(self, flow: SplineFlow, energy: Energy, settings: RefineSettings) -> None:
        self._flow, self._energy, self._settings = flow, energy, settings
        self._rounds: list[DrawnFrames] = []

    def draw(self, seed: int) -> None:
        """Draw and label one round (one evaluation of energy and forces a draw), drop the oldest.

        A poor model is asked for more: a round goes on until its weights are worth enough (:class:`RefineSettings`).
        """
        generator = torch.Generator().manual_seed(seed)
        pieces: list[DrawnFrames] = []
        while len(pieces) < self._settings.pieces:
            pieces.append(self._piece(generator))
            drawn = DrawnFrames.concatenate(pieces)
            kept = torch.isfinite(drawn.log_weight)
            if not bool(kept.any()):
                continue
            weight = _clipped(drawn.log_weight, kept, self._settings.clip)
            if kish_ess(weight.numpy()) * len(weight) >= self._settings.effective * self._settings.draws:
                break
        if bool(kept.any()):
            self._rounds = [*self._rounds, drawn.weighted(weight).rows(kept.nonzero()[:, 0])][-self._settings.keep :]
        elif not self._rounds:
            raise PartialError(
                "None of the model's draws has a finite energy, so that it cannot learn from them.",
                "Learn longer from the frames (--set learn.steps=...), or from them alone (--set refine.rounds=0).",
            )

    def _piece(self, generator: torch.Generator) -> DrawnFrames:
        """``settings.draws`` draws with the logarithm of p/q as their weight, -inf outside the domain."""
        z_t, z_r = self._flow.draw_latent(self._settings.draws, generator)
        with torch.no_grad():
            t, r, log_derivative = self._flow.push(z_t, z_r)
            frames, _, inside = self._flow.place(t, r)
            log_q = (self._flow.log_latent(z_r) - log_derivative).double()
        reduced, gradient = self._energy.reduced_and_gradient(frames.numpy(), purpose="training")
        labelled = pulled_back(self._flow, t, r, frames, torch.as_tensor(reduced), torch.as_tensor(gradient))
        inside &= self._flow.in_domain(frames)
        log_weight = torch.where(inside, -labelled.potential - log_q, -torch.inf)
        return DrawnFrames(**{**vars(labelled), "log_weight": log_weight}, log_q=log_q)

    def batch(self, rows: int, generator: torch.Generator) -> DrawnFrames:
        """``rows`` rows drawn uniformly from the rounds kept, with their weights."""
        pool = DrawnFrames.concatenate(self._rounds)
        return pool.rows(torch.randint(0, len(pool), (rows,), generator=generator))

    def forget(self) -> None:
        """Drop all rounds."""
        self._rounds = []

    def state(self) -> dict[str, torch.Tensor]:
        """The rounds as named tensors."""
        return {f"fresh.{k}.{name}": value for k, part in enumerate(self._rounds) for name, value in vars(part).items()}

    def load(self, tensors: dict[str, torch.Tensor]) -> None:
        """Take up a :meth:`state`."""
        count = len({name.split(".")[1] for name in tensors if name.startswith("fresh.")})
        names = ("t", "r", "slope_t", "slope_r", "potential", "log_weight", "log_q")
        self._rounds = [DrawnFrames(*(tensors[f"fresh.{k}.{n}"] for n in names)) for k in range(count)]


def _clipped(log_weight: torch.Tensor, kept: torch.Tensor, quantile: float) -> torch.Tensor:
    """Weights clipped at a quantile of those ``kept`` and scaled to mean 1 over them, logarithms."""
    clipped = log_weight.clamp_max(float(torch.quantile(log_weight[kept], quantile)))
    return clipped - torch.logsumexp(clipped, 0) + torch.log(kept.sum().double())
