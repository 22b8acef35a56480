"""Collective variables that OpenMM computes as well: a function of one as a force that dynamics follows."""

from typing import Any, Protocol, runtime_checkable


@runtime_checkable
class MechanicalVariable(Protocol):
    """A collective variable of a molecule that a function of it can bias dynamics along."""

    def force(self, energy: str, n_particles: int) -> Any:
        """The ``openmm.Force`` of an ``energy`` in kJ/mol, an expression of the variable ``s`` in rad or nm.

        ``n_particles`` are those of the whole System. Expressions are Lepton's, with definitions after semicolons, each
        to the right of where it is used: ``2.5*d^2; d=s-0.3``.
        """
        ...
