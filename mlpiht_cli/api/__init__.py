"""The library for researchers: problems, fits, scores and sweeps by name; `from mlpiht_cli import fit` loads it."""
