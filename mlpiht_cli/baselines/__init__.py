"""Baselines: the methods that the solvers are compared with."""
