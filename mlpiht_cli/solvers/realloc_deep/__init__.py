"""Two hidden layers and one output, end to end: parts of :mod:`mlpiht_cli.solvers.iht_realloc`, one idea per file."""
