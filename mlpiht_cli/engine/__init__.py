"""Run cells: the runner of a job, sweeps, costs, provenance and executors."""
