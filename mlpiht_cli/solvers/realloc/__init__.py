"""Reallocation of weights and neurons: parts of :mod:`mlpiht_cli.solvers.iht_realloc`, one idea per file."""
