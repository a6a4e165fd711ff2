from __future__ import annotations

import math

import pytest
import torch

from mlpiht_cli.linalg.sparse import SparseMatrix
from mlpiht_cli.metrics import accuracy, psnr, r2, support_f1


def matrix(rows: list[list[float]]) -> SparseMatrix:
    return SparseMatrix.from_dense(torch.tensor(rows))


def test_psnr_closed_forms() -> None:
    y = torch.tensor([[1.0], [-4.0]])
    assert psnr(y + 0.04, y, peak=4.0) == pytest.approx(40.0, abs=1e-4)
    assert psnr(y, y, peak=4.0) == math.inf
    assert math.isnan(psnr(y + 1, y, peak=0.0))


def test_accuracy_of_one_and_several_outputs() -> None:
    assert accuracy(torch.tensor([[0.6], [0.4], [0.5]]), torch.tensor([[1.0], [1.0], [0.0]])) == pytest.approx(2 / 3)
    logits = torch.tensor([[1.0, 2.0, 0.0], [9.0, 1.0, 1.0]])
    assert accuracy(logits, torch.eye(3)[[1, 2]]) == 0.5


def test_r2() -> None:
    y = torch.tensor([[0.0], [2.0], [4.0]])
    assert (
        r2(
            y,
            y,
        )
        == 1.0
    )
    assert r2(torch.full_like(y, 2.0), y) == 0.0
    assert math.isnan(r2(y, torch.ones(3, 1)))


def test_support_f1_knows_no_order_of_neurons() -> None:
    truth = matrix([[1.0, 2.0, 0.0, 0.0], [0.0, 0.0, 3.0, 0.0]])
    assert support_f1(matrix([[0.0, 0.0, -1.0, 0.0], [5.0, 5.0, 0.0, 0.0]]), truth) == 1.0
    # Two of three coordinates found, one wrong: precision 2/3, recall 2/3.
    assert support_f1(matrix([[1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]]), truth) == pytest.approx(2 / 3)
    # The matching is the best one, not a greedy one: overlaps [[2, 1], [2, 0]] give 1 + 2.
    found = matrix([[1.0, 1.0, 1.0, 0.0], [1.0, 1.0, 0.0, 1.0]])
    assert support_f1(found, truth) == pytest.approx(2 * 3 / (6 + 3))
    assert support_f1(matrix([[0.0] * 4]), truth) == 0.0
