"""The floor: floating-point operations of matrix products that any implementation needs.

At the measured rate of a matrix product on one thread, the count becomes the seconds of the floor. It follows from the
protocol and from the networks between the steps of the fit:

- A product of ``b`` samples with ``q`` weights has ``2 b q`` operations, also if it is sparse. A neuron's mask is free,
  and saves nothing.
- What is known already is free. Gates that are weights come with the prediction, and random gates are needed once a
  sample. The residual after thresholding follows from the vectors before, but for the entries that changed.
- Passes over the data, drawing of random numbers, thresholding, sketches and Adam's updates are not counted.

A program that leaves out samples whose masks are 0 can be faster than the floor, and so can one whose loops are faster
than a large matrix product.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from mlpiht_cli.core.fit import Step
from mlpiht_cli.core.method import Method, Shape, torch_dtype
from mlpiht_cli.core.model import SparseMLP
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.rng import Streams

INNER = 10
"""Steps of the refinement."""
Dense = NDArray[np.float64]


@dataclass(frozen=True)
class Turn:
    """One step of a fit: samples, whether its gates are random, whether they are new, whether blocks are revived."""

    samples: int
    random: bool
    new: bool
    revive: bool


def turns(n: int, batch: int, passes: int) -> Iterator[Turn]:
    """Yield the steps of the protocol: the random gates serve the first pass and the first batch of the second."""
    size = batch or n
    for number in range(passes):
        for first in range(0, n, size):
            random = number == 0 or (number == 1 and first == 0)
            yield Turn(min(size, n - first), random, number == 0, first == 0 and (number == 0 or batch > 0))


def networks(method: Method, problem: Problem, shape: tuple[int, int], seed: int = 0) -> Iterator[SparseMLP]:
    """Run a fit with width and budget ``shape = (m, s)``; yield the network after each step."""
    data = problem.to(problem.x.device, torch_dtype(method.dtype))
    for event in method.iterate(data, Shape(shape[0]), [shape[1]], Streams(seed)):
        if isinstance(event, Step):
            if event.network is None:
                raise ValueError(f"the steps of {method.name} show no networks, so there is nothing to count")
            yield event.network()


def refinement(samples: int, kept: int) -> float:
    """Return the operations of the refinement on ``kept`` weights, by products or by a Gram matrix.

    Both begin with a gradient. Each inner step then has a product with ``A_S``, and all but the last one with its
    transpose; or all of them use the symmetric ``A_S^T A_S``, made once.
    """
    gradient = 2.0 * samples * kept
    products = (2 * INNER - 1) * 2.0 * samples * kept
    gram = samples * kept * (kept + 1.0) + INNER * 2.0 * kept**2
    return gradient + min(products, gram)


def iht(problem: Problem, m: int, steps: Sequence[Turn], after: Sequence[SparseMLP]) -> float:
    """Return the operations of IHT with one output: the given steps, and the network after each.

    A fit that ends early has fewer networks, and the rest costs nothing.
    """
    total, live, held = 0.0, 0, 0
    for turn, network in zip(steps, after, strict=False):
        whole = 2.0 * turn.samples * problem.d * (m if turn.random else live)
        gates = whole if turn.new else 0.0
        # The residual (which shows the gates h = w), and A_S g of the exact step.
        support = 2 * 2.0 * turn.samples * held
        (layer,) = network.layers
        live, held = len(layer.live_rows()), layer.nnz
        total += gates + whole + support + refinement(turn.samples, held)
    return total


def iht_vector(problem: Problem, m: int, steps: Sequence[Turn], after: Sequence[SparseMLP]) -> float:
    """Return the operations of IHT with several outputs: the given steps, and the network after each."""
    before: tuple[Dense, Dense] = (np.zeros((m, problem.d)), np.zeros((m, problem.k)))
    total = 0.0
    for turn, network in zip(steps, after, strict=False):
        total += 2.0 * turn.samples * _vector_step(turn, *before)
        hidden, output = (layer.dense().double().numpy() for layer in network.layers)
        before = (hidden, output.T)
    return total


def _vector_step(turn: Turn, hidden: Dense, output: Dense) -> float:
    """Return the multiply-adds of a step and a sample.

    The gradient of a neuron's hidden weights is ``X^T (D R w2)`` and that of its output weights ``R^T (D X w1)``. The
    first is 0 without output weights, the second without hidden ones. A block whose largest entry is 0 is revived.
    """
    inputs, outputs = (np.count_nonzero(part, axis=1) for part in (hidden, output))
    made_inputs, made_outputs = (
        np.where(part.max(axis=1) == 0, part.shape[1], count) if turn.revive else count
        for part, count in ((hidden, inputs), (output, outputs))
    )
    live = np.full(len(hidden), True) if turn.random else inputs > 0
    touched = live & ((made_inputs > 0) | (made_outputs > 0))
    gates = touched.sum() * hidden.shape[1] if turn.random else 0
    prediction = inputs.sum() + outputs[inputs > 0].sum()
    revived = made_inputs[touched & (made_inputs != inputs)].sum()  # X w1 of the new numbers
    to_hidden = (live & (made_outputs > 0)).sum() * hidden.shape[1] + made_outputs[live].sum()
    to_output = (live & (made_inputs > 0)).sum() * output.shape[1]
    return float(gates + prediction + revived + to_hidden + to_output)


def imp(masks: Sequence[Sequence[NDArray[np.bool_]]], samples: int) -> float:
    """Return the operations of IMP: ``samples`` pass through the network of each round, forward and back.

    Parameters
    ----------
    masks
        For each round, the masks ``[out, in]`` of the layers that are trained, input side first.
    samples
        Samples a round: epochs times n.
    """
    total = 0.0
    for network in masks:
        first, *rest = (float(np.count_nonzero(mask)) for mask in useful(network))
        # Forward and the gradient of each weight; behind the first layer also the gradient of each input.
        total += 2.0 * samples * (2 * first + 3 * sum(rest))
    return total


def useful(masks: Sequence[NDArray[np.bool_]]) -> list[NDArray[np.bool_]]:
    """Return the masks without weights that lie on no path from an input to an output; these have no gradient."""
    kept = [mask.copy() for mask in masks]
    for i in range(1, len(kept)):
        kept[i] &= np.any(kept[i - 1], axis=1)
    for i in range(len(kept) - 1, 0, -1):
        kept[i - 1] &= np.any(kept[i], axis=0, keepdims=True).T
    return kept


def mask_of(network: SparseMLP) -> list[NDArray[np.bool_]]:
    """Return the places of the weights of each layer, ``[out, in]``."""
    return [torch.ne(layer.dense(), 0).numpy() for layer in network.layers]
