"""Running cells: runner, sweep, cost, provenance, executors."""
