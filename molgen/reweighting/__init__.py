"""Importance weights: their figures, tail index, coverage, audit and the verdict on every estimate."""
