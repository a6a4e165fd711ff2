"""``SparseReLUClassifier``."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import validate_data

from mlpiht_cli.core.calibration import THRESHOLD, platt_slope
from mlpiht_cli.errors import shown
from mlpiht_cli.estimators.base import Floats, SparseReLU
from mlpiht_cli.estimators.rows import check_targets, naming_words

ONE_OUTPUT = ("iht", "iht_realloc", "iht_linear")
"""Methods with one output and squared loss; the others have one output a class and cross-entropy."""


class SparseReLUClassifier(ClassifierMixin, SparseReLU):  # type: ignore[misc]  # scikit-learn has no types
    """Classification by a ReLU network, or a line, with exactly limited weights.

    Two classes are the targets 0 and 1 of one output with squared loss, and the output's threshold is 0.5. More classes
    have an output each and cross-entropy. With ``m`` or ``s`` on "auto", cross-validation on the rows given to ``fit``
    chooses among a sparse line and networks of a few widths: the fewest weights that are about as good as the best.

    Probabilities of one output are ``sigmoid(slope_ * (output - 0.5))``, Platt's scaling without an offset, so that
    they agree with ``predict``. The slope is fitted to the training outputs, with Platt's targets; where budgets are
    large for the number of rows, ``sklearn.calibration.CalibratedClassifierCV`` is the more careful way. Probabilities
    of several outputs are their softmax.

    Parameters
    ----------
    m, s, starts, cv, fit_intercept, standardise, random_state
        See :class:`~mlpiht_cli.estimators.base.SparseReLU`.
    method
        "auto" ("iht" for two classes and "iht_vector" for more); "iht", "iht_realloc", "iht_linear" (two classes); or
        "iht_vector", "iht_logistic" (any number).

    Attributes
    ----------
    classes_
        Labels ``[k]``, in order.
    model_
        The network, a :class:`~mlpiht_cli.core.model.SparseMLP` of scaled inputs and a column of ones, in float64.
    method_, m_, s_
        Method, width and budget that were given or chosen; the width of a line is 1.
    support_
        Inputs that the network uses, bool ``[n_features]``.
    cv_results_
        Arrays by name, one entry for each candidate; without entries if nothing was chosen. Scores are accuracies,
        errors the shares of wrong classes.
    n_iter_, loss_
        Steps of the fit, and its training loss.
    slope_
        Slope of the probabilities of one output; nan for several.
    scaler_, n_features_in_, feature_names_in_
        As in :class:`~mlpiht_cli.estimators.regressor.SparseReLURegressor`.

    Raises
    ------
    ValueError
        Data or parameters are not usable.
    """

    methods: ClassVar[tuple[str, ...]] = (*ONE_OUTPUT, "iht_vector", "iht_logistic")

    def fit(self, X: Any, y: Any) -> Self:
        """Fit rows ``X [n, n_features]`` and labels ``y [n]``."""
        check_targets(y)
        with naming_words(X=X):
            x, y = validate_data(self, X, y, dtype=np.float64, ensure_min_samples=2)
        check_classification_targets(y)
        self.classes_, codes = np.unique(y, return_inverse=True)
        count = len(self.classes_)
        if count < 2:
            raise ValueError(f"the target has one class ({self.classes_[0]}); a classifier needs two or more")
        search = self._search("iht" if count == 2 else "iht_vector")
        single = search.method in ONE_OUTPUT
        if single and count > 2:
            raise ValueError(
                f"method={shown(search.method)} is for two classes, the target has {count}; use 'iht_vector'"
            )
        targets = codes[:, None].astype(np.float64) if single else np.eye(count)[codes]
        out = self._learn(x, targets, search, ("squared" if single else "cross_entropy", "accuracy"))
        self.slope_ = platt_slope(out[:, 0] - THRESHOLD, codes == 1) if single else np.nan
        return self

    def decision_function(self, X: Any) -> Floats:
        """Return scores: ``[n]``, above 0 for the second of two classes, or ``[n, k]``, largest for the class."""
        out = self._outputs(X)
        if out.shape[1] == 1:
            return np.asarray(out[:, 0] - THRESHOLD)
        return np.asarray(out[:, 1] - out[:, 0]) if len(self.classes_) == 2 else out

    def predict(self, X: Any) -> NDArray[Any]:
        """Return labels ``[n]``."""
        scores = self.decision_function(X)
        codes = (scores > 0).astype(int) if scores.ndim == 1 else scores.argmax(axis=1)
        return np.asarray(self.classes_[codes])

    def predict_proba(self, X: Any) -> Floats:
        """Return probabilities ``[n, k]`` in the order of ``classes_``; each row sums to 1."""
        from scipy.special import expit, softmax

        scores = self.decision_function(X)
        if scores.ndim > 1:
            return np.asarray(softmax(scores, axis=1))
        second = expit(scores if np.isnan(self.slope_) else self.slope_ * scores)
        return np.column_stack([1.0 - second, second])
