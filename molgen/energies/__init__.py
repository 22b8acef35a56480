"""Reduced potentials u = U / kT of systems: molecules through OpenMM, analytic references in numpy."""
