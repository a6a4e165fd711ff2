"""Solvers of the IHT family."""
