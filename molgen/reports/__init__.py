"""Figures and the one-file HTML report: the only folder that plots."""
