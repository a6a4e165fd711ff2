"""Steps on parameters that stand for weights: those of Adam on the weights are the steps of the network itself."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mlpiht_cli.baselines.optimisers import Adam
from mlpiht_cli.baselines.pruning.magnitude import Magnitude
from mlpiht_cli.baselines.pruning.network import SparseNetwork
from mlpiht_cli.baselines.pruning.relaxed import flat, split
from mlpiht_cli.core.fit import Diverged
from mlpiht_cli.core.method import Shape
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.linalg.gated import BACKEND
from mlpiht_cli.rng import Streams


class Plain:
    """Weights that stand for themselves; the steps end after the last one of ``steps``."""

    def __init__(self, weights: list[torch.Tensor], steps: int = 1000) -> None:
        self.values, self.left = flat(weights), steps
        self.adam = Adam([self.values], 1.0)

    def weights(self) -> torch.Tensor:
        return self.values

    def step(self, slope: torch.Tensor, loss: torch.Tensor | float, rate: float) -> bool:
        self.values.grad, self.adam.lr = slope.clone(), rate
        self.adam.step()
        self.left -= 1
        return self.left > 0


def some(k: int = 2) -> Problem:
    rng = np.random.RandomState(4)
    x, y = (torch.from_numpy(rng.normal(size=(50, width))).float() for width in (6, k))
    return Problem(x, y, x, y, "psnr")


def made(batch: int = 20, depth: int = 2) -> SparseNetwork:
    return SparseNetwork(Magnitude(batch=batch, epochs=4, lr=0.01), some(), Shape(5, depth), Streams(2))


@pytest.fixture(params=["compiled", "torch"], autouse=True)
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(BACKEND, request.param)


@pytest.mark.parametrize("depth", [1, 2])
def test_plain_weights_take_the_steps_of_the_network(depth: int) -> None:
    """Five steps each: within an epoch, over its end, and after steps that the network took."""
    ours, theirs = made(depth=depth), made(depth=depth)
    for network in (ours, theirs):
        assert len(list(network.train(2))) == 2
        network.begin(5)
    plain = Plain(ours.weights)
    steps = list(ours.relax(plain, 5))
    expected = list(theirs.train(5))
    assert [step.share for step in steps] == [step.share for step in expected]
    assert [step.loss for step in steps] == pytest.approx([step.loss for step in expected], rel=1e-5)
    torch.testing.assert_close(plain.values, flat(theirs.weights), rtol=1e-4, atol=1e-6)
    ours.put(plain.values)
    for a, b in zip(ours.weights, theirs.weights, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)
    assert next(ours.train(1)).loss == pytest.approx(next(theirs.train(1)).loss, rel=1e-4), "the order goes on"


def test_the_parameters_may_end_the_steps() -> None:
    network = made()
    assert len(list(network.relax(Plain(network.weights, steps=4), 9))) == 4


def test_weights_that_are_not_finite_are_a_divergence() -> None:
    network = made()
    plain = Plain(network.weights)
    network.begin(3)
    plain.adam.step = lambda: plain.values.fill_(torch.inf)  # type: ignore[method-assign,assignment,return-value]
    with pytest.raises(Diverged, match="finite"):
        list(network.relax(plain, 1))


def test_split_undoes_flat() -> None:
    layers = [torch.arange(6.0).reshape(2, 3), torch.arange(4.0).reshape(2, 2)]
    assert flat(layers).tolist() == [0, 1, 2, 3, 4, 5, 0, 1, 2, 3]
    for a, b in zip(split(flat(layers), layers), layers, strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("count", ["layers", "fused"])
def test_the_nonzeros_are_kept_and_the_largest_others_fill_up(count: str) -> None:
    problem = some(1)
    network = SparseNetwork(Magnitude.model_validate({"count": count}), problem, Shape(2), Streams(0))
    values = torch.zeros(14)  # 2 x 6 hidden and 2 output weights
    values[[0, 7, 12, 13]] = torch.tensor([3.0, -2.0, 0.5, -4.0])
    spare = torch.zeros(14)
    spare[[0, 1, 2, 8]] = torch.tensor([9.0, 0.2, -0.4, 0.3])
    spare[12:] = values[12:]
    alive = network.adopt(values, spare, 5)
    counted = torch.cat([mask.flatten() for mask in network.masks[: network.counted]])
    # Fused, the spare numbers count times 0.5 (first neuron) and 4 (second): 0.1, 0.2 and 1.2.
    assert (alive, torch.nonzero(counted).flatten().tolist()) == {
        "layers": (4, [0, 2, 7, 12, 13]),
        "fused": (2, [0, 1, 2, 7, 8]),
    }[count]
    kept = flat(network.weights)
    assert kept[[0, 7, 12, 13]].tolist() == [3.0, -2.0, 0.5, -4.0]
    assert kept[2] == pytest.approx(-0.4)
    assert network.adopt(values, spare, 1) == alive, "none of the nonzeros is lost, the budget comes later"
    assert network.kept == alive
