#!/usr/bin/env bash
# abess: the support size of multinomial regression counts inputs, not coefficients, and one class has none.
#
# A good guess: `MultinomialRegression(support_size=s)` keeps s coefficients, as `LogisticRegression(support_size=s)` and
# `LinearRegression(support_size=s)` of the same package do, and the coefficients of K classes are K columns like
# scikit-learn's, each with its own.
#
# Seen with abess 0.4.11 (Python 3.11), iris with 4 inputs and 3 classes:
#   - support sizes 1, 2, 3 give 2, 4, 6 coefficients: s inputs times K - 1 classes.
#   - `coef_` has a column for each class, [inputs, classes], but that of the last class is all zeros: it is the reference.
#     scikit-learn's `coef_` is [classes, inputs], and no class is special.
# So budgets of the two packages compare only after s is divided by K - 1.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/python" -m pip install --quiet abess==0.4.11 scikit-learn==1.9.1 2>/dev/null
"$dir/venv/bin/python" - <<'PY'
from importlib.metadata import version

import numpy as np
from abess import LogisticRegression, MultinomialRegression
from sklearn.datasets import load_iris

print("abess", version("abess"), "scikit-learn", version("scikit-learn"))
x, y = load_iris(return_X_y=True)
for s in (1, 2, 3):
    found = np.asarray(MultinomialRegression(support_size=s).fit(x, y).coef_)
    print("support size", s, "coefficients", np.count_nonzero(found), "shape", found.shape)
    assert found.shape == (4, 3)
    assert np.count_nonzero(found) == 2 * s
    assert np.count_nonzero(found.any(axis=1)) == s
    assert not found[:, 2].any()
binary = np.asarray(LogisticRegression(support_size=2).fit(x, y == 1).coef_)
assert np.count_nonzero(binary) == 2
PY
echo "as described"
