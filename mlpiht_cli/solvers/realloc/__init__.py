"""Reallocation of weights and neurons: the parts of :mod:`mlpiht_cli.solvers.iht_realloc`, one idea per file."""
