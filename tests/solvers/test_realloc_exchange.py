"""Exchanges of weights: what is added, and what they lead to."""

from __future__ import annotations

import pytest
import torch

from mlpiht_cli.solvers.realloc.blocks import Blocks, Samples
from mlpiht_cli.solvers.realloc.exchange import Exchange

N, D = 300, 6


def samples(weights: torch.Tensor, outputs: torch.Tensor | None = None) -> Samples:
    """Samples of a network with shifted inputs of several sizes, which no moments tell anything about."""
    x = torch.rand(D, N, generator=torch.Generator().manual_seed(3), dtype=torch.float64) - 0.3
    x *= torch.tensor([1.0, 3.0, 0.5, 1.0, 0.25, 4.0], dtype=torch.float64)[:, None]
    active = (weights @ x).relu()
    return Samples(x, active.sum(0) if outputs is None else outputs @ active)


def blocks(rows: list[list[float]], outputs: list[float] | None = None) -> Blocks:
    weights = torch.tensor(rows, dtype=torch.float64)
    signs = None if outputs is None else torch.tensor(outputs, dtype=torch.float64)
    return Blocks(weights, weights != 0, None, signs)


TRUE = [[1.0, -2, 0, 0, 0, 0], [0, 0, 1, 1.5, 0, 0], [0, 0, 0, 0, -1, 0]]


def fall(data: Samples, at: Blocks, neuron: int | None, a: int, side: float, sign: float = 1.0) -> float:
    """How far one more weight alone, with all gates as they are, lowers the squared error."""
    r, x = data.residual(at), data.features[a]
    if neuron is None:
        column = sign * (side * x).relu()
        return max(0.0, float(column @ r)) ** 2 / float(column @ column)
    gate = (at.weights[neuron] @ data.features > 0).double()
    return float((gate * x) @ r) ** 2 / float((gate * x) @ (gate * x))


@pytest.mark.parametrize("signs", [False, True])
def test_the_places_that_promise_most_are_added(signs: bool) -> None:
    outputs = torch.tensor([1.0, -1, 1], dtype=torch.float64) if signs else None
    data = samples(torch.tensor(TRUE, dtype=torch.float64), outputs)
    at = blocks([[1.0, 0, 0, 0, 0, 0], [0, 0, 1.0, 0, 0, 0]], [1.0, -1.0] if signs else None)
    every = {(j, a): fall(data, at, j, a, 1.0) for j in (0, 1) for a in range(D) if not at.support[j, a]}
    ways = [(side, sign) for sign in ([1.0, -1.0] if signs else [1.0]) for side in (1.0, -1.0)]
    every |= {(side, sign, a): fall(data, at, None, a, side, sign) for side, sign in ways for a in range(D)}
    first = sorted(every, key=lambda place: -every[place])[:3]
    grown = Exchange(9, 9).grown(data, at, 3)
    added = {(j, a) for j, a in (grown.support[:2] & ~at.support).nonzero().tolist()}
    for row, w in enumerate(grown.weights[2:], start=2):
        (a,) = w.nonzero().flatten().tolist()
        added.add((float(w[a].sign()), 1.0 if grown.outputs is None else float(grown.outputs[row]), a))
    assert added == set(first)
    assert len(Exchange(2, 9).grown(data, at, 40).weights) == 2, "two neurons are all there may be"


def test_wrong_weights_are_exchanged_for_the_right_ones() -> None:
    data = samples(torch.tensor(TRUE, dtype=torch.float64))
    start = blocks([[1.0, 0, 0, 0, 0.5, 0], [0, 1.0, 1, 0, 0, 0]])
    found = list(Exchange(3, 5, floor=1e-20)(data, start))
    losses = [data.loss(start), *[one.loss for one in found]]
    assert losses == sorted(losses, reverse=True)
    assert all(one.blocks.nnz <= 5 and len(one.blocks.weights) <= 3 for one in found)
    assert losses[-1] < 1e-20 < losses[0]
    wanted = sorted(tuple(row) for row in TRUE)
    assert sorted(found[-1].blocks.weights.tolist()) == [pytest.approx(row, abs=1e-8) for row in wanted]


def test_nothing_is_exchanged_where_nothing_helps() -> None:
    data = samples(torch.tensor(TRUE, dtype=torch.float64))
    assert list(Exchange(3, 5, floor=1e-20)(data, blocks(TRUE))) == []
    assert list(Exchange(3, 5)(data, blocks(TRUE).first(0))) == [], "an empty network has no gates to begin with"
