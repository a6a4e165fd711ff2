"""Tasks: what is to be learned. One file each; registered in :mod:`mlpiht_cli.plan.registry`."""
