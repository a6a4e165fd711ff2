"""Distance of a network's weights from planted ones, for networks of any method with one hidden layer."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from mlpiht_cli.core.model import SparseMLP
from mlpiht_cli.core.recovery import Floats, parallel_added

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from mlpiht_cli.core.problem import Problem
    from mlpiht_cli.linalg.sparse import SparseMatrix


@dataclass(frozen=True)
class Neurons:
    """Neurons ``relu(u . x) c`` of a network: unit rows ``u``, outputs ``c``; no two rows are parallel.

    Every network of one hidden layer has this form, however its weights are shared out between the layers: output signs
    or output weights, one output or several. A bias is one more entry of ``u``, the weight of an input of 1.

    Attributes
    ----------
    unit
        Shape ``[a, d + 1]``.
    output
        Shape ``[a, k]``.
    """

    unit: Floats
    output: Floats

    @classmethod
    def of(cls, hidden: SparseMatrix, output: SparseMatrix | Tensor, bias: Tensor | None = None) -> Neurons:
        """Take the neurons of layers ``[m, d]`` and ``[k, m]``, or of one layer and its output signs ``[m]``."""
        rows = torch.arange(hidden.rows, device=hidden.index.device) if bias is not None else hidden.live_rows()
        weights = hidden.dense_rows(rows).double().cpu().numpy()
        shift = np.zeros(len(weights)) if bias is None else bias[rows].double().cpu().numpy()
        full = np.column_stack([weights, shift])
        out = output[None] if isinstance(output, torch.Tensor) else output.dense()
        values = out.T[rows].double().cpu().numpy()
        size = np.linalg.norm(full, axis=1)
        there = (size > 0) & values.any(1)
        unit, total = parallel_added(full[there] / size[there, None], values[there] * size[there, None])
        kept = total.any(1)
        return cls(unit[kept], total[kept])

    @property
    def squared_norm(self) -> float:
        """Sum of all squared weights of the neurons, hidden times output."""
        return float(np.square(self.output).sum())


def relative_weight_error(found: Neurons, true: Neurons) -> float:
    """Relative l2 error ``|W - W*| / |W*|`` of neurons under the best matching, 1 for a network without weights.

    The weights of a neuron are the products ``c u^T`` of its outputs and inputs. Two neurons can be matched only if the
    cosines of their rows and of their outputs are both positive: ``relu(u . x) c`` and ``relu(-u . x) (-c)`` have equal
    products, and are different functions. A neuron that is matched to none counts whole.
    """
    from scipy.optimize import linear_sum_assignment

    inner = (found.unit @ true.unit.T).clip(min=0.0) * (found.output @ true.output.T).clip(min=0.0)
    i, j = linear_sum_assignment(inner, maximize=True)
    i, j = i[inner[i, j] > 0.0], j[inner[i, j] > 0.0]
    alone = [np.delete(one.output, places, axis=0) for one, places in ((found, i), (true, j))]
    squared = _distances(found.unit[i], found.output[i], true.unit[j], true.output[j]).sum()
    return math.sqrt(float(squared + sum(np.square(one).sum() for one in alone)) / true.squared_norm)


def _distances(u: Floats, c: Floats, v: Floats, e: Floats) -> Floats:
    """Squared distances ``|c u^T - e v^T|^2`` of rows, without a difference of large numbers where they are close."""
    du, dc = u - v, c - e
    cross = 2.0 * (dc * e).sum(1) * (u * du).sum(1)
    return np.asarray((dc * dc).sum(1) * (u * u).sum(1) + (e * e).sum(1) * (du * du).sum(1) + cross).clip(min=0.0)


def distance_scores(model: SparseMLP, problem: Problem) -> dict[str, float]:
    """Score ``relative_weight_error`` of a network; none where it or what was planted has not one hidden layer."""
    layers = problem.truth or ()
    found = _one_hidden(model.layers, model.readout)
    true = _one_hidden(layers, _planted_signs(problem))
    if found is None or true is None:
        return {}
    planted = Neurons.of(*true)
    if not planted.squared_norm:
        return {}
    return {"relative_weight_error": relative_weight_error(Neurons.of(*found, model.bias), planted)}


def _planted_signs(problem: Problem) -> Tensor | None:
    """Output signs ``[m]`` of a planted network of one output; None for several, which have output weights."""
    if not problem.truth or problem.k > 1:
        return None
    last, signs = problem.truth[-1], problem.truth_readout
    return last.values.new_ones(last.rows) if signs is None else signs


def _one_hidden(
    layers: Sequence[SparseMatrix], readout: Tensor | None
) -> tuple[SparseMatrix, SparseMatrix | Tensor] | None:
    """The hidden layer and what follows it; None for other depths, and for a linear model."""
    if len(layers) == 1 and readout is not None:
        return layers[0], readout
    return (layers[0], layers[1]) if len(layers) == 2 and readout is None else None
