"""What tensors (l = 2) in the networks of Cartesian models cost and gain: parts of ``benchmark_networks.py``."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from molgen.models.diffusion import Diffusion, DiffusionSettings
from molgen.networks.equivariant import EquivariantNetwork, EquivariantSettings
from molgen.networks.tensors import ByPower, ClosedFormTensorProduct, E3nnTensorProduct
from molgen.seeds import child_seed
from molgen.systems.loading import load_system
from molgen.training.optimisation import Optimisation
from molgen.workflows.frames import open_frames

Task = Callable[[], object]
ATOMS, BATCH, CHANNELS = 22, 64, (32, 16, 8)
STEPS, CHECK_EVERY, WARMUP, RATE, HELD_OUT = 400, 100, 50, 2e-3, 1024


def products() -> tuple[dict[str, dict[str, dict[str, Task]]], dict[str, float]]:
    """The products from what each wants prepared, forward and with backward; largest relative differences."""
    c0, c1, c2 = CHANNELS
    errors = {}
    for dtype in (torch.float64, torch.float32):
        torch.manual_seed(1)
        closed, general = ClosedFormTensorProduct(c0, c1, c2), E3nnTensorProduct(c0, c1, c2).to(dtype)
        shapes = [(c0, BATCH, ATOMS), (c1, BATCH, 3, ATOMS), (c2, BATCH, 5, ATOMS), (BATCH, 3, ATOMS)]
        shapes.append((closed.weights, BATCH, ATOMS, ATOMS))
        s, v, t, x, w = (torch.randn(shape, dtype=torch.float64).to(dtype) for shape in shapes)
        x = x - x.mean(-1, keepdim=True)
        distance = torch.linalg.vector_norm(x[..., None] - x[:, :, None], dim=1)
        inverse = torch.where(distance > 0, 1.0 / distance, torch.zeros_like(distance))
        pairs = zip(closed((s, v, t), x, inverse, w), general((s, v, t), x, inverse, w), strict=True)
        errors[str(dtype).removeprefix("torch.")] = max(float((a - b).abs().max() / b.abs().max()) for a, b in pairs)
    plain, once, twice = torch.split(w, list(closed.counts))
    weights = ByPower(plain * (inverse > 0), once * inverse, twice * inverse.square())
    rows = tuple(row.clone() for row in general.rows((s, v, t), x, w))
    leaves = [tensor.clone().requires_grad_() for tensor in (s, v, t, *weights)]
    row_leaves = [row.clone().requires_grad_() for row in rows]

    def with_backward(product: Callable[[], tuple[torch.Tensor, ...]], inputs: list[torch.Tensor]) -> Task:
        def task() -> None:
            total = torch.stack([part.square().sum() for part in product()]).sum()
            torch.autograd.grad(total, inputs)

        return task

    tasks: dict[str, dict[str, Task]] = {
        "forward": {
            "closed": lambda: closed.sums((s, v, t), x, weights),
            "e3nn": lambda: general.gathered(rows, ATOMS),
        },
        "forward + backward": {
            "closed": with_backward(
                lambda: closed.sums((leaves[0], leaves[1], leaves[2]), x, ByPower(*leaves[3:])), leaves
            ),
            "e3nn": with_backward(lambda: general.gathered(tuple(row_leaves), ATOMS), row_leaves),
        },
    }
    return {"product": tasks}, errors


def networks(batch: int = BATCH) -> dict[str, dict[str, Task]]:
    """The default network with and without tensors: the pass of a training step, and one exact Jacobian."""
    made = {}
    for tensors in (0, 8):
        torch.manual_seed(1)
        settings = EquivariantSettings(tensors=tensors)
        network = EquivariantNetwork((0,) * ATOMS, ((0,) * ATOMS,) * ATOMS, settings)
        torch.nn.init.normal_(network.readout.weight)
        made[f"tensors = {tensors}"] = network
    x, t = torch.randn(batch, ATOMS, 3), torch.rand(batch)

    def training(network: EquivariantNetwork) -> Task:
        def task() -> None:
            network.zero_grad()
            (network(x, t) - x).square().sum((1, 2)).mean().backward()

        return task

    def jacobian(network: EquivariantNetwork) -> Task:
        return lambda: network.with_jacobian(x[:2], t[:2])

    return {
        "forward + backward": {name: training(network) for name, network in made.items()},
        "exact Jacobian, batch 2": {name: jacobian(network) for name, network in made.items()},
    }


def learning(frames: Path, seed: int) -> list[dict[str, Any]]:
    """Held-out denoising losses of alanine dipeptide along equal trainings, which take turns step by step.

    The last ninth of the frames is held out: other lineages than those that are trained on.
    """
    system = load_system("alanine-dipeptide")
    positions = torch.as_tensor(open_frames([frames], system).frames.positions).double()
    cut = len(positions) * 8 // 9
    models, trainers, rows = {}, {}, {}
    for tensors in (0, 8):
        settings = DiffusionSettings(network=EquivariantSettings(tensors=tensors))
        model = Diffusion(system, settings, torch.Generator().manual_seed(seed))
        model.fit(positions[:cut])
        models[tensors], trainers[tensors] = model, Optimisation(model, rate=RATE, average=0.98)
        parameters = sum(parameter.numel() for parameter in model.parameters())
        rows[tensors] = {"tensors": tensors, "seed": seed, "parameters": parameters, "seconds": 0.0, "curve": []}
    training, held_out = models[0].standardise(positions[:cut]).float(), models[0].standardise(positions[cut:]).float()
    held_out = held_out[:: len(held_out) // HELD_OUT]
    for step in range(1, STEPS + 1):
        rate = min(1.0, step / WARMUP) * (1.0 - 0.99 * (step - 1) / STEPS)
        for tensors, model in models.items():
            generator = torch.Generator().manual_seed(child_seed(seed, "learn", step))
            batch = training[torch.randint(0, cut, (BATCH,), generator=generator)]
            before = time.process_time()
            trainers[tensors].step(model.loss(batch, generator).mean(), rate)
            rows[tensors]["seconds"] += time.process_time() - before
            if step % CHECK_EVERY == 0:
                loss = _loss(model, trainers[tensors], held_out)
                rows[tensors]["curve"].append({"step": step, "held_out_loss": loss})
                print(f"seed {seed}, tensors = {tensors}, step {step}: {loss:.4f}", flush=True)
    return list(rows.values())


@torch.no_grad()
def _loss(model: Diffusion, trainer: Optimisation, frames: torch.Tensor) -> float:
    """Mean loss of the averaged parameters, with the same noise every time."""
    generator = torch.Generator().manual_seed(1)
    with trainer.averaged():
        losses = [model.loss(piece, generator).double() for piece in frames.split(BATCH)]
    return float(torch.cat(losses).mean())
