"""What is sampled: definitions, built-in systems, force fields."""

from molgen.systems.loading import data_root, load_system, system_names
from molgen.systems.system import AnalyticSystem, MolecularSystem, System

__all__ = ["AnalyticSystem", "MolecularSystem", "System", "data_root", "load_system", "system_names"]
