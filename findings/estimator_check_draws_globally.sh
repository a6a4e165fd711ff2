#!/usr/bin/env bash
# scikit-learn: one of the checks of `check_estimator` moves NumPy's global random state.
#
# A good guess: the checks that tell estimators to take their random numbers from `random_state` alone draw their own data
# from generators of their own, so that running them changes no later draw of the program.
#
# Seen with scikit-learn 1.9.1 (Python 3.11): of all checks of `LinearRegression()` one changes the global state:
# `check_methods_sample_order_invariance`, which permutes the rows with `numpy.random`. So a test suite that runs the
# checks gives other numbers to every later test that uses the global state, and the permutation that the check itself
# tries depends on what ran before it.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/python" -m pip install --quiet scikit-learn==1.9.1 2>/dev/null
"$dir/venv/bin/python" -W ignore - <<'PY'
import numpy as np
import sklearn
from sklearn.linear_model import LinearRegression
from sklearn.utils.estimator_checks import estimator_checks_generator

print("scikit-learn", sklearn.__version__)


def state():
    kind, words, place, *_ = np.random.get_state()
    return kind, words.tobytes(), place


np.random.seed(0)
moved, count = [], 0
for estimator, check in estimator_checks_generator(LinearRegression()):
    before = state()
    try:
        check(estimator)
    except BaseException as error:  # a check that this environment cannot run
        print("not run:", type(error).__name__)
    count += 1
    if state() != before:
        moved.append(getattr(check, "func", check).__name__)
print(count, "checks; the global state is moved by", moved)
assert moved == ["check_methods_sample_order_invariance"], moved
PY
echo "as described"
