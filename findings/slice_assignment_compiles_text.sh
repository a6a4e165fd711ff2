#!/usr/bin/env bash
# Numba compiles string formatting for an assignment of a slice: 40 functions and seconds instead of one.
#
# A good guess: `a[:2] = b[1:3]` in a compiled function costs the compiler about as much as the two loops that it
# stands for, since a copy of slices is the most ordinary thing in NumPy code.
#
# Seen with numba 0.68.1, llvmlite 0.50.0 and numpy 2.4.6 (Python 3.11): the loops compile as one function in a fraction
# of a second. The slice compiles 44 functions in several seconds. Most of them build strings, for the message of the
# ValueError that says which shapes differ, although these shapes fit.
# So in kernels that users wait for, copy by loops.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/python" -m pip install --quiet numba==0.68.1 llvmlite==0.50.0 numpy==2.4.6 2>/dev/null
"$dir/venv/bin/python" - <<'PY'
import sys
import time

import llvmlite
import numba
import numpy as np
from numba.core import event

print("python", sys.version.split()[0], "numba", numba.__version__, "llvmlite", llvmlite.__version__)


class Names(event.Listener):
    def __init__(self):
        self.names = []

    def on_start(self, found):
        self.names.append(found.data["dispatcher"].py_func.__name__)

    def on_end(self, found):
        pass


@numba.njit
def by_slice(a, b):
    a[:2] = b[1:3]


@numba.njit
def by_loop(a, b):
    for i in range(2):
        for j in range(a.shape[1]):
            a[i, j] = b[i + 1, j]


@numba.njit
def nothing():
    return 0


nothing()  # loads the compiler
compiled = {}
for function in (by_loop, by_slice):
    a, b, seen = np.zeros((4, 3)), np.arange(15.0).reshape(5, 3), Names()
    start = time.perf_counter()
    with event.install_listener("numba:compile", seen):
        function(a, b)
    assert (a[:2] == b[1:3]).all()
    compiled[function.py_func.__name__] = len(seen.names)
    print(f"{function.py_func.__name__}: {len(seen.names)} functions compiled in {time.perf_counter() - start:.1f} s")
sys.exit(0 if compiled["by_loop"] == 1 and compiled["by_slice"] >= 20 else 1)
PY
