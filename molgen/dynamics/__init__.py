"""Propagators (OpenMM and analytic Langevin behind one interface) and simulations that find and sample states."""
