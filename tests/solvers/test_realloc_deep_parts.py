"""The parts of the search for two hidden layers: derivatives, prices, merging, signs, and what is found."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from mlpiht_cli.core.task import Axes
from mlpiht_cli.rng import Streams
from mlpiht_cli.solvers.realloc.limits import Limits
from mlpiht_cli.solvers.realloc_deep.decode import turned
from mlpiht_cli.solvers.realloc_deep.grow import grown, split
from mlpiht_cli.solvers.realloc_deep.network import Deep, DeepSamples
from mlpiht_cli.solvers.realloc_deep.newton import Fitted, Marquardt, Places, curvature
from mlpiht_cli.solvers.realloc_deep.problem import TwoLayerProblem
from mlpiht_cli.solvers.realloc_deep.prune import DeepElimination, curvatures, merged, without_unimportant
from mlpiht_cli.solvers.realloc_deep.search import DeepSearch, within
from mlpiht_cli.solvers.realloc_deep.starts import relevant_inputs
from mlpiht_cli.tasks.planted import Planted

EVERY = slice(None)


def draws(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def network(h: int = 4, q: int = 3, d: int = 6, seed: int = 0) -> Deep:
    """A network whose second-layer neurons have weights of both signs."""
    g = draws(seed)
    first, second, direct = (torch.randn(*shape, generator=g, dtype=torch.float64) for shape in ((h, d), (q, h), (h,)))
    second[:, 0], second[:, 1] = second[:, 0].abs() + 0.1, -second[:, 1].abs() - 0.1
    first[:, ::3] = 0.0
    return Deep(first, second, direct)


def output(net: Deep, x: torch.Tensor) -> torch.Tensor:
    """The formula, for inputs ``[d, n]``."""
    hidden = (net.first @ x).relu()
    return (net.second @ hidden).relu().sum(0) + net.direct @ hidden


def samples(d: int = 6, n: int = 500, net: Deep | None = None) -> DeepSamples:
    x = torch.randn(d, n, generator=draws(7), dtype=torch.float64)
    return DeepSamples(x, torch.zeros(n, dtype=torch.float64) if net is None else output(net, x))


def test_outputs_and_losses_are_those_of_the_formula() -> None:
    data, net = samples(), network()
    torch.testing.assert_close(data.output(net, EVERY), output(net, data.features))
    torch.testing.assert_close(data.layers(net, EVERY).output, output(net, data.features))
    assert data.loss(net) == pytest.approx(float(output(net, data.features).square().mean()))


def test_derivatives_are_those_of_autograd() -> None:
    data, net = samples(n=60), network().scaled()
    parts = [part.clone().requires_grad_() for part in (net.first, net.second, net.direct)]
    outputs = output(Deep(*parts), data.features)
    places = Places.of(net)
    rows = []
    for value in outputs:
        first, second, direct = torch.autograd.grad(value, parts, retain_graph=True)
        rows.append(places.taken(first, second, direct))
    wanted = torch.stack(rows, 1)
    torch.testing.assert_close(places.columns(data, net, EVERY), wanted)
    torch.testing.assert_close(curvature(data, net, places, data.n), wanted @ wanted.T)
    slopes, size = data.slopes(net), curvatures(data, net)
    torch.testing.assert_close(places.taken(slopes.first, slopes.second, slopes.direct), -wanted @ outputs.detach())
    torch.testing.assert_close(places.taken(size.first, size.second, size.direct), wanted.square().sum(1))
    assert places.count == net.nnz - len(net.first), "the largest weight of each first-layer neuron is not free"


def test_the_same_function_comes_of_scaling_tidying_joining_and_merging() -> None:
    data, net = samples(), network()
    wanted = output(net, data.features)
    torch.testing.assert_close(output(net.scaled(), data.features), wanted)
    assert float(net.scaled().first.abs().amax(1).min()) == pytest.approx(1.0)
    torch.testing.assert_close(
        output(net.joined(network(seed=1)), data.features), wanted + output(network(seed=1), data.features)
    )
    # A sum, a negative neuron, which is 0, and a first-layer neuron that nothing uses.
    rows = torch.tensor([[0.5, 1.0, 0.0, 2.0], [-1.0, 0.0, -0.3, 0.0]], dtype=torch.float64)
    more = Deep(net.first, torch.cat([net.second, rows]), net.direct)
    dead = more.joined(Deep(torch.ones(1, 6, dtype=torch.float64), torch.zeros(0, 1), torch.zeros(1))).tidied()
    assert (len(dead.first), len(dead.second)) == (4, 3)
    torch.testing.assert_close(output(dead, data.features), output(more, data.features))


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_parallel_neurons_merge_without_a_change_of_the_function(sign: float) -> None:
    data, net = samples(), network()
    first = torch.cat([net.first, 2.0 * net.first[:1]])
    second = torch.cat([net.second, sign * 3.0 * net.second[1:2]])
    second = torch.cat([second, torch.tensor([[0.3], [0.0], [-0.2], [0.0]], dtype=torch.float64)], 1)
    wide = Deep(first, second, torch.cat([net.direct, net.direct[:1]]))
    found = merged(wide, 0.999)
    assert (len(found.first), len(found.second)) == (4, 3)
    torch.testing.assert_close(output(found, data.features), output(wide, data.features))


def test_the_price_of_a_weight_is_the_rise_of_the_error_when_the_others_are_refitted() -> None:
    """At fixed gates the error is quadratic: solve the least-squares problem without each weight, take the cheapest."""
    net = network().scaled()
    data = samples(net=net)
    noisy = DeepSamples(data.features, data.y + 0.3 * torch.randn(data.n, generator=draws(3), dtype=torch.float64))
    at = Marquardt(30, gain=0.0, sampled=False)(noisy, net)
    places = at.places
    columns = places.columns(noisy, at.net, EVERY).T
    values = places.taken(at.net.first, at.net.second, at.net.direct)
    rises = []
    for i in range(places.count):
        rest = [j for j in range(places.count) if j != i]
        gone = columns[:, [i]] @ values[[i]]
        refit = torch.linalg.lstsq(columns[:, rest], gone[:, None]).solution[:, 0]
        rises.append(float((gone - columns[:, rest] @ refit).square().sum()))
    exact = Fitted(at.net, at.loss, places, columns.T @ columns)
    cheapest, dearer = sorted(rises)[:2]
    z = math.sqrt((cheapest + dearer) / 2.0 / at.loss)
    found = DeepElimination(z, 10**6)(exact)
    removed = places.taken(found.first, found.second, found.direct) == 0.0
    assert removed.nonzero().flatten().tolist()[0] == int(np.argmin(rises))
    assert DeepElimination(0.9 * math.sqrt(cheapest / at.loss), 10**6)(exact).nnz == net.nnz
    few = DeepElimination(0.0, net.nnz - 5)(exact)
    assert few.nnz <= net.nnz - 5


def test_marquardt_finds_the_planted_weights_from_nearby_and_never_raises_the_loss() -> None:
    net = network().scaled()
    data = samples(n=4000, net=net)
    parts = (net.first, net.second, net.direct)
    near = Deep(*(a * (1.0 + 0.05 * torch.randn(a.shape, generator=draws(5), dtype=torch.float64)) for a in parts))
    found = Marquardt(30, gain=0.0)(data, near)
    assert found.loss < 1e-20
    torch.testing.assert_close(found.net.first, net.first, atol=1e-6, rtol=1e-6)
    assert Marquardt(1)(data, near).loss <= data.loss(near)


def test_signs_are_decoded_to_the_sparse_direct_part() -> None:
    net = network(h=8, q=6, seed=4)
    net = Deep(net.first, net.second, torch.zeros(8, dtype=torch.float64).index_fill(0, torch.tensor([2]), 0.7))
    data = samples(net=net)
    flip = torch.tensor([1, 0, 1, 1, 0, 1], dtype=torch.bool)
    other = Deep(net.first, torch.where(flip[:, None], -net.second, net.second), net.direct + net.second[flip].sum(0))
    torch.testing.assert_close(output(other, data.features), data.y)
    found = turned(other, 1e-6)
    torch.testing.assert_close(output(found, data.features), data.y)
    assert found.nnz == net.nnz
    torch.testing.assert_close(found.direct, net.direct)


def test_inputs_that_tell_are_found_and_missing_weights_come_back() -> None:
    net = network(d=9).scaled()
    data = samples(9, 20_000, net)
    assert relevant_inputs(data, data.y).tolist() == (net.first != 0).any(0).tolist()
    first, second = net.first.clone(), net.second.clone()
    first[1, 4] = second[0, 2] = 0.0
    poor = Deep(first, second, net.direct)
    more = grown(data, poor, 12)
    assert float(more.first[1, 4]) != 0.0 or float(more.second[0, 2]) != 0.0
    found = Marquardt(30, gain=0.0)(data, grown(data, poor, 40))
    assert found.loss < 0.01 * data.loss(poor)


def test_a_second_layer_neuron_that_is_nearly_a_sum_is_split_off_the_direct_part() -> None:
    """``relu(2 h_0 + h_2 - .05 h_3)`` looks like its direct weights; the split finds one of them, and h_3."""
    net = network(h=5, seed=2).scaled()
    row = torch.tensor([[2.0, 0.0, 1.0, -0.05, 0.0]], dtype=torch.float64)
    data = samples(n=20_000, net=Deep(net.first, torch.cat([net.second, row]), net.direct))
    poor = Marquardt(30, gain=0.0)(data, Deep(net.first, net.second, net.direct + row[0])).net
    wide = split(data, poor, 1)
    (new,) = wide.second[len(net.second) :]
    assert (new < 0).tolist() == (row[0] < 0).tolist()
    assert (new > 0).any()
    assert not (new > 0)[row[0] <= 0].any()
    torch.testing.assert_close(output(wide, data.features), output(poor, data.features), rtol=0.02, atol=0.02)
    assert Marquardt(30, gain=0.0)(data, grown(data, wide, 20)).loss < 1e-3 * data.loss(poor)


def test_a_start_loses_its_unimportant_weights() -> None:
    net = network().scaled()
    data = samples(net=net)
    dense = Deep(torch.where(net.first == 0, 1e-4, net.first), net.second, net.direct)
    kept = without_unimportant(data, dense, 3.0 * data.loss(dense), 10**6)
    assert data.loss(kept) <= 3.0 * data.loss(dense)
    assert without_unimportant(data, dense, 0.0, 10).nnz <= 10


@pytest.mark.parametrize("limits", [Limits(3, 12), Limits(2, 8), Limits(20, 200), Limits(1, 4)])
def test_networks_are_cut_to_the_limits(limits: Limits) -> None:
    net = network(h=7, q=5)
    found = within(net, limits)
    assert found.nnz <= limits.s
    assert max(found.neurons) <= limits.m
    assert bool((found.direct >= 0.0).all())
    if limits.m == 20:
        positive = Deep(net.first, net.second, net.direct.clamp(min=0.0))
        torch.testing.assert_close(output(found, samples().features), output(positive, samples().features))


def test_the_model_is_the_network_of_the_scaled_problem_and_counts_the_same_weights() -> None:
    problem = Planted(n=300, d=6).build(Axes(5, 16, 2), Streams(1))
    two = TwoLayerProblem.of(problem)
    net = network()
    net = Deep(net.first, net.second, net.direct.abs())
    model = two.model(net, 5)
    assert model.nnz == net.nnz
    wanted = two.unit * two.samples.output(net, EVERY)
    torch.testing.assert_close(model.forward(problem.x)[:, 0], wanted, rtol=1e-4, atol=1e-4)


def searched(seed: int, n: int, s: int) -> tuple[DeepSearch, DeepSamples, Deep]:
    """Two deep neurons and one sum, on five of twelve inputs."""
    first = torch.zeros(4, 12, dtype=torch.float64)
    first[0, [1, 4]], first[1, 2] = torch.tensor([1.0, -0.6]).double(), -1.0
    first[2, [5, 9]], first[3, 4] = torch.tensor([0.8, 1.0]).double(), 1.0
    second = torch.tensor([[1.0, -0.8, 0.0, 0.0], [0.0, 0.7, -1.0, 0.6]], dtype=torch.float64)
    net = Deep(first, second, torch.tensor([0.0, 0.0, 0.0, 0.5], dtype=torch.float64))
    data = samples(12, n, net)
    data = DeepSamples(data.features.float(), data.y.float())
    return DeepSearch(data, Limits(6, s), Streams(seed).moves()), data, net


def test_a_planted_network_of_two_layers_is_recovered() -> None:
    search, data, net = searched(0, 10_000, 20)
    losses = list(search.rounds(1))
    assert losses
    assert search.is_exact
    assert search.best is not None
    found, loss = search.best
    assert loss < 1e-11 * float(data.y.square().mean())
    assert found.nnz == net.nnz
    close = torch.cdist(net.first, found.scaled().first).amin(1)
    assert float(close.max()) < 1e-4


def test_equal_draws_give_equal_searches_and_a_small_budget_is_kept() -> None:
    one, two = (searched(1, 2000, 7)[0] for _ in range(2))
    assert list(one.rounds(1)) == list(two.rounds(1))
    assert one.best is not None
    assert two.best is not None
    assert torch.equal(one.best[0].first, two.best[0].first)
    assert one.best[0].nnz <= 7
    assert one.moves == two.moves


def test_noise_ends_the_search_once_two_starts_leave_it() -> None:
    _, data, _ = searched(0, 4000, 20)
    noise = 0.1 * torch.randn(data.n, generator=draws(9))
    search = DeepSearch(DeepSamples(data.features, data.y + noise), Limits(6, 20), Streams(0).moves())
    losses = list(search.rounds(2))
    assert search.best is not None
    assert search.best[1] < 1.02 * float(noise.square().mean())
    assert search.best[0].nnz <= 20
    assert sum(name == "proposed" for _, name, _ in search.moves) < 8, "two attempts have four starts each"
    assert not search.is_exact
    assert losses
