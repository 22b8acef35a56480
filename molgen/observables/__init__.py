"""Collective variables in torch, and the states defined on them."""
