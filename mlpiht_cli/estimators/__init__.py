"""scikit-learn estimators of sparse ReLU networks; `from mlpiht_cli import SparseReLURegressor` loads them."""
