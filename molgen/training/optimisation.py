"""One optimiser with its moving average of the parameters, as a state that can be saved and taken up."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from molgen.models.base import SavedModel

MAX_GRADIENT_NORM = 20.0


class Optimisation:
    """AdamW on the parameters of ``model`` and an exponential moving average of them.

    The average's decay rises from 0 to ``average`` as min(average, n / (n + 20)) at step n: it forgets the start.
    """

    def __init__(
        self, model: nn.Module | SavedModel, *, rate: float, average: float, weight_decay: float = 1e-4
    ) -> None:
        self._parameters = list[torch.Tensor](model.parameters())
        self._average = average
        self.steps = 0
        self.rate = rate
        self._optimiser = torch.optim.AdamW(self._parameters, lr=rate, weight_decay=weight_decay, fused=True)
        self._mean = [p.detach().clone() for p in self._parameters]

    def step(self, loss: torch.Tensor, rate_factor: float) -> bool:
        """One step at ``rate_factor`` times the learning rate; False, and no step, if a gradient is not finite."""
        for group in self._optimiser.param_groups:
            group["lr"] = self.rate * rate_factor
        self._optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        norm = torch.nn.utils.clip_grad_norm_(self._parameters, MAX_GRADIENT_NORM)
        if not bool(torch.isfinite(norm)):
            return False
        self._optimiser.step()
        self.steps += 1
        decay = min(self._average, self.steps / (self.steps + 20.0))
        with torch.no_grad():
            torch._foreach_lerp_(self._mean, self._parameters, 1.0 - decay)
        return True

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Inside the ``with`` block the model has the averaged parameters."""
        current = [p.detach().clone() for p in self._parameters]
        self.adopt(self._mean)
        try:
            yield
        finally:
            self.adopt(current)

    def adopt(self, values: list[torch.Tensor] | None = None) -> None:
        """Set the parameters to ``values``, or to their average for good."""
        with torch.no_grad():
            for parameter, value in zip(self._parameters, self._mean if values is None else values, strict=True):
                parameter.copy_(value)

    def mean(self) -> list[torch.Tensor]:
        """A copy of the averaged parameters."""
        return [m.clone() for m in self._mean]

    def state(self) -> dict[str, torch.Tensor]:
        """Everything that is needed to go on, as named tensors."""
        tensors = {"steps": torch.tensor(self.steps)}
        for k, (parameter, mean) in enumerate(zip(self._parameters, self._mean, strict=True)):
            tensors[f"parameter.{k}"], tensors[f"mean.{k}"] = parameter.detach().clone(), mean.clone()
            for name, value in self._optimiser.state.get(parameter, {}).items():
                tensors[f"adam.{k}.{name}"] = torch.as_tensor(value).clone()
        return tensors

    def load(self, tensors: dict[str, torch.Tensor]) -> None:
        """Take up a :meth:`state`."""
        self.steps = int(tensors["steps"])
        with torch.no_grad():
            for k, (parameter, mean) in enumerate(zip(self._parameters, self._mean, strict=True)):
                parameter.copy_(tensors[f"parameter.{k}"])
                mean.copy_(tensors[f"mean.{k}"])
                prefix = f"adam.{k}."
                found = {n.removeprefix(prefix): v.clone() for n, v in tensors.items() if n.startswith(prefix)}
                if found:
                    self._optimiser.state[parameter] = found
