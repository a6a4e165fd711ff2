"""Measurements of the speed and memory of mlpiht: run ``python -m benchmarks --help`` in the root of the repository.

The modules ``yardstick*`` are slow programs that follow the formulas of the protocol literally. Each of the other
modules measures one thing, and ``report`` makes tables and figures of the results. The package ``mlpiht_cli`` imports
nothing from here.
"""
