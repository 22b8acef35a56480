"""A static bias on collective variables as forces of dynamics: umbrella sampling."""

from typing import TYPE_CHECKING, Any

import numpy as np

from molgen.arrays import FloatArray
from molgen.errors import InputError
from molgen.observables.force import MechanicalVariable
from molgen.units import thermal_energy

if TYPE_CHECKING:
    from molgen.bias.base import SumBias, VariableBias


def biased_xml(system_xml: str, bias: "SumBias", temperature_k: float) -> str:
    """The System XML with kT·B added to its potential, kT at ``temperature_k``, the temperature B was read at.

    ``InputError`` for a bias or a variable that OpenMM has no force for.
    """
    import openmm

    system = openmm.XmlSerializer.deserialize(system_xml)
    for term in bias.terms:
        system.addForce(_force(term, thermal_energy(temperature_k), system.getNumParticles()))
    return str(openmm.XmlSerializer.serialize(system))


def bias_gradient(bias: "SumBias", positions: FloatArray) -> FloatArray:
    """dB/dx (n, N, D) in kT per unit length of ``positions`` (n, N, D), by autograd."""
    import torch

    frames = torch.from_numpy(np.ascontiguousarray(positions)).requires_grad_(True)
    (gradient,) = torch.autograd.grad(bias.reduced(frames).sum(), frames)
    return np.asarray(gradient.numpy(), dtype=np.float64)


def _force(term: "VariableBias", kt: float, n_particles: int) -> Any:
    expression = term.expression
    if expression is None or not isinstance(term.cv, MechanicalVariable):
        what = f"the variable {term.cv.name}" if expression is not None else f"the bias {term.text}"
        raise InputError(f"Dynamics cannot follow {what}.", "Take harmonic, linear or flat-bottom on a geometric cv.")
    force = term.cv.force(f"{kt!r}*b; b={expression}", n_particles)
    force.setName("Bias")
    return force
