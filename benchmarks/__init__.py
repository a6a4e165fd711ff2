"""Speed and memory of mlpiht, measured: ``python -m benchmarks --help`` from the root of the repository.

``yardstick*`` are slow programs that follow the protocol's formulas to the letter; the other modules measure one thing
each, and ``report`` makes tables and figures of what they found. Nothing of the product imports from here.
"""
