"""Gradient feature learning, with or without pruning, and a ridge read-out (P3: Vural & Erdogdu, COLT 2024)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
import torch
from pydantic import Field

from mlpiht_cli.core.fit import Events, Reached, Step
from mlpiht_cli.core.method import Method, Needs, Shape
from mlpiht_cli.core.model import SparseMLP
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.linalg.ridge import ridge
from mlpiht_cli.linalg.selection import Rule, coordinate_scores, true_coordinates
from mlpiht_cli.linalg.sparse import SparseMatrix
from mlpiht_cli.linalg.threshold import top_s
from mlpiht_cli.rng import Streams

if TYPE_CHECKING:
    from torch import Tensor

_ROWS = 8192  # samples per block: bounds the activations; the sums of the blocks are added in float64
MAX_BIAS = 2.5
"""Largest bias of a read-out neuron."""


class FeatureLearning(Method):
    """Learn ``m`` directions by normalised correlation gradients on the kept coordinates, then fit a read-out on them.

    The method is that of P3. The budget ``s`` is the number of nonzeros of a direction, and ``keep * s`` coordinates
    are kept. The network has ``readout`` neurons on these coordinates, and therefore more weights than ``s``.

    The arms differ in the coordinates they keep:

    - unpruned: all coordinates.
    - pruned: those with the largest gradient at neurons ``+-e_j``, by ``rule``.
    - oracle: the true coordinates; only this arm uses the truth.
    - random: random coordinates.
    - gradient_magnitude: those where one gradient step of dense neurons is largest, as in pruning by magnitude.
    """

    name: ClassVar[str] = "feature_learning"
    version: ClassVar[int] = 1
    needs: ClassVar[Needs] = Needs(outputs=1, loss="squared", depth=1, samples=2)  # ridge holds samples out
    keeps_budget: ClassVar[bool] = False

    arm: Literal["unpruned", "pruned", "oracle", "random", "gradient_magnitude"] = Field(
        "pruned", description="which coordinates are kept"
    )
    rule: Rule = Field("even", description="score by which the pruned arm chooses coordinates")
    degree: Literal[2, 3] = Field(2, description="degree that features detect: 2 by ReLU, 3 by phi' = z^2 - 1")
    steps: int = Field(10, ge=1, description="normalised gradient steps T")
    keep: int = Field(2, ge=1, description="number of kept coordinates, as a multiple of s")
    readout: int = Field(128, ge=1, description="ReLU neurons of the read-out")

    def weights(self, d: int, k: int, shape: Shape) -> int:
        """Return the number of weights of the read-out's neurons and of the output, with its intercept."""
        return self.readout * d + self.readout + 1

    def supports(self, problem: Problem, shape: Shape) -> str | None:
        """Require one output, squared loss and one hidden layer; the oracle also needs planted directions."""
        if self.arm == "oracle" and problem.directions is None:
            return "the arm 'oracle' needs a task with planted directions, such as index_model"
        return super().supports(problem, shape)

    def iterate(self, problem: Problem, shape: Shape, budgets: Sequence[int], streams: Streams) -> Events:
        """Select, learn and read out for one budget."""
        # The mean holds no information on directions, and its error would shift all scores and gradients.
        centred = replace(problem, y=problem.y - problem.y.mean())
        kept = self._kept(centred, shape.m, self.keep * budgets[0], streams)
        x = problem.x if len(kept) == problem.d else problem.x[:, kept]
        w = _random_neurons(shape.m, x, streams.neurons())
        for _ in range(self.steps):
            w, correlation = gradient_step(x, centred.y[:, 0], w, self.degree)
            yield Step(-correlation, float(w.sum()))
        neurons, output, bias = read_out(x, problem.y[:, 0], w, self.readout, streams)
        first = neurons.new_zeros(len(neurons), problem.d)
        first[:, kept] = neurons
        model = SparseMLP((SparseMatrix.from_dense(first), SparseMatrix.from_dense(output[None, :])), bias=bias)
        yield Reached(model, facts={"kept": len(kept)})

    def _kept(self, problem: Problem, m: int, count: int, streams: Streams) -> Tensor:
        """Return the coordinates of this arm, int64 ascending; at most ``count`` unless the arm is unpruned."""
        x, y, d = problem.x, problem.y[:, 0], problem.d
        match self.arm:
            case "unpruned":
                return torch.arange(d, device=x.device)
            case "random":
                drawn = streams.coordinates().permutation(d)[:count]
                return torch.from_numpy(drawn).to(x.device).sort().values
            case "oracle":
                return true_coordinates(problem.directions, count).to(x.device)
            case "gradient_magnitude":
                dense, _ = gradient_step(x, y, _random_neurons(m, x, streams.coordinates()), self.degree)
                return top_s(dense.square().sum(0), count)
            case "pruned":
                return top_s(coordinate_scores(x, y, self.rule), count)


def _random_neurons(m: int, x: Tensor, rng: np.random.Generator) -> Tensor:
    """Draw independent neurons ``[m, d]``, uniform on the unit sphere of the inputs' coordinates."""
    return _unit(torch.from_numpy(rng.standard_normal((m, x.shape[1]))).to(x))


def _unit(w: Tensor) -> Tensor:
    """Divide the rows by their lengths; zero rows stay zero."""
    lengths = w.norm(dim=1, keepdim=True)
    return torch.where(lengths > 0, w / lengths, w)


def gradient_step(x: Tensor, y: Tensor, w: Tensor, degree: int) -> tuple[Tensor, float]:
    """Take one step ``w <- g / |g|`` of every neuron; ``g = mean(y phi'(w.x) x)`` is the gradient of its correlation.

    Parameters
    ----------
    x, y, w
        Inputs ``[n, d]``, targets ``[n]``, neurons ``[m, d]``.
    degree
        2: ``phi = relu``; 3: ``phi = z^3/3 - z``, because a ReLU without bias has no part of degree 3.

    Returns
    -------
    tuple
        The new neurons, and the mean of ``mean(y phi(w.x))`` over the old ones.
    """
    gradient = torch.zeros(w.shape, dtype=torch.float64, device=x.device)
    correlation = 0.0
    for a in range(0, len(x), _ROWS):
        rows, target = x[a : a + _ROWS], y[a : a + _ROWS, None]
        z = rows @ w.T
        slope = (z > 0).to(z.dtype) if degree == 2 else z.square() - 1.0
        value = z * slope if degree == 2 else z * (z.square() / 3.0 - 1.0)
        gradient += (slope * target).T @ rows
        correlation += float((target * value).sum(dtype=torch.float64))
    return _unit(gradient).to(w.dtype), correlation / (len(x) * len(w))


def read_out(x: Tensor, y: Tensor, w: Tensor, count: int, streams: Streams) -> tuple[Tensor, Tensor, Tensor]:
    """Fit ``y`` by ridge regression on neurons ``relu(+-w_j.x + b)`` with random j and sign, ``b ~ U[-2.5, 2.5]``.

    Returns
    -------
    tuple
        Neurons ``[count + 1, d]``, output weights and biases ``[count + 1]``. The last neuron has no weights and the
        bias 1: it represents the intercept.
    """
    rng = streams.readout()
    pick = torch.from_numpy(rng.integers(len(w), size=count)).to(x.device)
    sign = torch.from_numpy(rng.choice([-1.0, 1.0], size=(count, 1))).to(x)
    bias = torch.from_numpy(rng.uniform(-MAX_BIAS, MAX_BIAS, size=count)).to(x)
    neurons = sign * w[pick]
    found = ridge((x @ neurons.T + bias).relu(), y, streams.split())
    output = torch.cat([found.coefficients, found.intercept[None]]).to(x.dtype)
    return torch.cat([neurons, neurons.new_zeros(1, x.shape[1])]), output, torch.cat([bias, bias.new_ones(1)])
