"""``SparseReLURegressor``."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.utils.validation import validate_data

from mlpiht_cli.estimators.base import Floats, SparseReLU
from mlpiht_cli.estimators.rows import check_targets, naming_words


class SparseReLURegressor(RegressorMixin, SparseReLU):  # type: ignore[misc]  # scikit-learn has no types
    """Regression by a ReLU network, or a line, with exactly limited weights.

    With ``m`` or ``s`` on "auto", cross-validation on the rows given to ``fit`` chooses among a sparse line
    and networks of a few widths: the fewest weights that are about as good as the best.

    Parameters
    ----------
    m, s, starts, cv, fit_intercept, standardise, random_state
        See :class:`~mlpiht_cli.estimators.base.SparseReLU`.
    method
        "auto" (the same as "iht"), "iht", "iht_realloc" (slower, finds planted networks) or "iht_linear" (a line).

    Attributes
    ----------
    model_
        The network, a :class:`~mlpiht_cli.core.model.SparseMLP` of scaled inputs and a column of ones, in float64.
    method_, m_, s_
        Method, width and budget that were given or chosen; the width of a line is 1.
    support_
        Inputs that the network uses, bool ``[n_features]``.
    cv_results_
        Arrays by name, one entry for each candidate; without entries if nothing was chosen. Errors are mean squared
        errors of the standardised target, scores are R².
    n_iter_, loss_
        Steps of the fit, and its mean squared error on the standardised training target.
    scaler_, y_mean_, y_scale_
        Scaling of inputs (None: none) and target: a prediction is ``output * y_scale_ + y_mean_``.
    n_features_in_, feature_names_in_, classes_
        As in scikit-learn.

    Raises
    ------
    ValueError
        Data or parameters are not usable.
    """

    methods: ClassVar[tuple[str, ...]] = ("iht", "iht_realloc", "iht_linear")

    def fit(self, X: Any, y: Any) -> Self:
        """Fit rows ``X [n, n_features]`` and targets ``y [n]``."""
        search = self._search("iht")
        check_targets(y)
        with naming_words(X=X, y=y):
            x, y = validate_data(self, X, y, dtype=np.float64, y_numeric=True, ensure_min_samples=2)
            y = y.astype(np.float64)
        self.y_mean_ = float(y.mean()) if self.fit_intercept else 0.0
        centred = y - self.y_mean_
        self.y_scale_ = float(np.sqrt(np.mean(centred**2))) or 1.0
        self._learn(x, centred[:, None] / self.y_scale_, search, ("squared", "r2"))
        return self

    def predict(self, X: Any) -> Floats:
        """Return predictions ``[n]`` of rows ``X [n, n_features]``."""
        out: Floats = self._outputs(X)[:, 0] * self.y_scale_ + self.y_mean_
        return out
