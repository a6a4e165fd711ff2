"""Cross-validation: folds of the training rows, held-out errors, and the choice; test rows play no part."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from mlpiht_cli.core import crossval
from mlpiht_cli.core.crossval import Candidate, Validated, choose, constant_error, cross_validate, folds
from mlpiht_cli.core.method import Shape
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.errors import InputError
from mlpiht_cli.plan.registry import METHODS
from mlpiht_cli.rng import Streams
from mlpiht_cli.solvers.candidates import BUDGETS, OpenShape, candidates


def regression(n: int = 60, noise: float = 0.5, seed: int = 0) -> Problem:
    rng = np.random.RandomState(seed)
    x = rng.normal(size=(n + 20, 6))
    y = 2.0 * x[:, [1]] - x[:, [4]] + noise * rng.normal(size=(n + 20, 1))
    a, b = torch.tensor(x, dtype=torch.float32), torch.tensor(y, dtype=torch.float32)
    return Problem(a[:n], b[:n], a[n:], b[n:], "r2")


def classes(counts: tuple[int, ...]) -> Problem:
    labels = torch.cat([torch.full((count,), i) for i, count in enumerate(counts)])
    x, y = torch.randn(len(labels), 2, generator=torch.Generator().manual_seed(0)), torch.eye(len(counts))[labels]
    return Problem(x, y, x[:0], y[:0], "accuracy", loss="cross_entropy")


def lines(*budgets: int) -> list[Candidate]:
    method = METHODS["iht_linear"]()
    return [Candidate(method, Shape(1), s) for s in budgets]


def test_each_training_row_is_held_out_once() -> None:
    problem = regression()
    parts = folds(problem, 5, 3)
    assert len(parts) == 5
    held = torch.cat([part.x_test for part in parts])
    assert sorted(map(tuple, held.tolist())) == sorted(map(tuple, problem.x.tolist()))
    for part in parts:
        both = torch.cat([part.x, part.x_test])
        assert sorted(map(tuple, both.tolist())) == sorted(map(tuple, problem.x.tolist()))
        assert torch.equal(part.x[:, :1] * 0 + part.y, part.y)


def test_classes_have_equal_shares_in_all_folds() -> None:
    for part in folds(classes((30, 10, 20)), 5, 0):
        assert part.y_test.sum(0).tolist() == [6.0, 2.0, 4.0]
    assert len(folds(classes((30, 2)), 5, 0)) == 5, "a class with fewer rows than folds is no obstacle"


def test_more_folds_than_rows_are_refused() -> None:
    with pytest.raises(InputError, match="4 training rows cannot be split into 5 folds"):
        folds(regression(n=4), 5, 0)


def test_errors_are_those_of_the_rows_held_out() -> None:
    problem = regression()
    (found,) = cross_validate(problem, lines(2), 4, seed=7)
    errors = []
    for part in folds(problem, 4, 7, repeats=3):
        w = METHODS["iht_linear"]().fit(part, Shape(1), 2, Streams(7)).model.layers[0].dense()[0]
        errors.append(float(((part.x_test @ w - part.y_test[:, 0]) ** 2).mean()))
    np.testing.assert_allclose(found.errors, errors, rtol=1e-5)
    assert found.error == pytest.approx(np.mean(errors))
    assert found.score_error == pytest.approx(np.std(found.scores, ddof=1) / 2.0), "four folds, split three times"


def test_budgets_that_run_together_have_the_results_of_single_runs() -> None:
    problem, method = regression(), METHODS["imp"](epochs=5)
    together = cross_validate(problem, [Candidate(method, Shape(3), s) for s in (4, 9)], 2, seed=0)
    for one in together:
        (alone,) = cross_validate(problem, [one.candidate], 2, seed=0)
        np.testing.assert_array_equal(alone.errors, one.errors)


def test_the_error_of_a_constant_is_the_variance_around_the_mean_of_the_other_rows() -> None:
    problem = regression(n=1000)
    errors = [float(((part.y_test - part.y.mean()) ** 2).mean()) for part in folds(problem, 5, 3)]
    assert constant_error(problem, 5, 3) == pytest.approx(np.mean(errors), rel=1e-5)


def made(s: int, *errors: float) -> Validated:
    return Validated(Candidate(METHODS["zero"](), Shape(1), s), np.array(errors), 1 - np.array(errors), len(errors))


def test_the_simplest_candidate_within_a_standard_error_is_chosen() -> None:
    best = made(8, 0.1, 0.2, 0.3)  # mean .2, standard error .0577
    assert choose([made(2, 0.26, 0.26, 0.26), made(4, 0.25, 0.25, 0.25), best]).candidate.s == 4
    assert choose([made(2, 0.257, 0.257, 0.257), best]).candidate.s == 2
    assert choose([best, made(9, 0.1, 0.2, 0.3)]).candidate.s == 8
    other = made(8, 0.1, 0.2, 0.2)
    assert choose([best, other]) is other, "of equal budgets the smaller error"
    assert choose([best, made(8, 0.1, 0.2, 0.3)]) is best, "of equal candidates the first"
    with pytest.raises(InputError, match="no fit has finite predictions"):
        choose([made(2, float("inf"), 0.1)])


def test_a_sparse_target_is_found_to_be_sparse_and_a_line() -> None:
    problem = regression(noise=0.1)
    network = METHODS["iht"](signs="both", starts=2)
    chosen = choose(
        cross_validate(problem, candidates(network, METHODS["iht_linear"](), problem, OpenShape(), None), 5, 0)
    )
    assert (chosen.candidate.method.name, chosen.candidate.s) == ("iht_linear", 2)


def test_candidates_respect_what_is_given_and_the_number_of_rows() -> None:
    problem, network, line = regression(), METHODS["iht"](), METHODS["iht_linear"]()
    free = candidates(network, line, problem, OpenShape(), None)
    assert {one.s for one in free} == {s for s in BUDGETS if s <= 60 // 5}
    assert {one.m for one in free if one.method is network} == {4, 5}, "half the budget, and at least four"
    assert {one.s for one in free if one.method is line} <= {1, 2, 4, 6}, "a line has six weights"
    assert {(one.method, one.m) for one in candidates(network, line, problem, OpenShape(7), None)} == {(network, 7)}
    assert {one.s for one in candidates(network, line, problem, OpenShape(), [5])} == {5}
    both = candidates(network, line, problem, OpenShape(), [9])
    assert [(one.method, one.s) for one in both] == [(line, 6), (network, 9)], "a line keeps all its weights then"
    with pytest.raises(InputError, match="s=100 is above"):
        candidates(network, line, problem, OpenShape(2), [100])


Chooser = Callable[[Problem], tuple[str, int, int]]


def chosen(problem: Problem) -> tuple[str, int, int]:
    found = choose(cross_validate(problem, lines(1, 2, 4, 6), 5, seed=0)).candidate
    return found.method.name, found.m, found.s


def sees_test_rows(chooser: Chooser) -> bool:
    """Whether other test rows lead to another choice."""
    problem = regression(n=40)
    many = problem.x_test.repeat(20, 1)
    strange = replace(problem, x_test=many, y_test=100.0 * many.sum(1, keepdim=True))
    empty = replace(problem, x_test=problem.x_test[:0], y_test=problem.y_test[:0])
    return len({chooser(one) for one in (problem, strange, empty)}) > 1


def test_the_choice_never_sees_the_test_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not sees_test_rows(chosen)

    def leaking(problem: Problem, count: int, seed: int, repeats: int) -> list[Problem]:
        """The leak: folds of all rows, test rows too."""
        x, y = torch.cat([problem.x, problem.x_test]), torch.cat([problem.y, problem.y_test])
        return folds(replace(problem, x=x, y=y), count, seed, repeats)

    monkeypatch.setattr(crossval, "folds", leaking)
    assert sees_test_rows(chosen), "the check sees a leak"
