"""Scores that prune a network before it is trained, against independent computations."""

from __future__ import annotations

import itertools

import networkx
import pytest
import torch

from mlpiht_cli.baselines.networks import predicted
from mlpiht_cli.baselines.pruning.curvature import forman
from mlpiht_cli.baselines.pruning.grasp import gradient_flow
from mlpiht_cli.baselines.pruning.network import SparseNetwork
from mlpiht_cli.baselines.pruning.snip import SNIP, sensitivity
from mlpiht_cli.baselines.pruning.synflow import SynFlow, synaptic_flow
from mlpiht_cli.core.method import Shape
from mlpiht_cli.core.problem import LOSSES, Loss, Problem
from mlpiht_cli.rng import Streams


def layers(*sizes: int) -> list[torch.Tensor]:
    draws = torch.Generator().manual_seed(5)
    return [torch.randn(b, a, generator=draws, dtype=torch.float64) for a, b in itertools.pairwise(sizes)]


def problem(k: int = 1, loss: Loss = "squared") -> Problem:
    draws = torch.Generator().manual_seed(6)
    x, y = torch.randn(40, 5, generator=draws).double(), torch.randn(40, k, generator=draws).double()
    y = torch.eye(k).double()[y.argmax(1)] if loss == "cross_entropy" else y
    return Problem(x, y, x, y, "psnr", loss=loss)


def loss_of(weights: list[torch.Tensor], data: Problem, divide: float = 1.0) -> torch.Tensor:
    return LOSSES[data.loss](predicted(weights, data.x) / divide, data.y)


def slope(weights: list[torch.Tensor], data: Problem, divide: float = 1.0) -> list[torch.Tensor]:
    leaves = [weight.clone().requires_grad_() for weight in weights]
    return list(torch.autograd.grad(loss_of(leaves, data, divide), leaves))


def test_snip_scores_are_what_the_loss_feels_of_a_connection_that_is_scaled() -> None:
    data, weights = problem(), layers(5, 4, 1)
    scores = sensitivity(weights, slope(weights, data))
    for i, j in ((0, 0), (2, 3)):
        small = 1e-6
        less = [weights[0].clone(), weights[1]]
        less[0][i, j] *= 1.0 - small
        felt = (loss_of(weights, data) - loss_of(less, data)) / small
        assert float(scores[0][i, j]) == pytest.approx(abs(float(felt)), rel=1e-4, abs=1e-9)


def test_snip_keeps_the_largest_scores_of_one_batch() -> None:
    data = problem()
    method, shape, streams = SNIP(batch=10, epochs=1, lr=1e-9), Shape(4), Streams(0)
    network = SparseNetwork(method, data, shape, streams)
    first = streams.batch_order().draw(data.n)[:10]
    batch = Problem(data.x[first], data.y[first], data.x, data.y, "psnr")
    scores = sensitivity(network.weights, slope(network.weights, batch))
    flat = torch.cat([score.flatten() for score in scores])
    expected = set(flat.argsort(descending=True)[:7].tolist())
    (fit,) = method.fit_path(data, shape, [7], Streams(0))
    found = torch.cat([layer.dense().flatten() for layer in fit.model.layers])
    assert set(found.nonzero().flatten().tolist()) == expected


@pytest.mark.parametrize("loss", ["squared", "cross_entropy"])
def test_grasp_scores_are_the_slope_of_the_gradient_flow(loss: Loss) -> None:
    data, weights, divide = problem(3, loss), layers(5, 4, 3), 2.0
    scores, value = gradient_flow(weights, data, divide)
    assert value == pytest.approx(float(loss_of(weights, data, divide)))

    def flow(at: list[torch.Tensor]) -> float:
        return sum(float(part.square().sum()) for part in slope(at, data, divide))

    for layer, i, j in ((0, 1, 2), (0, 3, 4), (1, 2, 1)):
        step, moved = 1e-6, []
        for sign in (1.0, -1.0):
            at = [weight.clone() for weight in weights]
            at[layer][i, j] *= 1.0 + sign * step
            moved.append(flow(at))
        # d|g|^2 / d log w = 2 w (H g)
        assert 2.0 * float(scores[layer][i, j]) == pytest.approx((moved[0] - moved[1]) / (2.0 * step), rel=1e-4)


def test_synaptic_flow_is_conserved() -> None:
    weights = layers(6, 5, 4, 3)
    scores = synaptic_flow(weights)
    total = float(weights[2].abs().sum(0) @ weights[1].abs() @ weights[0].abs().sum(1))
    for score in scores:
        assert float(score.sum()) == pytest.approx(total)
    for below, above in itertools.pairwise(scores):
        torch.testing.assert_close(below.sum(1), above.sum(0))


def test_synflow_does_not_cut_a_layer_off() -> None:
    data = problem()
    (fit,) = SynFlow(epochs=1, batch=10).fit_path(data, Shape(6, 2), [3], Streams(0))
    assert fit.model.nnz == 3
    assert [layer.nnz for layer in fit.model.layers] == [1, 1, 1], "one path from an input to the output"


def test_forman_curvature_of_a_hand_made_graph() -> None:
    # Inputs 0 1, hidden a b, output o; |weights| are squares, so that every ratio is rational.
    hidden, output = torch.tensor([[4.0, -1.0], [0.0, 9.0]]), torch.tensor([[-1.0, 4.0]])
    first, second = forman([hidden, output])
    # 0-a (4) meets 1-a (1) and a-o (1): 2 - sqrt(4/1) - sqrt(4/1).
    assert first[0, 0] == pytest.approx(2.0 - 2.0 - 2.0)
    # 1-a (1) meets 0-a (4), a-o (1) and 1-b (9).
    assert first[0, 1] == pytest.approx(2.0 - 1 / 2 - 1.0 - 1 / 3)
    # 1-b (9) meets 1-a (1) and b-o (4).
    assert first[1, 1] == pytest.approx(2.0 - 3.0 - 3 / 2)
    assert first[1, 0] == 0.0, "not an edge"
    # a-o (1) meets 0-a (4), 1-a (1) and b-o (4).
    assert second[0, 0] == pytest.approx(2.0 - 1 / 2 - 1.0 - 1 / 2)


def test_forman_curvature_of_a_network_is_that_of_its_graph() -> None:
    weights = layers(4, 3, 3, 2)
    weights[1][0, 1] = 0.0
    graph = networkx.Graph()
    for i, weight in enumerate(weights):
        for b, a in weight.nonzero().tolist():
            graph.add_edge((i, a), (i + 1, b), weight=abs(float(weight[b, a])))
    found = forman(weights)
    for u, v, size in graph.edges.data("weight"):
        others = [graph.edges[edge]["weight"] for node in (u, v) for edge in graph.edges(node) if {*edge} != {u, v}]
        (i, a), (_, b) = sorted((u, v))
        assert float(found[i][b, a]) == pytest.approx(2.0 - sum((size / other) ** 0.5 for other in others))
