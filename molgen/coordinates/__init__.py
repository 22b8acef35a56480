"""Coordinates in which ensembles are learned, their log-Jacobians, symmetry and domain."""
