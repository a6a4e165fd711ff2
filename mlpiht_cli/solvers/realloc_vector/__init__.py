"""Reallocation of weights and neurons with several outputs: parts of :mod:`mlpiht_cli.solvers.iht_realloc`."""
