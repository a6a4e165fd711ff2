"""Certified accuracy, against closed forms, every corner of small balls, and intervals written out."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch

from mlpiht_cli.core.certified import certified_accuracy
from mlpiht_cli.core.model import SparseMLP
from mlpiht_cli.core.problem import Ball, Problem
from mlpiht_cli.core.scoring import evaluate
from mlpiht_cli.linalg.sparse import SparseMatrix
from mlpiht_cli.tasks._pixels import pixel_ball

WIDE = 1e9


def matrix(rows: object) -> SparseMatrix:
    return SparseMatrix.from_dense(torch.as_tensor(rows, dtype=torch.float64))


def ball(radius: float, low: float = -WIDE, high: float = WIDE) -> Ball:
    return Ball(*(torch.tensor([one], dtype=torch.float64) for one in (radius, low, high)))


def problem(x: torch.Tensor, y: torch.Tensor, radius: float, low: float = -WIDE, high: float = WIDE) -> Problem:
    return Problem(x, y, x.clone(), y, "accuracy", ball=ball(radius, low, high))


def certified(model: SparseMLP, data: Problem) -> float | None:
    return certified_accuracy(model, data, model.forward(data.x_test))


def random_net(seed: int, sizes: list[int], readout: bool = False, bias: bool = False) -> SparseMLP:
    g = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=g, dtype=torch.float64)

    layers = tuple(matrix(normal(b, a) * (normal(b, a) > -0.5)) for a, b in pairwise(sizes))
    signs = torch.where(normal(sizes[-1]) > 0, 1.0, -1.0) if readout else None
    return SparseMLP(layers, signs, None, normal(sizes[1]) if bias else None)


def sample(seed: int, n: int, d: int, model: SparseMLP) -> tuple[torch.Tensor, torch.Tensor]:
    """Inputs, and targets that the model mostly gets right."""
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(n, d, generator=g, dtype=torch.float64)
    out = model.forward(x)
    k = out.shape[1]
    right = (out[:, 0] > 0.5).long() if k == 1 else out.argmax(1)
    true = torch.where(torch.rand(n, generator=g) < 0.9, right, (right + 1) % max(k, 2))
    return x, (true[:, None].double() if k == 1 else torch.eye(k, dtype=torch.float64)[true])


def test_one_neuron_by_hand() -> None:
    """relu(x_1 - x_2) > 0.5: a change of r moves the sum by 2 r."""
    net = SparseMLP((matrix([[1.0, -1.0]]),), torch.ones(1))
    x = torch.tensor([[2.0, 1.0], [0.75, 0.0], [0.0, 3.0], [0.2, 0.0], [0.0, 0.0]], dtype=torch.float64)
    y = torch.tensor([[1.0], [1.0], [0.0], [0.0], [1.0]], dtype=torch.float64)  # the last one is wrong
    for radius, share in ((0.0, 4 / 5), (0.1, 4 / 5), (0.124, 4 / 5), (0.126, 3 / 5), (0.149, 3 / 5), (0.151, 2 / 5)):
        assert certified(net, problem(x, y, radius)) == share, radius
    assert certified(net, problem(x, y, 0.26)) == 1 / 5, "the far one alone"


@pytest.mark.parametrize("k", [1, 4])
def test_linear_models_are_certified_exactly(k: int) -> None:
    """The least difference of two outputs in the ball is the difference minus r times the l1 norm of their weights'."""
    net = random_net(3, [6, k])
    x, y = sample(4, 200, 6, net)
    w, out = net.layers[0].dense(), net.forward(x)
    for radius in (0.01, 0.1, 0.3):
        count = 0
        for i in range(len(x)):
            if k == 1:
                far, is_second = float(abs(out[i, 0] - 0.5)), bool(out[i, 0] > 0.5)
                count += is_second == bool(y[i, 0]) and far > radius * float(w.abs().sum())
            else:
                true = int(y[i].argmax())
                margins = [float(out[i, true] - out[i, j] - radius * (w[true] - w[j]).abs().sum()) for j in range(k)]
                count += min(one for j, one in enumerate(margins) if j != true) > 0
        assert 0 < count < 200
        assert certified(net, problem(x, y, radius)) == count / 200


def written_out(net: SparseMLP, x: np.ndarray, radius: float) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper ends of what the last hidden layer is, weight by weight: each takes its worst end."""
    low, high = x - radius, x + radius
    for i, layer in enumerate(net.layers[:-1]):
        w = layer.dense().numpy()
        ends = np.stack([w * low, w * high])
        low, high = ends.min(0).sum(1), ends.max(0).sum(1)
        if i == 0 and net.bias is not None:
            low, high = low + net.bias.numpy(), high + net.bias.numpy()
        low, high = np.maximum(low, 0), np.maximum(high, 0)
    return low, high


def test_several_layers_biases_and_outputs_are_those_of_intervals_written_out() -> None:
    net = random_net(11, [5, 7, 6, 3], bias=True)
    x, y = sample(12, 150, 5, net)
    w = net.layers[-1].dense().numpy()
    shares = []
    for radius in (0.0, 0.01, 0.03, 0.1):
        count = 0
        for point, true in zip(x.numpy(), y.argmax(1).tolist(), strict=True):
            low, high = written_out(net, point, radius)
            least = [np.minimum((w[true] - w[j]) * low, (w[true] - w[j]) * high).sum() for j in range(3) if j != true]
            count += min(least) > 0
        shares.append(certified(net, problem(x, y, radius)))
        assert shares[-1] == count / 150
    assert shares == sorted(shares, reverse=True)
    assert shares[0] == float((net.forward(x).argmax(1) == y.argmax(1)).double().mean()), "the accuracy without change"
    assert 0 < shares[2] < shares[0]


@pytest.mark.parametrize(("sizes", "readout"), [([3, 4], True), ([3, 5, 4], True), ([3, 5, 3], False)])
def test_no_point_of_the_ball_changes_a_certified_class(sizes: list[int], readout: bool) -> None:
    net = random_net(21, sizes, readout=readout, bias=True)
    x, y = sample(22, 60, 3, net)
    g, held, survived = torch.Generator().manual_seed(0), 0, 0
    corners = torch.cartesian_prod(*[torch.tensor([-1.0, 0.0, 1.0], dtype=torch.float64)] * 3)
    moves = torch.cat([corners, 2 * torch.rand(300, 3, generator=g, dtype=torch.float64) - 1])
    for i in range(len(x)):
        one = problem(x[i : i + 1], y[i : i + 1], 0.05)
        near = net.forward(x[i] + 0.05 * moves)
        right = (near > 0.5).double() == y[i] if y.shape[1] == 1 else near.argmax(1) == y[i].argmax()
        is_certified = certified(net, one) == 1.0
        assert not is_certified or bool(right.all())
        held, survived = held + is_certified, survived + bool(right.all())
    assert 0 < held <= survived < len(x), "some are certified, and some change"


def test_differences_of_outputs_are_bounded_and_not_the_outputs() -> None:
    """Both outputs move by 10 with the first neuron; their difference does not."""
    net = SparseMLP((matrix([[1.0, 0.0], [0.0, 1.0]]), matrix([[10.0, 1.0], [10.0, 0.0]])))
    x = torch.tensor([[5.0, 3.0]], dtype=torch.float64)
    assert certified(net, problem(x, torch.tensor([[1.0, 0.0]], dtype=torch.float64), 1.0)) == 1.0


def test_no_pixel_leaves_its_range() -> None:
    """A pixel of 0 can only grow: -x_1 + 0.6 stays below 1, and x_1 would pass 0.5 if it could fall."""
    net = SparseMLP((matrix([[-1.0]]),), torch.ones(1), bias=torch.tensor([0.4], dtype=torch.float64))
    x, y = torch.zeros(1, 1, dtype=torch.float64), torch.zeros(1, 1, dtype=torch.float64)
    assert certified(net, problem(x, y, 0.2)) == 0.0
    assert certified(net, problem(x, y, 0.2, 0.0, 1.0)) == 1.0


def test_a_radius_for_each_feature() -> None:
    net = SparseMLP((matrix([[1.0, 1.0, 0.0]]),), torch.ones(1))
    x, y = torch.tensor([[1.0, 0.0, 0.0]], dtype=torch.float64), torch.ones(1, 1, dtype=torch.float64)

    def share(*radius: float) -> float | None:
        wide = torch.full((3,), WIDE, dtype=torch.float64)
        return certified(net, replace(problem(x, y, 0.0), ball=Ball(torch.tensor(radius), -wide, wide)))

    assert share(0.3, 0.1, 9.0) == 1.0, "an input without weights does not count"
    assert share(0.3, 0.3, 0.0) == 0.0


@pytest.mark.parametrize("k", [1, 3])
def test_the_unit_of_the_inputs_does_not_matter(k: int) -> None:
    """The same function of raw and of standardised pixels survives the same changes."""
    mean, std = np.array([30.0, 100.0, 7.0, 90.0]), np.array([80.0, 20.0, 3.0, 60.0])
    raw = random_net(36, [4, 6, k], bias=True)
    weights = raw.layers[0].dense().numpy()
    assert raw.bias is not None
    bias = torch.from_numpy(raw.bias.numpy() * 20 + weights @ mean)
    scaled = SparseMLP((matrix(weights * std), raw.layers[1]), None, None, bias)
    raw = replace(raw, bias=raw.bias * 20)
    levels = torch.from_numpy(np.random.RandomState(0).randint(0, 256, (300, 4)).astype(float))
    out = raw.forward(levels)
    y = (out > 0.5).double() if k == 1 else torch.eye(k, dtype=torch.float64)[out.argmax(1)]
    data = Problem(levels, y, levels.clone(), y, "accuracy", ball=pixel_ball([0.0], [1.0]))
    other = (levels - torch.from_numpy(mean)) / torch.from_numpy(std)
    share = certified(raw, data)
    assert certified(scaled, replace(data, x_test=other, ball=pixel_ball(mean.tolist(), std.tolist()))) == share
    assert share is not None
    assert 0.0 < share < 1.0


def test_a_network_without_weights_always_says_the_first_class() -> None:
    silent = SparseMLP.silent([2, 3, 3], torch.zeros(1, dtype=torch.float64))
    x, y = torch.zeros(4, 2, dtype=torch.float64), torch.eye(3, dtype=torch.float64)[[0, 0, 1, 2]]
    assert certified(silent, problem(x, y, 1.0)) == 0.5


def test_what_cannot_be_certified_has_no_share() -> None:
    net = random_net(5, [3, 4], readout=True)
    x, y = sample(6, 20, 3, net)
    data = problem(x, y, 0.01)
    assert certified(net, data) is not None
    assert certified(replace(net, gates=net.layers[0]), data) is None
    assert certified(net, replace(data, ball=None)) is None
    assert certified(net, replace(data, metric="psnr", peak=1.0)) is None
    scored = evaluate(net, data)
    assert scored is not None
    assert scored.more["certified_accuracy"] == certified(net, data)
    assert "certified_accuracy" not in (evaluate(net, replace(data, ball=None)) or scored).more


def test_many_samples_are_bounded_some_at_a_time() -> None:
    net = random_net(7, [40, 300, 4])
    x, y = sample(8, 3000, 40, net)
    data = problem(x, y, 0.002)
    alone = [certified(net, replace(data, x_test=x[i::3], y_test=y[i::3])) for i in range(3)]
    assert certified(net, data) == pytest.approx(np.mean([one for one in alone if one is not None]))
    in_float32 = data.to(torch.device("cpu"), torch.float32)
    found = certified(net.to("cpu", torch.float32), in_float32)
    assert found == pytest.approx(certified(net, data), abs=2e-3)
