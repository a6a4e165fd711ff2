#!/usr/bin/env bash
# scikit-learn: MinMaxScaler, MaxAbsScaler and RobustScaler leave a column alone if its range is below 2e-15, in any unit.
#
# A good guess: scaling undoes the choice of a unit, so a column in metres and the same in units of 1e17 metres give the
# same result, from every scaler. Only a column that does not vary is left as it is.
#
# Seen with scikit-learn 1.9.1 and NumPy 2.4.6 (Python 3.11), for the column 0, 1, ..., 11 times a power of ten:
#   - times 1e-15 all four scalers give the range that they give without a factor.
#   - times 1e-17 (charges in coulombs, say) the three give a range of 1.1e-16: a scale below ten machine epsilons counts
#     as zero, and becomes 1. StandardScaler compares the variance with the mean instead, and scales the column.
#   - times 1e-200 StandardScaler leaves it, too: the variance, 1e-399, is 0 in double precision.
# None of them warns, and a model that follows sees a column of zeros. A factor that is a power of two helps: it changes no
# digit.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/python" -m pip install --quiet scikit-learn==1.9.1 numpy==2.4.6 2>/dev/null
"$dir/venv/bin/python" -W error - <<'PY'
import numpy as np
import sklearn
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler

print("scikit-learn", sklearn.__version__, "numpy", np.__version__)
column = np.arange(12.0)[:, None]
for kind, floor in ((MinMaxScaler, -15), (MaxAbsScaler, -15), (RobustScaler, -15), (StandardScaler, -150)):
    expected = np.ptp(kind().fit_transform(column))
    for power in (-12, -15, -17, -150, -200):
        found = np.ptp(kind().fit_transform(column * 10.0**power))
        print(kind.__name__, f"times 1e{power}: range after scaling {found:.3g}")
        if power >= floor:
            assert np.isclose(found, expected)
        else:
            assert np.isclose(found, 11 * 10.0**power, atol=0)
PY
echo "as described"
