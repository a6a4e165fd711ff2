"""Tasks: the data and the metric of a problem. One file each, registered in :mod:`mlpiht_cli.plan.registry`."""
