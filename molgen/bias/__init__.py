"""Biases: functions of collective variables added to a reduced potential, differentiable and written in one line."""
