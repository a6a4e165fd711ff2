"""Boosted trees, by scikit-learn: how well a table can be predicted without any limit on the model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from pydantic import Field

from mlpiht_cli.baselines.yardsticks.rows import Rows, affine, refusal, step_of
from mlpiht_cli.core.fit import Events, Reached
from mlpiht_cli.core.method import Method, Shape
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.rng import Streams

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor


ROWS_OF_LEAF = 5, 20
"""Least numbers of rows in a leaf that cross-validation chooses from."""


@dataclass(frozen=True)
class Trees:
    """Boosted trees as a predictor: they have no weights.

    Attributes
    ----------
    model
        Fitted ``HistGradientBoostingRegressor`` or ``-Classifier``.
    columns
        Columns of the inputs that it takes.
    scale, shift
        Of two classes: how log-odds become outputs.
    """

    model: Any
    columns: NDArray[np.int64]
    scale: float = 1.0
    shift: float = 0.0

    @property
    def nnz(self) -> None:
        """None: trees have no weights."""

    @property
    def nnz_by_layer(self) -> None:
        """None: trees have no weights."""

    def forward(self, x: Tensor) -> Tensor:
        """Return predictions ``[n, k]`` for inputs ``[n, d]``: numbers, or log-odds of classes."""
        features = x.double().cpu().numpy()[:, self.columns]
        decide = getattr(self.model, "decision_function", self.model.predict)
        found = torch.from_numpy(np.asarray(decide(features), float)).reshape(len(x), -1)
        return (self.scale * found + self.shift).to(x.device, x.dtype)


class Boosting(Method):
    """Histogram gradient boosting of scikit-learn; five-fold cross-validation chooses its rounds and its leaves.

    It is no network: it has no weights, keeps no budget, and cannot be saved. Width and depth have no effect. A round
    adds one tree (of classes, one tree for each), and a leaf has at least 5 or 20 rows. Held-out rows are judged by the
    squared error or the log loss.
    """

    name: ClassVar[str] = "boosting"
    version: ClassVar[int] = 1
    is_random: ClassVar[bool] = False
    keeps_budget: ClassVar[bool] = False
    is_network: ClassVar[bool] = False

    rounds: int = Field(200, ge=1, description="largest number of rounds")
    lr: float = Field(0.1, gt=0, allow_inf_nan=False, description="share of each tree that is added")
    leaves: int = Field(31, ge=2, description="largest number of leaves of a tree")

    def weights(self, d: int, k: int, shape: Shape) -> int:
        """Return 0: trees have no weights."""
        return 0

    def supports(self, problem: Problem, shape: Shape) -> str | None:
        """Require one output, or classes."""
        return refusal(self.name, problem, ("numbers", "two classes", "classes")) or super().supports(problem, shape)

    def iterate(self, problem: Problem, shape: Shape, budgets: Sequence[int], streams: Streams) -> Events:
        """Choose rounds and leaves, then fit all rows."""
        rows = Rows.of(problem)
        errors = np.zeros((len(ROWS_OF_LEAF), self.rounds))
        for train, test in rows.folds():
            for i, least in enumerate(ROWS_OF_LEAF):
                model = self._model(rows, self.rounds, least).fit(rows.x[train], rows.y[train])
                errors[i] += _errors(model, rows, test)
        chosen, last = (int(place) for place in np.unravel_index(errors.argmin(), errors.shape))
        model = self._model(rows, last + 1, ROWS_OF_LEAF[chosen]).fit(rows.x, rows.y)
        trees = Trees(model, rows.columns, *affine(problem))
        yield step_of(problem, trees)
        yield Reached(trees, facts={"rounds": last + 1, "rows_of_leaf": ROWS_OF_LEAF[chosen]}, iterations=last + 1)

    def _model(self, rows: Rows, rounds: int, least: int) -> Any:
        from sklearn import ensemble

        kinds = ensemble.HistGradientBoostingRegressor, ensemble.HistGradientBoostingClassifier
        return kinds[rows.kind != "numbers"](
            max_iter=rounds,
            learning_rate=self.lr,
            max_leaf_nodes=self.leaves,
            min_samples_leaf=least,
            early_stopping=False,
            random_state=0,
        )


def _errors(model: Any, rows: Rows, test: NDArray[np.int64]) -> NDArray[np.float64]:
    """Error on held-out rows after each round, ``[rounds]``: the mean squared error, or the log loss."""
    x, y = rows.x[test], rows.y[test]
    if rows.kind == "numbers":
        return np.array([np.square(found - y).mean() for found in model.staged_predict(x)])
    chances = (found[np.arange(len(y)), y] for found in model.staged_predict_proba(x))
    return np.array([-np.log(np.maximum(chance, 1e-15)).mean() for chance in chances])
