#!/usr/bin/env bash
# numpy.errstate and torch.no_grad around a generator: one decorator does nothing, the other does all.
#
# A good guess: both are context managers that also work as decorators, so a decorated generator computes under the
# setting, and a `with` block inside a generator ends at the generator's edge: the caller, between two values, has its own.
#
# Seen with numpy 2.4.6 and torch 2.13.0 (Python 3.11):
#   - @numpy.errstate on a generator function changes nothing while the body runs: the setting is put on and taken off
#     again while the generator object is made, before its first line. The same decorator on a plain function works.
#   - `with numpy.errstate(...)` around a `yield` leaks: the caller has the setting too, for as long as the generator
#     waits inside the block (a generator shares the context of whoever runs it).
#   - @torch.no_grad on a generator function works as guessed in both ways.
# So a loop turned from a function into a generator loses its errstate without a word; put `with` around the
# computation, never around a `yield`.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/python" -m pip install --quiet numpy==2.4.6 torch==2.13.0 2>/dev/null
"$dir/venv/bin/python" - <<'PY'
import sys

import numpy as np
import torch

print("python", sys.version.split()[0], "numpy", np.__version__, "torch", torch.__version__)


@np.errstate(over="raise")
def plain():
    return np.geterr()["over"]


@np.errstate(over="raise")
def decorated():
    yield np.geterr()["over"]


def block():
    with np.errstate(over="raise"):
        yield np.geterr()["over"]
        yield np.geterr()["over"]


@torch.no_grad()
def quiet():
    yield torch.is_grad_enabled()
    yield torch.is_grad_enabled()


outside = np.geterr()["over"]
waiting = block()
inside = next(waiting)
leaked = np.geterr()["over"]
waiting.close()
grads = quiet()
found = {
    "errstate, decorated function": plain(),
    "errstate, decorated generator": next(decorated()),
    "errstate, block in a generator": inside,
    "errstate, caller while that generator waits": leaked,
    "errstate, caller afterwards": np.geterr()["over"],
    "no_grad, decorated generator has gradients": next(grads),
    "no_grad, caller while that generator waits has gradients": torch.is_grad_enabled(),
}
for what, value in found.items():
    print(f"{what}: {value}")
assert list(found.values()) == ["raise", outside, "raise", "raise", outside, False, True], "the behaviour has changed"
assert outside == "warn"
PY
