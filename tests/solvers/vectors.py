"""Small problems with several outputs, and the protocol for them written out in float64 NumPy (section 1).

All weights are one vector, as in the protocol: the hidden weights neuron by neuron, then the output weights.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch

from mlpiht_cli.core.fit import Events, Fit, Step
from mlpiht_cli.core.method import Shape
from mlpiht_cli.core.model import SparseMLP
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.rng import Streams
from mlpiht_cli.solvers.iht_vector import IHTVector


def regression(n: int = 45, d: int = 5, k: int = 3, scale: float = 1.0, seed: int = 0) -> Problem:
    rng = np.random.RandomState(seed)
    x = torch.from_numpy(scale * rng.normal(size=(n, d)))
    y = torch.relu(x @ torch.from_numpy(rng.normal(size=(d, 4)))) @ torch.from_numpy(rng.normal(size=(4, k)))
    return Problem(x, y, x, y, "psnr", peak=float(y.abs().max()))


def classes(n: int = 45, d: int = 5, k: int = 3, scale: float = 20.0, seed: int = 0) -> Problem:
    """One class around each of the first axes; large inputs, as raw pixels are."""
    rng = np.random.RandomState(seed)
    own = torch.from_numpy(rng.randint(0, k, size=n))
    x = scale * (3.0 * torch.eye(k, d)[own] + torch.from_numpy(rng.normal(size=(n, d))))
    y = torch.eye(k, dtype=torch.float64)[own]
    return Problem(x, y, x, y, "accuracy", "cross_entropy")


def method(**settings: object) -> IHTVector:
    return IHTVector.model_validate({"dtype": "float64", **settings})


def run(problem: Problem, m: int, s: int, seed: int = 0, **settings: object) -> Fit:
    return method(**settings).fit(problem, Shape(m), s, Streams(seed))


def events(problem: Problem, m: int, s: int, seed: int = 0, **settings: object) -> Events:
    return method(**settings).iterate(problem, Shape(m), [s], Streams(seed))


def networks(found: Events) -> Iterator[SparseMLP]:
    """The network after each step."""
    for event in found:
        if isinstance(event, Step):
            assert event.network is not None
            yield event.network()


def flat(model: SparseMLP) -> np.ndarray:
    """All weights of a network with one hidden layer as one vector."""
    hidden, output = (layer.dense().numpy() for layer in model.layers)
    return np.concatenate([hidden.ravel(), output.T.ravel()])


class Seen(NamedTuple):
    """The four rows of a sketch: a bucket and a sign of every entry, ``[4, entries]``, and the table."""

    buckets: np.ndarray
    signs: np.ndarray
    table: np.ndarray

    def add(self, entries: np.ndarray, update: np.ndarray) -> None:
        for row in range(4):
            signed = (self.signs[row, entries] * update).astype(np.float32)
            np.add.at(self.table[row], self.buckets[row, entries], signed)

    def sizes(self, entries: np.ndarray, values: np.ndarray) -> np.ndarray:
        rows = [self.table[row, self.buckets[row, entries]] * self.signs[row, entries] for row in range(4)]
        return np.abs(np.median(rows, axis=0))


class Summed(NamedTuple):
    """The accumulated updates themselves."""

    total: np.ndarray

    def add(self, entries: np.ndarray, update: np.ndarray) -> None:
        self.total[entries] += update

    def sizes(self, entries: np.ndarray, values: np.ndarray) -> np.ndarray:
        return np.abs(self.total[entries])


class Sizes(NamedTuple):
    """Nothing accumulated: the weights themselves."""

    def add(self, entries: np.ndarray, update: np.ndarray) -> None:
        pass

    def sizes(self, entries: np.ndarray, values: np.ndarray) -> np.ndarray:
        return np.abs(values)


def memory(selection: str, size: int, s: int, seed: int) -> Seen | Summed | Sizes:
    """What a selection remembers, with buckets and signs by exact integers."""
    if selection != "count_sketch":
        return Summed(np.zeros(size)) if selection == "accumulated" else Sizes()
    width = int(s * max(1.0, math.log(size / s)))
    words = Streams(seed).hashes(4, width).words.tolist()
    bits = [[((a * i + b) % 2**64) >> 32 for i in range(size)] for a, b in words]
    buckets = [[((u >> 1) * width) >> 31 for u in row] for row in bits]
    signs = [[1 if u & 1 else -1 for u in row] for row in bits]
    return Seen(np.array(buckets), np.array(signs), np.zeros((4, width), np.float32))


def cut(held: np.ndarray, seen: Seen | Summed | Sizes, s: int) -> None:
    """Keep the ``s`` nonzero entries of the largest sizes; of equal ones the last stay."""
    nonzero = np.flatnonzero(held)
    if len(nonzero) > s:
        order = np.argsort(seen.sizes(nonzero, held[nonzero]), kind="stable")
        held[nonzero[order[:-s]]] = 0.0


class Literal:
    """IHT with several outputs, neuron by neuron."""

    def __init__(self, problem: Problem, m: int, s: int, seed: int, settings: IHTVector) -> None:
        self.x, self.y, self.loss = problem.x.numpy(), problem.y.numpy(), problem.loss
        self.d, self.k, self.m, self.s, self.settings = problem.d, problem.k, m, s, settings
        self.w1, self.w2, self.h = np.zeros((m, self.d)), np.zeros((m, self.k)), Streams(seed).gates(self.d).rows(0, m)
        self.numbers = Streams(seed).revival(max(self.d, self.k)).rows(0, m)
        self.order = torch.Generator().manual_seed(seed + 3)
        self.seen = memory(settings.selection, m * (self.d + self.k), s, seed)
        classes = problem.loss == "cross_entropy"
        self.mu = 0.001 if classes else 2.0 if s < 6 * m**0.536 else 0.005

    def weights(self) -> Iterator[np.ndarray]:
        """The weights after each step."""
        n, batch = len(self.x), self.settings.batch
        for epoch in range(self.settings.passes):
            rows = torch.randperm(n, generator=self.order).split(batch) if batch else [torch.arange(n)]
            for number, some in enumerate(rows):
                again = batch > 0 and self.settings.reinit == "every_epoch"
                held = self.step(some.numpy(), number == 0 and (epoch == 0 or again))
                self.w1, self.w2 = (part.reshape(self.m, -1) for part in np.split(held, [self.m * self.d]))
                yield held
                if epoch > 0:
                    self.h = self.w1

    def step(self, rows: np.ndarray, revives: bool) -> np.ndarray:
        """One step on some samples; residual and gates are those of the network before it is revived."""
        dx = [(self.x[rows] @ self.h[j] > 0)[:, None] * self.x[rows] for j in range(self.m)]
        r = self.residual(sum(dx[j] @ np.outer(self.w1[j], self.w2[j]) for j in range(self.m)), self.y[rows])
        v1, v2 = (self.revived(part) if revives else part for part in (self.w1, self.w2))
        held, blocks = np.concatenate([self.w1.ravel(), self.w2.ravel()]), []
        for j in range(self.m):
            p = dx[j].T @ r
            hidden = np.arange(j * self.d, (j + 1) * self.d)
            output = self.m * self.d + np.arange(j * self.k, (j + 1) * self.k)
            blocks += [(hidden, v1[j], -self.mu * p @ v2[j]), (output, v2[j], -self.mu * p.T @ v1[j])]
        if self.settings.selection_order == "global":
            blocks = [tuple(np.concatenate(parts) for parts in zip(*blocks, strict=True))]
        for entries, old, update in blocks:
            self.seen.add(entries, update)
            held[entries] = old + update
            cut(held, self.seen, self.s)
        return held

    def residual(self, prediction: np.ndarray, y: np.ndarray) -> np.ndarray:
        if self.loss == "cross_entropy":
            e = np.exp(prediction - prediction.max(axis=1, keepdims=True))
            prediction = e / e.sum(axis=1, keepdims=True)
        return (prediction - y) / len(y)

    def revived(self, part: np.ndarray) -> np.ndarray:
        numbers = self.numbers[:, : part.shape[1]] / math.sqrt(part.size)
        return np.array([fresh if old.max() == 0 else old for fresh, old in zip(numbers, part, strict=True)])
