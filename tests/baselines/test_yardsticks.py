"""Each yardstick is its package, called in a few lines here, and keeps the budget that it says it keeps."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from itertools import combinations
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from mlpiht_cli.baselines.yardsticks.abess import Abess
from mlpiht_cli.baselines.yardsticks.boosting import Boosting
from mlpiht_cli.baselines.yardsticks.lasso_cv import LassoCV
from mlpiht_cli.baselines.yardsticks.rows import kind_of
from mlpiht_cli.baselines.yardsticks.skglm import Skglm
from mlpiht_cli.baselines.yardsticks.torch_prune import TorchPrune
from mlpiht_cli.core.calibration import THRESHOLD
from mlpiht_cli.core.fit import Fit, Status
from mlpiht_cli.core.method import Method, Shape
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.plan.registry import METHODS
from mlpiht_cli.rng import Streams

SHAPE = Shape(6)
P = 6
"""Number of features; a column of ones follows them."""
ROWS = 150


def made(kind: str) -> Problem:
    """Rows whose target depends on features 0, 2 and 3 and on chance; the last input is 1."""
    rng = np.random.RandomState(3)
    x = np.column_stack([rng.normal(size=(ROWS + 60, P)), np.ones(ROWS + 60)])
    score = 1.5 * x[:, 0] - x[:, 2] + 0.8 * np.maximum(x[:, 3], 0) + 0.7 * rng.normal(size=len(x))
    if kind == "classes":
        y = np.eye(3)[np.digitize(score, [-0.5, 1.0])]
    else:
        y = (score - score[:ROWS].mean() if kind == "numbers" else (score > 0.6).astype(float))[:, None]
    tensors = (torch.from_numpy(part) for part in (x[:ROWS], y[:ROWS], x[ROWS:], y[ROWS:]))
    metric = "r2" if kind == "numbers" else "accuracy"
    return Problem(*tensors, metric, "cross_entropy" if kind == "classes" else "squared")


def arrays(problem: Problem) -> tuple[NDArray[np.float64], NDArray[Any], NDArray[np.float64]]:
    """Features without the ones, targets or labels, and features of the test rows."""
    y = problem.y.numpy()
    labels = {"numbers": y[:, 0], "two classes": (y[:, 0] > 0).astype(int), "classes": y.argmax(1)}
    return problem.x[:, :P].numpy(), labels[str(kind_of(problem))], problem.x_test[:, :P].numpy()


def fitted(method: Method, problem: Problem, s: int = 5, seed: int = 0) -> Fit:
    fit = method.fit(problem, SHAPE, s, Streams(seed))
    assert fit.status is Status.OK, fit.reason
    return fit


def output(fit: Fit, problem: Problem) -> NDArray[np.float64]:
    return np.asarray(fit.predictor.forward(problem.x_test).numpy())


def folds(x: NDArray[np.float64], y: NDArray[Any]) -> list[Any]:
    from sklearn.model_selection import KFold, StratifiedKFold

    kind = StratifiedKFold if y.dtype.kind == "i" else KFold
    return list(kind(5, shuffle=True, random_state=0).split(x, y))


def test_the_lasso_of_numbers_is_that_of_scikit_learn() -> None:
    from sklearn.linear_model import LassoCV as Theirs

    problem = made("numbers")
    x, y, x_test = arrays(problem)
    theirs = Theirs(cv=folds(x, y), random_state=0, tol=1e-3).fit(x, y)
    fit = fitted(LassoCV(dtype="float64"), problem)
    np.testing.assert_allclose(output(fit, problem)[:, 0], theirs.predict(x_test), rtol=1e-12)
    assert fit.model.nnz == np.count_nonzero(theirs.coef_)
    assert fit.facts == {"penalty": theirs.alpha_, "warnings": 0}


@pytest.mark.parametrize("kind", ["two", "classes"])
def test_the_lasso_of_classes_is_the_logistic_one_of_scikit_learn(kind: str) -> None:
    from sklearn.linear_model import LogisticRegression, LogisticRegressionCV

    problem = made(kind)
    x, y, x_test = arrays(problem)
    options = {"solver": "saga", "tol": 1e-3, "max_iter": 1000, "random_state": 0}
    fit = fitted(LassoCV(dtype="float64"), problem)
    theirs = LogisticRegressionCV(
        l1_ratios=[1], scoring="neg_log_loss", cv=folds(x, y), use_legacy_attributes=False, **options
    ).fit(x, y)
    logits = theirs.decision_function(x_test).reshape(len(x_test), -1)
    scale, shift = (0.25, THRESHOLD) if kind == "two" else (1.0, 0.0)
    np.testing.assert_allclose(output(fit, problem), scale * logits + shift, rtol=1e-10)
    strength = 1 / (float(fit.facts["penalty"]) * len(y))
    again = LogisticRegression(C=strength, l1_ratio=1, **options).fit(x, y)
    assert np.abs(again.coef_ - theirs.coef_).max() < 0.1, "the penalty is that of the mean loss"


@pytest.mark.parametrize("name", ["lasso_cv", "skglm", "abess", "boosting"])
def test_two_classes_are_told_apart_at_the_threshold(name: str) -> None:
    problem = made("two")
    found = output(fitted(METHODS[name](dtype="float64"), problem), problem)[:, 0] > THRESHOLD
    assert (found == (problem.y_test[:, 0].numpy() > 0)).mean() > 0.75


def test_skglm_takes_the_penalty_of_least_error_on_held_out_rows() -> None:
    from skglm import MCPRegression

    problem = made("numbers")
    x, y, x_test = arrays(problem)
    fit = fitted(Skglm(dtype="float64", penalties=8), problem)
    tried = np.abs(x.T @ (y - y.mean())).max() / len(y) * np.geomspace(1, 1e-3, 8)
    errors = [
        sum(np.square(MCPRegression(a).fit(x[i], y[i]).predict(x[j]) - y[j]).mean() for i, j in folds(x, y))
        for a in tried
    ]
    best = tried[int(np.argmin(errors))]
    assert fit.facts["penalty"] == pytest.approx(best)
    np.testing.assert_allclose(output(fit, problem)[:, 0], MCPRegression(best).fit(x, y).predict(x_test), rtol=1e-6)


def test_the_concave_logistic_model_is_stationary() -> None:
    problem = made("two")
    x, y, _ = arrays(problem)
    fit = fitted(Skglm(dtype="float64", penalties=8), problem)
    penalty, found = float(fit.facts["penalty"]), 4 * fit.model.layers[0].dense()[0, :P].numpy()
    assert fit.model.bias is not None
    chance = 1 / (1 + np.exp(-(x @ found + 4 * (float(fit.model.bias[0]) - THRESHOLD))))
    slope = x.T @ (chance - y) / len(y)
    kept = found != 0
    pull = np.maximum(penalty - np.abs(found[kept]) / 12, 0) * np.sign(found[kept])
    np.testing.assert_allclose(slope[kept], -pull, atol=2e-4)
    assert np.abs(slope[~kept]).max(initial=0) <= penalty + 2e-4


@pytest.mark.parametrize("s", [1, 2, 3, 5])
def test_abess_finds_the_best_subset_of_exactly_s_features(s: int) -> None:
    problem = made("numbers")
    x, y, _ = arrays(problem)

    def error(kept: tuple[int, ...]) -> float:
        design = np.column_stack([x[:, kept], np.ones(len(x))])
        return float(np.square(design @ np.linalg.lstsq(design, y, rcond=None)[0] - y).mean())

    fit = fitted(Abess(dtype="float64"), problem, s)
    assert fit.model.nnz == s
    assert fit.history[-1] == pytest.approx(min(map(error, combinations(range(P), s))), rel=1e-6)


@pytest.mark.parametrize(("kind", "features"), [("two", [5, 3, 1]), ("classes", [2, 1])])
def test_abess_of_classes_keeps_the_budget_and_predicts_as_the_package(kind: str, features: list[int]) -> None:
    import abess

    problem = made(kind)
    x, y, x_test = arrays(problem)
    for count in features:
        s = count if kind == "two" else 2 * count + 1
        fit = fitted(Abess(dtype="float64"), problem, s)
        theirs = (abess.LogisticRegression if kind == "two" else abess.MultinomialRegression)(support_size=count)
        known = theirs.fit(x, y).predict(x_test)
        found = output(fit, problem)
        labels = (found[:, 0] > THRESHOLD).astype(int) if kind == "two" else found.argmax(1)
        wanted = np.asarray(known) if np.ndim(known) == 1 else np.asarray(known).argmax(1)
        np.testing.assert_array_equal(labels, wanted)
        assert fit.model.nnz == (count if kind == "two" else 2 * count)


@pytest.mark.parametrize("kind", ["numbers", "two", "classes"])
def test_torch_prune_keeps_exactly_s_weights_and_learns(kind: str) -> None:
    problem = made(kind)
    k = problem.k
    for s in (1, 8, 25, SHAPE.m * (P + k)):
        fit = fitted(TorchPrune(dtype="float64", epochs=20), problem, s)
        assert fit.model.nnz == s
        assert len(fit.history) == 20 * 11
        assert fit.model.bias is not None, "biases are free"
        assert not fit.model.layers[0].dense()[:, P].any(), "the constant input has no weight"
    loss = fitted(TorchPrune(dtype="float64"), problem, 15).history[-1]
    assert loss < 0.6 * (np.log(3) if kind == "classes" else float(problem.y.var()))


def test_torch_prune_may_keep_more_weights_than_there_are() -> None:
    assert fitted(TorchPrune(epochs=3, rounds=2), made("numbers"), 1000).model.nnz == SHAPE.m * (P + 1)


@pytest.mark.parametrize("kind", ["numbers", "two", "classes"])
def test_boosting_is_that_of_scikit_learn_at_the_best_rounds_and_leaves(kind: str) -> None:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
    from sklearn.metrics import log_loss

    problem, most = made(kind), 8
    x, y, x_test = arrays(problem)

    def trees(rounds: int, least: int) -> Any:
        theirs = HistGradientBoostingRegressor if kind == "numbers" else HistGradientBoostingClassifier
        return theirs(max_iter=rounds, learning_rate=0.5, min_samples_leaf=least, random_state=0)

    def error(model: Any, j: NDArray[np.int64]) -> float:
        if kind == "numbers":
            return float(np.square(model.predict(x[j]) - y[j]).mean())
        return float(log_loss(y[j], model.predict_proba(x[j]), labels=[0, 1, 2] if kind == "classes" else [0, 1]))

    tried = [(rounds, least) for least in (5, 20) for rounds in range(1, most + 1)]
    errors = [sum(error(trees(*one).fit(x[i], y[i]), j) for i, j in folds(x, y)) for one in tried]
    rounds, least = tried[int(np.argmin(errors))]
    fit = fitted(Boosting(dtype="float64", rounds=most, lr=0.5), problem)
    assert fit.facts == {"rounds": rounds, "rows_of_leaf": least}
    theirs = trees(rounds, least).fit(x, y)
    if kind == "numbers":
        np.testing.assert_allclose(output(fit, problem)[:, 0], theirs.predict(x_test))
    else:
        found = output(fit, problem)
        labels = found.argmax(1) if kind == "classes" else found[:, 0] > THRESHOLD
        np.testing.assert_array_equal(labels, theirs.predict(x_test))


def test_a_model_that_is_no_network_says_so() -> None:
    fit = fitted(Boosting(rounds=3), made("numbers"))
    assert (fit.predictor.nnz, fit.predictor.nnz_by_layer) == (None, None)
    with pytest.raises(TypeError, match="no network"):
        _ = fit.model


@pytest.mark.parametrize("name", ["lasso_cv", "skglm", "abess", "torch_prune", "boosting"])
def test_rows_of_the_test_set_do_not_reach_the_fit(name: str) -> None:
    problem = made("numbers")
    other = Problem(problem.x, problem.y, 7 * problem.x_test, -problem.y_test, "r2")
    method = METHODS[name](dtype="float64")
    a, b = (fitted(method, one).predictor.forward(problem.x_test) for one in (problem, other))
    assert torch.equal(a, b)


def test_the_order_of_features_only_reorders_the_weights() -> None:
    problem, order = made("numbers"), torch.tensor([6, 3, 5, 0, 1, 4, 2])
    turned = Problem(problem.x[:, order], problem.y, problem.x_test[:, order], problem.y_test, "r2")
    for method in (LassoCV(dtype="float64"), Skglm(dtype="float64", penalties=8), Abess(dtype="float64")):
        a, b = (fitted(method, one, 3).model.layers[0].dense() for one in (problem, turned))
        torch.testing.assert_close(a[:, order], b, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name", ["lasso_cv", "skglm", "abess", "boosting"])
@pytest.mark.parametrize("fault", ["constant inputs", "one class", "few of a class"])
def test_rows_that_cannot_be_fitted_end_in_divergence(name: str, fault: str) -> None:
    problem = made("two")
    x, y = problem.x.clone(), problem.y.clone()
    if fault == "constant inputs":
        x[:] = 1.0
    else:
        y[:] = y.min()
    if fault == "few of a class":
        y[0] = 0.5
    fit = METHODS[name]().fit(Problem(x, y, x, y, "accuracy"), SHAPE, 3, Streams(0))
    assert fit.status is Status.DIVERGED or (fault, name) == ("few of a class", "abess")
    assert fit.reason or fit.status is Status.OK


def test_outputs_that_are_no_classes_are_refused_with_a_reason() -> None:
    problem = made("classes")
    several = Problem(problem.x, problem.y, problem.x, problem.y, "psnr")
    for name in ("lasso_cv", "abess", "boosting"):
        assert "the problem has 3 outputs that are no classes" in str(METHODS[name]().supports(several, SHAPE))
    assert "skglm predicts one output or two classes" in str(Skglm().supports(problem, SHAPE))
    assert "one hidden layer" in str(TorchPrune().supports(problem, Shape(3, 2)))


@pytest.mark.parametrize("name", ["skglm", "abess"])
def test_a_missing_package_is_a_reason_to_skip(
    name: str, monkeypatch: pytest.MonkeyPatch, mlpiht: Callable[..., Any]
) -> None:
    there = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda one, *more: None if one == name else there(one, *more))
    words = f"needs {name}: pip install 'mlpiht[yardsticks]'"
    assert METHODS[name]().supports(made("numbers"), SHAPE) == words
    result = mlpiht("fit", "--task", "planted", "--n", 50, "--d", 5, "--method", name, "--m", 2, "--s", 3)
    assert (result.code, words in result.err) == (2, True)


def test_trees_are_not_saved_and_nothing_is_fitted_before_that_is_said(mlpiht: Callable[..., Any]) -> None:
    fit = ("fit", "--task", "planted", "--n", 60, "--d", 5, "--method", "boosting", "--m", 2, "--s", 3)
    result = mlpiht(*fit, "--save", "model.npz")
    assert (result.code, result.out) == (2, "")
    assert "boosting only predicts" in result.err
    row = mlpiht(*fit, "--set", "method.rounds=3", "--json").json
    assert (row["status"], row["nnz"], row["nnz_by_layer"]) == ("ok", None, None)
    assert row["support_f1"] is None, "trees have no support"
    assert np.isfinite(row["value"])
