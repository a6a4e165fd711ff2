"""Cross-validation on the training rows: which method, width and budget to take.

Only the training part of a problem is split, so test rows play no part in a choice.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from mlpiht_cli.core.comparisons import constant, tested
from mlpiht_cli.core.fit import Fit, Status
from mlpiht_cli.core.method import Method, Shape
from mlpiht_cli.core.metric import METRICS
from mlpiht_cli.core.model import SparseMLP
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.errors import InputError
from mlpiht_cli.linalg.threads import threads_of, torch_threads
from mlpiht_cli.rng import Streams

STANDARD_ERRORS = 1.0
"""Standard errors of the best candidate's error that a simpler candidate may be worse by: the one-standard-error rule
(Breiman et al. 1984, "Classification and Regression Trees")."""

STARTS, FEW = 3, 4
"""Largest number of random starts of a fit where more than a few candidates are compared, and what few are; the fit on
all training rows has all of its own."""

REPEATS, ROWS = 3, 1000
"""Largest number of times that the rows are split anew, and rows that come together at least: few rows are noisy."""

Progress = Callable[[int, int], None]
"""Receives how many fits are done, and how many there will be."""


@dataclass(frozen=True)
class Candidate:
    """A method with its settings, the shape of the network, and a budget."""

    method: Method
    shape: Shape
    s: int

    @property
    def m(self) -> int:
        """Hidden width."""
        return self.shape.m


@dataclass(frozen=True)
class Validated:
    """A candidate and its results on the rows held out of each fold, arrays ``[repeats * folds]``.

    Attributes
    ----------
    errors
        What the choice compares: the share of wrong classes, or the mean squared error; infinite if the fit diverged.
    scores
        The problem's metric; nan where it is undefined.
    folds
        Folds of one split of the rows; standard errors are those of the mean over so many.
    """

    candidate: Candidate
    errors: NDArray[np.float64]
    scores: NDArray[np.float64]
    folds: int

    @property
    def error(self) -> float:
        """Mean error over the folds."""
        return float(self.errors.mean())

    @property
    def score(self) -> float:
        """Mean score over the folds; folds without a score do not count."""
        known = self.scores[~np.isnan(self.scores)]
        return float(known.mean()) if len(known) else math.nan

    @property
    def score_error(self) -> float:
        """Standard error of the mean score."""
        return standard_error(self.scores[~np.isnan(self.scores)], self.folds)


def standard_error(values: NDArray[np.float64], count: int) -> float:
    """Return the standard error of a mean over ``count`` values of this spread; nan for fewer than two values."""
    return float(np.std(values, ddof=1)) / math.sqrt(count) if len(values) > 1 else math.nan


def repeats_of(n: int) -> int:
    """Return how often ``n`` rows are split."""
    return max(1, min(REPEATS, ROWS // n))


def folds(problem: Problem, count: int, seed: int, repeats: int = 1) -> list[Problem]:
    """Split the training rows into rows to train on and rows held out: each row is held out once a repeat.

    Classes have equal shares in all folds if each has as many rows as there are folds.

    Raises
    ------
    InputError
        There are fewer rows than folds.
    """
    from sklearn.model_selection import RepeatedKFold, RepeatedStratifiedKFold

    if not 2 <= count <= problem.n:
        raise InputError(f"{problem.n} training rows cannot be split into {count} folds; add rows, or ask for fewer")
    labels = _labels(problem)
    stratified = labels is not None and int(np.unique(labels, return_counts=True)[1].min()) >= count
    kind = RepeatedStratifiedKFold if stratified else RepeatedKFold
    splitter = kind(n_splits=count, n_repeats=repeats, random_state=seed)
    return [
        replace(problem, x=problem.x[a], y=problem.y[a], x_test=problem.x[b], y_test=problem.y[b])
        for a, b in splitter.split(np.zeros(problem.n), labels)
    ]


def _labels(problem: Problem) -> NDArray[np.int64] | None:
    """Classes of the training rows, ``[n]``; None for a regression."""
    if not METRICS[problem.metric].classes:
        return None
    y = problem.y
    return np.asarray((y.argmax(1) if problem.k > 1 else y[:, 0] > 0.5).cpu().numpy())


def cross_validate(
    problem: Problem, candidates: Sequence[Candidate], count: int, seed: int, progress: Progress | None = None
) -> list[Validated]:
    """Fit every candidate on every fold, and return its results; budgets of one method and width run together.

    Fewer than ``ROWS`` rows are split up to ``REPEATS`` times. Folds and random starts depend on the seed alone.
    """
    parts = folds(problem, count, seed, repeats_of(problem.n))
    errors = np.full((len(candidates), len(parts)), math.inf)
    scores = np.full((len(candidates), len(parts)), math.nan)
    done = 0
    widest = max(one.m for one in candidates)
    with torch_threads(threads_of(problem.n * problem.d * widest, torch.get_num_threads())):
        for i, part in enumerate(parts):
            for where, fit in _fits(part, candidates, seed):
                if fit.status is Status.OK:
                    errors[where, i], scores[where, i] = _held_out(fit.model, part)
                done += 1
                if progress is not None:
                    progress(done, len(parts) * len(candidates))
    return [Validated(one, errors[j], scores[j], count) for j, one in enumerate(candidates)]


def _fits(problem: Problem, candidates: Sequence[Candidate], seed: int) -> Iterator[tuple[int, Fit]]:
    """Yield the place of each candidate, and its fit."""
    groups: dict[tuple[int, Shape], dict[int, int]] = {}
    for i, one in enumerate(candidates):
        groups.setdefault((id(one.method), one.shape), {})[one.s] = i
    for places in groups.values():
        first = candidates[next(iter(places.values()))]
        method, most = first.method, STARTS if len(candidates) > FEW else first.method.starts
        method = method.model_copy(update={"starts": min(method.starts, most)})
        for fit in method.fit_path(problem, first.shape, list(places), Streams(seed)):
            yield places[fit.budget], fit


def constant_error(problem: Problem, count: int, seed: int) -> float:
    """Return the mean error of the model without inputs on the folds that :func:`cross_validate` makes."""
    parts = folds(problem, count, seed, repeats_of(problem.n))
    return float(np.mean([_held_out(constant(part), part)[0] for part in parts]))


def _held_out(model: SparseMLP, part: Problem) -> tuple[float, float]:
    """Return error and score on the rows held out."""
    found = tested(model, part)
    is_share = METRICS[part.metric].classes and not math.isnan(found.score)
    return 1.0 - found.score if is_share else found.loss, found.score


def choose(results: Sequence[Validated]) -> Validated:
    """Return the candidate with the smallest budget that is about as good as the best one.

    About as good: its mean error is above the least one by at most ``STANDARD_ERRORS`` standard errors of that. Of
    equal budgets the smaller error counts, and then the first in the sequence.

    Raises
    ------
    InputError
        No candidate has a finite error.
    """
    best = min(results, key=lambda one: one.error)
    if not math.isfinite(best.error):
        raise InputError("no fit has finite predictions in cross-validation; give m and s, or standardise the inputs")
    slack = standard_error(best.errors, best.folds)
    limit = best.error + STANDARD_ERRORS * (slack if math.isfinite(slack) else 0.0)
    return min((one for one in results if one.error <= limit), key=lambda one: (one.candidate.s, one.error))
