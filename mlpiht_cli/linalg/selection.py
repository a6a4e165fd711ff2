"""Coordinates that a target depends on, found from gradients at neurons ``+-e_j`` (Vural & Erdogdu, COLT 2024).

A correlation gradient is ``mean(y phi'(w.x) x)``. Neurons ``+-e_j`` depend on the basis: if coordinates are permuted or
change sign, the scores are permuted with them; if coordinates are rotated, the scores lose their meaning.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

import torch

from mlpiht_cli.linalg.sparse import SparseMatrix
from mlpiht_cli.linalg.threshold import top_s

if TYPE_CHECKING:
    from torch import Tensor

Rule = Literal["even", "odd", "row_max"]
"""Score of coordinate j, a part of the gradients.

even: ``|mean(y |x_j|)|``, the difference of ReLU neurons at ``e_j`` and ``-e_j`` along ``e_j``; detects ``He_2``.
odd: ``|mean(y (x_j^3 - x_j))|``, along ``e_j`` with ``phi' = z^2 - 1``; detects ``He_3``.
row_max: ``max_i |mean(y sign(x_j) x_i)|``, as even but along any ``e_i``; detects products of coordinates.
"""
_ROWS = 8192  # samples per block: bounds the working memory; the sums of the blocks are added in float64


def coordinate_scores(x: Tensor, y: Tensor, rule: Rule) -> Tensor:
    """Score the coordinates of inputs ``[n, d]`` for targets ``[n]``: float64 ``[d]``, larger means more relevant."""
    part = _PARTS[rule]
    total = sum(
        (part(x[a : a + _ROWS], y[a : a + _ROWS]).double() for a in range(0, len(x), _ROWS)),
        torch.zeros(1, dtype=torch.float64, device=x.device),
    )
    means = (total / len(x)).abs()
    return means.amax(1) if means.ndim == 2 else means


def _even(x: Tensor, y: Tensor) -> Tensor:
    return y @ x.abs()


def _odd(x: Tensor, y: Tensor) -> Tensor:
    return y @ (x * (x.square() - 1.0))


def _pairs(x: Tensor, y: Tensor) -> Tensor:
    return x.sign().T @ (y[:, None] * x)


_PARTS: dict[Rule, Callable[[Tensor, Tensor], Tensor]] = {"even": _even, "odd": _odd, "row_max": _pairs}


def true_coordinates(directions: SparseMatrix | None, count: int) -> Tensor:
    """Return the coordinates of directions ``V`` ``[r, d]`` with the most weight, at most ``count``, int64 ascending.

    Raises
    ------
    ValueError
        There are no directions.
    """
    if directions is None:
        raise ValueError("the problem has no planted directions")
    weight = directions.values.new_zeros(directions.cols)
    return top_s(weight.index_add(0, directions.col, directions.values.square()), count)
