"""The command line of molgen: parse, call one function of :mod:`molgen.workflows`, print."""
