"""molgen: Boltzmann ensembles of molecules, with error bars that can be believed.

The public Python interface is :mod:`molgen.workflows`; importing this package alone is cheap and loads
neither torch nor OpenMM.
"""

__version__ = "0.1.0"
