"""Metrics: one implementation, used alike for every method."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from mlpiht_cli.linalg.sparse import SparseMatrix
from mlpiht_cli.model import SparseMLP
from mlpiht_cli.problem import LOSSES, Problem

EXACT_DB = 100.0
"""PSNR from which a fit counts as exact recovery: float32 labels show it as 140-165 dB (protocol, section 4)."""


@dataclass(frozen=True)
class Scores:
    """Scores of one network on one problem; None where a score is not defined."""

    value: float | None
    final_loss: float
    psnr: float | None = None
    accuracy: float | None = None
    support_f1: float | None = None
    exact: bool | None = None


def psnr(prediction: Tensor, target: Tensor, peak: float) -> float:
    """Peak signal-to-noise ratio in dB, ``20 log10(peak) - 10 log10(MSE)``; inf for a perfect fit."""
    mse = float((prediction.double() - target.double()).square().mean())
    if mse == 0.0:
        return math.inf
    return 20.0 * math.log10(peak) - 10.0 * math.log10(mse) if peak > 0.0 else math.nan


def accuracy(prediction: Tensor, target: Tensor) -> float:
    """Share of right classes: threshold 0.5 for one output, largest output for several."""
    binary = target.shape[1] == 1
    found, true = (prediction > 0.5, target > 0.5) if binary else (prediction.argmax(1), target.argmax(1))
    return float((found == true).double().mean())


def r2(prediction: Tensor, target: Tensor) -> float | None:
    """Coefficient of determination, 1 - MSE / Var(target); None for a constant target."""
    centred = target.double() - target.double().mean()
    total = float(centred.square().sum())
    return 1.0 - float((prediction.double() - target.double()).square().sum()) / total if total else None


def support_f1(found: SparseMatrix, truth: SparseMatrix) -> float:
    """F1 score of the found support against the planted one, under the best matching of neurons.

    Hidden neurons have no order, so they are matched one to one to maximise the number of shared coordinates.
    """
    from scipy.optimize import linear_sum_assignment

    a = (found.dense_rows(found.live_rows()) != 0).double().cpu()
    b = (truth.dense_rows(truth.live_rows()) != 0).double().cpu()
    if not a.sum() + b.sum():
        return 1.0
    overlap = (a @ b.T).numpy()
    rows, cols = linear_sum_assignment(overlap, maximize=True)
    return float(2.0 * overlap[rows, cols].sum() / float(a.sum() + b.sum()))


@torch.no_grad()
def evaluate(model: SparseMLP, problem: Problem) -> Scores | None:
    """Score a network on the problem's test data, its loss on the training data.

    None if its predictions are not finite.
    """
    fitted = model.forward(problem.x)
    final_loss = float(LOSSES[problem.loss](fitted.double(), problem.y.double()))
    prediction = fitted if problem.x_test is problem.x else model.forward(problem.x_test)
    if not (math.isfinite(final_loss) and bool(torch.isfinite(prediction).all())):
        return None
    decibel = psnr(prediction, problem.y_test, problem.peak) if problem.metric == "psnr" else None
    share = accuracy(prediction, problem.y_test) if problem.metric == "accuracy" else None
    f1 = None
    if problem.truth is not None and len(problem.truth) == 1:
        f1 = support_f1(model.first_layer_support(), problem.truth[0])
    value = r2(prediction, problem.y_test) if problem.metric == "r2" else decibel if share is None else share
    exact = None if decibel is None else decibel >= EXACT_DB
    return Scores(value, final_loss, decibel, share, f1, exact)
