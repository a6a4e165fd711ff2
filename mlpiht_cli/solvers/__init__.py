"""The IHT family of solvers."""
