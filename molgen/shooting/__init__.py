"""Shooting: dynamics from chosen configurations, what became of each shot, and the ledger that keeps it."""
