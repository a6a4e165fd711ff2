"""Scores of the weights of a network against planted ones, up to what no data can tell apart."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from mlpiht_cli.core.model import SparseMLP
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.linalg.sparse import SparseMatrix

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

Floats = NDArray[np.float64]
PARALLEL = 1e-6
"""One minus the cosine below which two neurons count as one; float32 weights have rounding errors of 1e-7."""


@dataclass(frozen=True)
class TwoLayers:
    """A network of two layers as any network of the same function has it.

    Hidden rows have unit norm; those that point the same way are one, and those that reach no output are left out.
    Where ReLU follows the second layer and its outputs are added up, the same holds for its rows: rows without a
    positive entry give 0, and those without a negative one are linear in the hidden layer: their sum alone counts.

    Attributes
    ----------
    hidden
        Unit rows ``[a, d]``.
    output
        Second layer ``[b, a]``.
    """

    hidden: Floats
    output: Floats

    @classmethod
    def of(cls, layers: Sequence[SparseMatrix], summed: bool) -> TwoLayers:
        """Reduce two layers; ``summed`` says whether ReLU follows the second and its outputs are added up."""
        first, second = layers
        live = first.live_rows()
        hidden = first.dense_rows(live).double().cpu().numpy()
        output = second.dense_rows(second.live_rows()).double().cpu().numpy()[:, live.cpu().numpy()]
        if not summed:
            full = np.zeros((second.rows, output.shape[1]))
            full[second.live_rows().cpu().numpy()] = output
            output = full
        size = np.linalg.norm(hidden, axis=1)
        hidden, output = parallel_added(hidden / size[:, None], (output * size).T)
        output = output.T
        if summed:
            output = _summed_rows(output)
        reaches = output.any(0)
        return cls(hidden[reaches], output[:, reaches])

    @property
    def neurons(self) -> Floats:
        """Hidden rows times the norm of their outputs, ``[a, d]``: what neurons are matched by."""
        return np.asarray(self.hidden * np.linalg.norm(self.output, axis=0)[:, None])


def parallel_added(unit: Floats, values: Floats) -> tuple[Floats, Floats]:
    """Return unit rows ``[a, d]`` without repetition, and the sums of their rows of values ``[a, b]``."""
    if not len(unit):
        return unit, values
    first = (unit @ unit.T > 1.0 - PARALLEL).argmax(1)  # of each row, the first that is parallel to it
    total = np.zeros_like(values)
    np.add.at(total, first, values)
    kept = np.unique(first)
    return unit[kept], total[kept]


def _summed_rows(output: Floats) -> Floats:
    """Return rows of the second layer that ReLU follows, without those that are 0 and with parallel ones added."""
    output = output[(output > 0.0).any(1)]
    linear = (output >= 0.0).all(1)
    deep = output[~linear]
    size = np.linalg.norm(deep, axis=1, keepdims=True)
    unit, size = parallel_added(deep / size, size)
    rows = [output[linear].sum(0, keepdims=True)] if linear.any() else []
    return np.concatenate([*rows, unit * size]) if len(unit) or rows else output[:0]


def matched(found: Floats, true: Floats) -> tuple[Floats, Floats, NDArray[np.intp]]:
    """Match rows one to one to the nearest, or to nothing; return both and the places of the found.

    Shapes ``[a, d]`` and ``[b, d]`` become ``[max(a, b), d]``.
    """
    from scipy.optimize import linear_sum_assignment

    count = max(len(found), len(true))
    a, b = (np.pad(rows, ((0, count - len(rows)), (0, 0))) for rows in (found, true))
    distance = (a * a).sum(1)[:, None] + (b * b).sum(1) - 2.0 * a @ b.T
    i, j = linear_sum_assignment(distance)
    return a[i], b[j], i[np.argsort(j)]


def support_and_error(pairs: Sequence[tuple[Floats, Floats]]) -> dict[str, float]:
    """Return F1 of the supports of matched parts, and the largest error over a part's largest planted weight."""
    total = float(sum((part != 0).sum() for pair in pairs for part in pair))
    shared = float(sum(((a != 0) & (b != 0)).sum() for a, b in pairs))
    scores = {"merged_f1": 2.0 * shared / total if total else 1.0}
    if total:
        errors = (float(np.abs(a - b).max() / np.abs(b).max()) for a, b in pairs if b.any())
        scores["weight_error"] = max(errors, default=math.inf)
    return scores


def two_layer_scores(found: TwoLayers, true: TwoLayers, summed: bool) -> dict[str, float]:
    """How well a planted network of two layers is found: ``merged_f1`` and ``weight_error`` over both layers.

    Hidden neurons are matched to the nearest, and with ``summed`` rows of the second layer, too.
    """
    hidden, planted, order = matched(found.neurons, true.neurons)
    width = len(order)
    output = np.pad(found.output, ((0, 0), (0, width - found.output.shape[1])))[:, order]
    wanted = np.pad(true.output, ((0, 0), (0, width - true.output.shape[1])))
    if summed:
        output, wanted, _ = matched(output, wanted)
    return support_and_error([(hidden, planted), (output, wanted)])


def merged_rows(matrix: SparseMatrix, signs: Tensor | None = None) -> Floats:
    """Live rows ``[a, d]`` with those that point the same way added up; with output signs ``[m]``, ``[a, 2 d]``.

    ``relu(w.x) + relu(c w.x) = relu((1 + c) w.x)`` for c > 0: no data can tell such neurons apart. With signs, rows are
    weights times signs, in the first half for a neuron of sign +1 and in the second for one of sign -1; of neurons of
    both signs that point the same way the difference is left.
    """
    live = matrix.live_rows()
    rows = matrix.dense_rows(live).double().cpu().numpy()
    sign = np.ones(len(rows)) if signs is None else signs[live].double().cpu().numpy()
    size = np.linalg.norm(rows, axis=1, keepdims=True)
    unit, total = parallel_added(rows / size, sign[:, None] * rows)
    if signs is None:
        return total
    sign = np.sign((total * unit).sum(1))
    return np.concatenate([np.where(sign[:, None] == one, total, 0.0) for one in (1.0, -1.0)], axis=1)


def turnable(rows: Floats) -> int:
    """Count planted neurons, rows ``[a, d]``, that can be turned round at no cost, so that the data do not tell them.

    ``relu(w . x) = relu(-w . x) + w . x``, and a linear part is paid for by one-sparse neurons of both directions:
    ``p relu(x_a) + q relu(-x_a) + w_a x_a = (p + w_a) relu(x_a) + (q - w_a) relu(-x_a)``, if neither gets negative. A
    neuron counts if that takes no more weights. Networks that differ in several neurons at once are not looked for.
    """
    single = rows[(rows != 0.0).sum(1) == 1]
    up, down = single.clip(min=0.0).sum(0), (-single).clip(min=0.0).sum(0)
    several = rows[(rows != 0.0).sum(1) > 1]
    after = np.stack([up + several, down - several])
    more = (after > 0.0).sum((0, 2)) - int((up > 0.0).sum() + (down > 0.0).sum())
    return int(((after >= 0.0).all((0, 2)) & (more <= 0)).sum())


def recovery_scores(model: SparseMLP, truth: SparseMatrix, signs: Tensor | None = None) -> dict[str, float]:
    """How well planted neurons of one layer are found, parallel ones counted as one and matched to the nearest.

    ``merged_f1`` is the F1 score of the support; ``weight_error`` the largest error of a weight over the largest
    planted weight, where the network has no other factors than output signs, as the planted one. Then a neuron of the
    wrong sign is a wrong neuron, for both scores.

    Parameters
    ----------
    model
        The fitted network.
    truth
        Planted neurons, ``[m, d]``.
    signs
        Their output signs, ``[m]``; None for all +1.
    """
    readout = model.readout
    is_fused = readout is not None and bool((readout.abs() == 1).all())
    if readout is None or not is_fused or (signs is None and bool((readout == 1).all())):
        found, true = merged_rows(model.first_layer_support()), merged_rows(truth)
    else:
        planted = torch.ones(truth.rows) if signs is None else signs
        found, true = merged_rows(model.first_layer_support(), readout), merged_rows(truth, planted)
    a, b, _ = matched(found, true)
    scores = support_and_error([(a, b)])
    return scores if is_fused else {"merged_f1": scores["merged_f1"]}


def planted_scores(model: SparseMLP, problem: Problem) -> dict[str, float]:
    """Scores of a network's weights against what the problem planted; none where that is nothing or has more layers.

    With one layer of positive signs, ``turnable`` counts the planted neurons that no data tell; see :func:`turnable`. A
    network of two layers is compared with a planted one of two: hidden and output weights of several outputs, or two
    hidden layers of one output whose signs are all +1.
    """
    truth = problem.truth
    if truth is None or not truth[0].nnz:
        return {}
    if len(truth) == 1:
        positive = problem.truth_readout is None
        of_truth = {"turnable": float(turnable(merged_rows(truth[0])))} if positive else {}
        return recovery_scores(model, truth[0], problem.truth_readout) | of_truth
    summed = problem.k == 1
    signs = [one for one in (problem.truth_readout, model.readout) if one is not None]
    is_plain = model.gates is None and model.bias is None and all(bool((one == 1).all()) for one in signs)
    if not is_plain or len(truth) != 2 or len(model.layers) != 2 or (model.readout is not None) != summed:
        return {}
    found, true = TwoLayers.of(model.layers, summed), TwoLayers.of(truth, summed)
    return two_layer_scores(found, true, summed) if true.hidden.size else {}
