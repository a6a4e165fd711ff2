"""Specs: YAML files that say what to run. Nothing here imports torch."""
