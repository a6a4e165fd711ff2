"""Superfluous weights of exact networks with two hidden layers: the planted support is left, and nothing gets worse."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from mlpiht_cli.core.method import Shape
from mlpiht_cli.core.model import SparseMLP
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.core.recovery import planted_scores
from mlpiht_cli.core.starts import training_loss
from mlpiht_cli.core.task import Axes
from mlpiht_cli.linalg.sparse import SparseMatrix
from mlpiht_cli.rng import Streams
from mlpiht_cli.solvers.iht_realloc import IHTRealloc
from mlpiht_cli.solvers.realloc.limits import Limits
from mlpiht_cli.solvers.realloc_deep.network import Deep, DeepSamples
from mlpiht_cli.solvers.realloc_deep.problem import TwoLayerProblem
from mlpiht_cli.solvers.realloc_deep.rewrite import rewritten
from mlpiht_cli.solvers.realloc_deep.sparsest import Sparsest
from mlpiht_cli.tasks.planted import Planted

D = 7
LIMITS = Limits(9, 40)


def deep(first: list[dict[int, float]], second: list[dict[int, float]], direct: dict[int, float]) -> Deep:
    """A network of its weights by place."""
    w, v = torch.zeros(len(first), D, dtype=torch.float64), torch.zeros(len(second), len(first), dtype=torch.float64)
    t = torch.zeros(len(first), dtype=torch.float64)
    for matrix, rows in ((w, first), (v, second), (t[None], [direct])):
        for row, weights in zip(matrix, rows, strict=True):
            for place, weight in weights.items():
                row[place] = weight
    return Deep(w, v, t)


def planted() -> Deep:
    """``relu(relu(x0) - .4 relu(x1 - .5 x2)) + relu(.7 relu(-x3) + .9 relu(x1 - .5 x2) - relu(x4)) + .6 relu(-x3)``."""
    first = [{0: 1.0}, {1: 1.0, 2: -0.5}, {3: -1.0}, {4: 1.0}]
    return deep(first, [{0: 1.0, 1: -0.4}, {1: 0.9, 2: 0.7, 3: -1.0}], {2: 0.6})


def samples(net: Deep, n: int = 4000) -> DeepSamples:
    """Targets rounded to float32, as those of a problem."""
    x = torch.randn(D, n, generator=torch.Generator().manual_seed(3)).double()
    data = DeepSamples(x, torch.zeros(n, dtype=torch.float64))
    return DeepSamples(x, data.output(net, slice(None)).float().double())


def junk() -> Deep:
    """Two parallel neurons, one nearly so, a weight and a second-layer neuron that are nearly 0."""
    net = planted()
    first = torch.cat([net.first, 2.0 * net.first[2:3], net.first[3:], 0.3 * net.first[:1]])
    first[5, 5], first[1, 6] = 1e-5, 1e-8
    second = torch.cat([net.second, net.second.new_zeros(2, 3)], 1)
    second[1, 4], second[1, 2], second[1, 5], second[1, 3] = 0.3, 0.1, -1e-8, -1.0 + 1e-8
    direct = torch.cat([net.direct, net.direct.new_zeros(3)])
    return Deep(first, torch.cat([second, 1e-9 * second[:1].flip(1)]), direct)


def on_the_line(share: float) -> Deep:
    """``.4 relu(w)`` written as a share of ``.4 w`` within u, and as ``relu(w)`` and ``relu(-w)``."""
    net = planted()
    first = torch.cat([net.first, -net.first[1:2], net.first[:1] - 0.4 * share * net.first[1:2]])
    second = torch.cat([net.second, net.second.new_zeros(2, 2)], 1)
    second[0] = torch.tensor([0.0, -0.4 * (1.0 - share), 0.0, 0.0, -0.4 * share, 1.0])
    return Deep(first, second, torch.cat([net.direct, net.direct.new_zeros(2)])).tidied()


def poor() -> Deep:
    """A direct weight taken from a neuron that is nearly always open where it matters: not quite the function."""
    net = planted()
    second, direct = net.second.clone(), net.direct.clone()
    second[0, 0] -= 1e-4
    direct[0] += 1e-4
    return Deep(net.first, second, direct)


def cancelling() -> Deep:
    """``x0 + x1 - (x0 + x1)`` in a second-layer neuron, each term as two neurons: six weights that are nothing."""
    net = planted()
    lines = deep([{0: 1.0}, {0: -1.0}, {1: 1.0}, {1: -1.0}, {0: 1.0, 1: 1.0}, {0: -1.0, 1: -1.0}], [], {}).first
    second = torch.cat([net.second, net.second.new_zeros(2, 6)], 1)
    second[1, 4:] = 0.1 * torch.tensor([1.0, -1.0, 1.0, -1.0, -1.0, 1.0])
    return Deep(torch.cat([net.first, lines]), second, torch.cat([net.direct, net.direct.new_zeros(6)]))


def linear() -> Deep:
    """``relu(x0)`` within the first second-layer neuron, whose gate changes nothing, as four neurons of two lines."""
    net = planted()
    lines = deep([{0: 1.0, 5: 0.2}, {0: -1.0, 5: -0.2}, {5: 1.0}, {5: -1.0}], [], {}).first
    second = torch.cat([net.second, net.second.new_zeros(2, 4)], 1)
    second[0, 0], second[0, 4:] = 0.0, torch.tensor([1.0, -1.0, -0.2, 0.2])
    return Deep(torch.cat([net.first, lines]), second, torch.cat([net.direct, net.direct.new_zeros(4)])).tidied()


def dependent() -> Deep:
    """``-relu(x4)`` as ``relu(-x4) - x4`` turned: the linear part is made of neurons of two other lines."""
    net = planted()
    lines = deep([{4: -1.0}, {4: 1.0, 5: 0.5}, {4: -1.0, 5: -0.5}, {5: 1.0}, {5: -1.0}], [], {}).first
    second = torch.cat([net.second, net.second.new_zeros(2, 5)], 1)
    second[1, 3], second[1, 4:] = 0.0, torch.tensor([-1.0, -1.0, 1.0, 0.5, -0.5])
    return Deep(torch.cat([net.first, lines]), second, torch.cat([net.direct, net.direct.new_zeros(5)])).tidied()


WIDE = {
    "junk": junk,
    "near the planted end": lambda: on_the_line(0.1),
    "near the other end": lambda: on_the_line(0.7),
    "the other end": lambda: on_the_line(1.0),
    "a weight moved to the direct part": poor,
    "cancelling": cancelling,
    "linear": linear,
    "dependent": dependent,
}


@pytest.mark.parametrize("wide", WIDE.values(), ids=WIDE.keys())
def test_the_planted_support_is_left(wide: Callable[[], Deep]) -> None:
    net = planted()
    data = samples(net)
    assert wide().nnz > net.nnz
    assert data.loss(wide()) < 1e-8 * float(data.y.square().mean())
    found = Sparsest(data, LIMITS)(wide()).scaled()
    assert [found.nnz, *found.neurons] == [net.nnz, *net.neurons]
    order = torch.cdist(net.first, found.first).argmin(1)
    torch.testing.assert_close(found.first[order], net.first, atol=1e-6, rtol=0)
    torch.testing.assert_close(found.direct[order], net.direct, atol=1e-6, rtol=0)
    rows = torch.cdist(net.second, found.second[:, order]).argmin(1)
    torch.testing.assert_close(found.second[rows][:, order], net.second, atol=1e-6, rtol=0)
    assert ((found.second[rows][:, order] != 0) == (net.second != 0)).all()


@pytest.mark.parametrize("wide", [planted, lambda: on_the_line(0.4), linear, cancelling, dependent])
def test_neurons_written_otherwise_leave_the_function(wide: Callable[[], Deep]) -> None:
    data = samples(planted())
    others = list(rewritten(wide()))
    assert others
    for net in others:
        torch.testing.assert_close(data.output(net, slice(None)), data.output(wide(), slice(None)))


def test_weights_that_are_needed_stay_however_small() -> None:
    """A weight of 1e-5 is far above what rounding explains; a network with every weight needed keeps its support."""
    net = planted()
    net.second[1, 0] = -1e-5
    data = samples(net)
    found = Sparsest(data, LIMITS)(net).scaled()
    assert ((found.second != 0) == (net.second != 0)).all()
    assert ((found.first != 0) == (net.first != 0)).all()


@pytest.mark.parametrize("seed", range(3))
def test_exact_models_never_get_worse(seed: int) -> None:
    data = Planted(n=3000, d=12).build(Axes(5, 16, 2), Streams(seed))
    assert data.truth is not None
    model = SparseMLP(data.truth, torch.ones(5))
    exact = 1e-11 * float(data.y.square().mean())
    assert training_loss(model, data) < exact
    found = TwoLayerProblem.of(data).sparsest(model, Limits(5, 16))
    assert training_loss(found, data) < exact
    assert found.nnz <= model.nnz
    assert max(len(layer.live_rows()) for layer in found.layers) <= 5
    scores = planted_scores(found, data)
    assert scores["merged_f1"] == 1.0
    assert scores["weight_error"] < 1e-6


def test_weights_that_cancel_go_and_a_tiny_one_that_is_needed_stays() -> None:
    net, wide = planted(), cancelling()
    for one in (net, wide):
        one.first[one.first[:, 4] == 1.0, 5] = 1e-6
    found = Sparsest(samples(net), LIMITS)(wide)
    assert found.nnz == net.nnz
    assert float(found.scaled().first[:, 5].max()) == pytest.approx(1e-6, rel=0.01)


def test_a_weight_that_few_samples_tell_from_a_direct_one_is_found() -> None:
    """``relu(h0 - .001 h3)`` is closed where h0 matters on a few samples of 20000; half of h0 is direct at first."""
    net = planted()
    net.second[0], net.direct[0] = torch.tensor([1.0, 0.0, 0.0, -0.001]), 1.0
    data = samples(net, 20_000)
    second, direct = net.second.clone(), net.direct.clone()
    second[0, 0], direct[0] = 1.5, 0.5
    wide = Deep(net.first, second, direct)
    assert data.loss(wide) > 100.0 * data.loss(net)
    found = Sparsest(data, LIMITS)(wide).scaled()
    assert data.loss(found) < 1.01 * data.loss(net)
    assert float(found.second[0, found.first[:, 0] == 1.0]) == pytest.approx(1.0, abs=1e-3)


def test_a_network_that_is_nearly_exact_gets_the_weights_that_it_lacks() -> None:
    """Two weights are missing, one of them on an input that the network does not use."""
    net = planted()
    net.first[0, 6], net.second[1, 0] = 0.01, 0.01
    data = samples(net)
    poor = Deep(net.first.clone(), net.second.clone(), net.direct)
    poor.first[0, 6] = poor.second[1, 0] = 0.0
    found = Sparsest(data, LIMITS).completed(poor.tidied())
    assert [found.nnz, *found.neurons] == [net.nnz, *net.neurons]
    assert data.loss(found) < 1.01 * data.loss(net)


def test_the_answer_of_the_method_has_no_superfluous_weight() -> None:
    """IHT finds the sum of two neurons on a budget of 20 with many copies; two neurons and a sum are left."""
    x = Streams(0).planted_inputs(4000, D)
    y = x[:, :1].relu() + 0.5 * x[:, 2:3].relu()
    first, second = torch.zeros(10, D), torch.zeros(10, 10)
    first[0, 0], first[1, 2], second[0, 0], second[0, 1] = 1.0, 1.0, 1.0, 0.5
    truth = SparseMatrix.from_dense(first), SparseMatrix.from_dense(second)
    data = Problem(x, y, x, y, "psnr", peak=float(y.max()), truth=truth)
    found = IHTRealloc().fit(data, Shape(10, 2), 20, Streams(0)).model
    assert found.nnz == 4
    assert planted_scores(found, data)["merged_f1"] == 1.0
