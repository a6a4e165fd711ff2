"""What the solvers are compared with."""
