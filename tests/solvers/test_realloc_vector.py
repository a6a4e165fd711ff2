"""The parts of the search with several outputs, each on hand-made cases."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from mlpiht_cli.solvers.realloc.limits import Limits
from mlpiht_cli.solvers.realloc.prune import Stop
from mlpiht_cli.solvers.realloc_vector.decode import merged, signed, unpaired
from mlpiht_cli.solvers.realloc_vector.finish import Finish
from mlpiht_cli.solvers.realloc_vector.grow import (
    Amplitudes,
    candidates,
    largest,
    linear_fit,
    with_inputs,
    with_outputs,
)
from mlpiht_cli.solvers.realloc_vector.network import Neurons, VectorSamples
from mlpiht_cli.solvers.realloc_vector.newton import Joint, JointNewton, VectorFitted, factored, joint
from mlpiht_cli.solvers.realloc_vector.propose import directions, second_moments
from mlpiht_cli.solvers.realloc_vector.prune import JointElimination
from mlpiht_cli.solvers.realloc_vector.search import VectorSearch
from tests.solvers.test_realloc import matrix

N, D, K = 8000, 8, 3
U = matrix({0: 1.0, 1: -2.0}, {1: 1.0, 2: 0.5, 3: 1.0}, {4: -1.5})
A = matrix({0: 1.0, 2: -1.0}, {0: -2.0, 1: 0.5}, {2: 1.0}, d=K)
PLANTED = Neurons.of(U, A)
ALL = torch.ones(K, dtype=torch.float64)


def inputs(n: int = N, seed: int = 0, d: int = D) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal((d, n)))


def outputs(network: Neurons, x: torch.Tensor) -> torch.Tensor:
    """The formula, written out sample by sample over all neurons."""
    out = torch.einsum("jq,jn->qn", network.output, torch.relu(network.hidden @ x))
    return out if network.skip is None else out + torch.einsum("dq,dn->qn", network.skip, x)


def samples(network: Neurons, n: int = N, seed: int = 0) -> VectorSamples:
    x = inputs(n, seed)
    return VectorSamples(x, outputs(network, x))


def dense(seed: int, skip: bool) -> Neurons:
    draws = np.random.default_rng(seed)
    u = draws.standard_normal((4, D)) * (draws.random((4, D)) < 0.5)
    a = draws.standard_normal((4, K)) * (draws.random((4, K)) < 0.7)
    u[:, 0], a[:, 0] = 0.3, 1.0
    c = torch.from_numpy(draws.standard_normal((D, K))) if skip else None
    return Neurons.of(torch.from_numpy(u), torch.from_numpy(a), c)


def test_residual_and_losses_are_the_formula_written_out() -> None:
    data, other = samples(PLANTED), dense(0, True)
    expected = data.y - outputs(other, data.features)
    torch.testing.assert_close(data.residual(other), expected)
    torch.testing.assert_close(data.losses(other), expected.square().mean(1))


def test_scaling_a_row_keeps_the_function_and_fixes_its_largest_entry() -> None:
    at = dense(1, False)
    scaled, x = at.scaled(), inputs(50)
    torch.testing.assert_close(outputs(scaled, x), outputs(at, x))
    assert torch.equal(scaled.hidden[scaled.pivots()].abs(), torch.ones(at.count).double())


@pytest.mark.parametrize("skip", [True, False])
def test_the_quadratic_is_that_of_the_derivatives(skip: bool) -> None:
    """Against derivatives by automatic differentiation, with the linear part taken out by block elimination."""
    data, weight = samples(PLANTED, n=400), torch.tensor([1.0, 2.0, 0.5]).double()
    found = joint(data, dense(2, skip), data.n, weight)
    at, inner = found.at, int(found.inner.sum())
    last = inner + int(at.used.sum())

    def predicted(values: torch.Tensor) -> torch.Tensor:
        hidden = at.hidden.masked_scatter(found.inner, values[:inner])
        output = at.output.masked_scatter(at.used, values[inner:last])
        linear = values[last:].reshape(D, K) if skip else None
        out: torch.Tensor = outputs(Neurons(hidden, at.support, output, at.used, linear), data.features)
        return (out * weight.sqrt()[:, None]).flatten()

    flat = [found.values(at), *([at.skip.flatten()] if at.skip is not None else [])]
    columns = torch.autograd.functional.jacobian(predicted, torch.cat(flat))
    hessian = columns.T @ columns
    gradient = columns.T @ (data.residual(at) * weight.sqrt()[:, None]).flatten()
    here, rest = slice(0, last), slice(last, None)
    solved = torch.linalg.solve(hessian[rest, rest], hessian[rest, here])
    torch.testing.assert_close(found.hessian, hessian[here, here] - hessian[here, rest] @ solved, atol=1e-4, rtol=1e-6)
    torch.testing.assert_close(found.gradient, gradient[here] - solved.T @ gradient[rest], atol=1e-4, rtol=1e-6)
    # A step in the parameters takes the linear part along, as the step of everything together does.
    step = torch.linalg.solve(hessian, gradient)
    moved = found.with_values(found.values(at) + step[here])
    if skip:
        assert moved.skip is not None
        assert at.skip is not None
        torch.testing.assert_close(moved.skip - at.skip, step[rest].reshape(D, K), atol=1e-6, rtol=1e-6)


def test_gauss_newton_is_exact_on_the_right_support_and_never_rises() -> None:
    data = samples(PLANTED)
    start = Neurons(U + 0.1 * (U != 0), U != 0, A - 0.1 * (A != 0), A != 0)
    losses = [JointNewton(k, gain=0.0)(data, start).losses for k in range(1, 9)]
    assert float(losses[-1].max()) < 1e-24
    weighted = [float((one / data.losses(start)).sum()) for one in losses]
    assert all(b <= a + 1e-25 for a, b in itertools.pairwise([float(K), *weighted]))


def test_an_output_that_is_exact_does_not_hide_another() -> None:
    """Errors count relative to each output's own: both get to zero although one is 1e10 times the other."""
    tiny = Neurons.of(U, A * torch.tensor([1.0, 1e-5, 1.0]).double())
    data = samples(tiny)
    found = JointNewton(12, gain=0.0)(data, Neurons(U + 0.1 * (U != 0), U != 0, tiny.output * 1.1, A != 0))
    assert float((found.losses / data.y.square().mean(1)).max()) < 1e-18


def test_a_matrix_without_full_rank_gets_a_factor() -> None:
    factor = factored(torch.ones(3, 3, dtype=torch.float64))
    torch.testing.assert_close(factor @ factor.T, torch.ones(3, 3).double(), atol=1e-6, rtol=0)
    assert bool(torch.isfinite(factored(torch.zeros(2, 2, dtype=torch.float64))).all())


def test_elimination_removes_what_costs_least() -> None:
    """The constrained least squares of every single entry, solved one after the other, gives the same choice."""
    draws = np.random.default_rng(3)
    columns = torch.from_numpy(draws.standard_normal((50, 6)))
    hessian, values = columns.T @ columns, torch.from_numpy(draws.standard_normal(6))
    target, rises = columns @ values, []
    for i in range(6):
        rest = [j for j in range(6) if j != i]
        left = torch.linalg.lstsq(columns[:, rest], target[:, None]).solution[:, 0]
        rises.append(float((target - columns[:, rest] @ left).square().sum()))
    least = int(np.argmin(rises))
    moved, alive = Stop(0.99 * rises[least], 5, 6).eliminated(hessian, values)
    assert [i for i in range(6) if not alive[i]] == [least]
    rest = [j for j in range(6) if j != least]
    expected = torch.linalg.lstsq(columns[:, rest], target[:, None]).solution[:, 0]
    torch.testing.assert_close(moved[rest], expected, atol=1e-4, rtol=0)
    assert bool(Stop(0.99 * rises[least], 6, 6).eliminated(hessian, values)[1].all())


def wide(at: Neurons, extra: float = 1e-3) -> Neurons:
    """The network with small entries on all of its places."""
    hidden, output = at.hidden + extra * (at.hidden == 0), at.output + extra * (at.output == 0)
    return Neurons.of(hidden, output, torch.zeros(D, K).double())


def test_entries_that_are_noise_go_and_the_planted_ones_stay() -> None:
    data = samples(PLANTED)
    noise = 0.05 * torch.from_numpy(np.random.default_rng(1).standard_normal(data.y.shape))
    noisy = VectorSamples(data.features, data.y + noise)
    found = JointElimination(5.0, 1000)(JointNewton(6)(noisy, wide(PLANTED)))
    assert torch.equal(found.support, U != 0)
    assert torch.equal(found.used, A != 0)


@pytest.mark.parametrize("budget", [3, 5, 8, 11])
def test_elimination_leaves_at_most_the_budget(budget: int) -> None:
    data = samples(PLANTED)
    found = JointElimination(0.0, budget)(JointNewton(2)(data, wide(PLANTED)))
    assert found.nnz <= budget
    assert bool((found.support.any(1) & found.used.any(1)).all())


def test_moments_are_sums_over_the_neurons() -> None:
    x = inputs(200_000)
    unit, a = torch.nn.functional.normalize(U), A * U.norm(dim=1, keepdim=True)
    y = outputs(PLANTED, x)
    scale = (y - y.mean(1, keepdim=True)).square().mean(1).sqrt()
    found = second_moments(x, y)
    expected = torch.einsum("jq,ja,jb->qab", a, unit, unit) / scale[:, None, None]
    noise = (2 * torch.pi / x.shape[1]) ** 0.5
    error = torch.where(found != 0, found - expected, torch.where(expected.abs() < 8 * noise, 0.0, expected)).abs()
    assert float(error.max()) < 6 * 2**0.5 * noise
    assert float(expected.abs().max()) > 20 * noise, "the case can tell"
    assert int((found != 0).sum()) <= int((expected.abs() > 1e-9).sum()) + 1, "noise is set to zero"


def test_proposals_are_the_planted_directions() -> None:
    """Two neurons share an input, and with one output the moments could not tell them apart."""
    data = samples(PLANTED, n=40_000)
    even = data.y - 0.5 * A.T @ U @ data.features  # without the linear part
    found = directions(second_moments(data.features, even))
    close = (torch.nn.functional.normalize(U[:2]) @ found.T).abs().amax(1)
    assert float(close.min()) > 0.97
    torch.testing.assert_close(found.norm(dim=1), torch.ones(len(found)).double())
    assert not len(directions(second_moments(data.features, data.y[:0])))


def test_a_pair_shows_its_neuron_in_its_own_mix() -> None:
    """Exact moments of two neurons with inputs in common: the rows of the mix are each neuron alone."""
    u = torch.nn.functional.normalize(matrix({0: 1.0, 1: 1.0, 2: 1.0}, {1: 1.0, 3: -1.0}))
    moments = torch.einsum("jq,ja,jb->qab", torch.eye(2).double(), u, u)
    close = (u @ directions(moments).T).abs().amax(1)
    assert float(close.min()) > 1 - 1e-9


def test_the_linear_fit_is_half_the_sum_of_the_neurons() -> None:
    torch.testing.assert_close(linear_fit(samples(PLANTED, n=100_000)), 0.5 * U.T @ A, atol=0.05, rtol=0)


def test_output_weights_of_known_directions_are_found_without_others() -> None:
    noise = 0.01 * torch.from_numpy(np.random.default_rng(1).standard_normal((K, N)))
    data = VectorSamples(inputs(), outputs(PLANTED, inputs()) + noise)
    empty = Neurons.of(torch.zeros(0, D).double(), torch.zeros(0, K).double(), torch.zeros(D, K).double())
    wider = candidates(empty, torch.nn.functional.normalize(U))
    assert wider.count == D + 2, "a one-sparse direction is there already"
    found = Amplitudes(5.0, 1e-12)(data, data.y, wider)
    assert found.count == 3
    assert int(found.used.sum()) == int((A != 0).sum())
    assert float(data.losses(found).max()) < 1.05 * 1e-4
    again = candidates(found, torch.nn.functional.normalize(U))
    assert again.count == 3 + D - 1, "directions of the network are not added again"


def test_with_few_samples_most_new_neurons_are_left_out_but_no_known_one() -> None:
    data = samples(PLANTED, n=20)
    known = Neurons.of(U, A, torch.zeros(D, K).double())
    wider = candidates(known, torch.zeros(0, D).double())
    left = Amplitudes(3.5, 1e-12)._screened(data, data.y, wider)
    assert left.count == (20 - D) // 2 < wider.count
    assert torch.equal(left.hidden[:3], wider.hidden[:3])


def test_a_missing_input_stands_out() -> None:
    support = U != 0
    support[1, 2] = False
    hidden = torch.where(support, U, 0.0)
    at = Neurons(hidden, support, A, A != 0, torch.zeros(D, K).double())
    data = samples(PLANTED)
    at = JointNewton(5)(data, at).blocks
    found = with_inputs(data, at, data.losses(at), 1)
    assert (found.support & ~at.support).nonzero().tolist() == [[1, 2]]


def test_a_missing_output_stands_out() -> None:
    used = A != 0
    used[1, 1] = False
    at = Neurons(U, U != 0, torch.where(used, A, 0.0), used)
    data = samples(PLANTED)
    at = JointNewton(5)(data, at).blocks
    found = with_outputs(data, at, data.losses(at), 1)
    assert (found.used & ~at.used).nonzero().tolist() == [[1, 1]]
    assert with_outputs(data, at, data.losses(at), 0) is at


def test_a_finished_network_loses_rounding_errors_and_gains_what_is_too_small_to_see() -> None:
    """The planted network has a weight of 2e-6; the fitted one has another instead, and a neuron twice."""
    hidden = torch.cat([U, U[:1]])
    hidden[0, 4] = hidden[3, 4] = 2e-6
    true = Neurons.of(hidden[:3], A)
    wrong = hidden.clone()
    wrong[0, 4], wrong[3, 4], wrong[1, 6] = 0.0, 0.0, 1e-6
    start = Neurons.of(wrong, torch.cat([A, 1e-3 * A[:1]]))
    found = Finish(samples(true))(start, true.nnz + 8).blocks
    assert torch.equal(found.support, true.support)
    assert torch.equal(found.used, true.used)
    assert Finish(samples(true))(start, start.nnz).blocks.nnz <= start.nnz, "no growth without room"


def test_the_largest_neurons_stay_within_a_number_of_weights() -> None:
    found = largest(PLANTED, 9)
    assert found.nnz <= 9
    assert torch.equal(found.hidden, U[:2]), "the third is the smallest"


def free(turn: list[bool], linear: torch.Tensor | None = None) -> Neurons:
    """The planted network with some neurons turned, and the linear part that pays for it."""
    sign = torch.where(torch.tensor(turn), -1.0, 1.0).double()
    skip = (U * (sign < 0)[:, None]).T @ A
    return Neurons.of(U * sign[:, None], A, skip if linear is None else skip + linear)


@pytest.mark.parametrize("turn", list(itertools.product([False, True], repeat=3)))
def test_signs_and_pairs_are_decoded(turn: tuple[bool, ...]) -> None:
    x = inputs(60)
    at = free(list(turn))
    torch.testing.assert_close(outputs(at, x), outputs(PLANTED, x))
    found = unpaired(signed(at), 1e-9)
    assert found.skip is None
    torch.testing.assert_close(outputs(found, x), outputs(PLANTED, x))
    assert found.nnz == PLANTED.nnz


def test_a_linear_part_becomes_pairs_of_one_sparse_neurons() -> None:
    linear = matrix({1: 0.7}, *[{}] * (D - 1), d=K)
    at, x = free([True, False, True], linear), inputs(60)
    found = unpaired(signed(at), 1e-9)
    torch.testing.assert_close(outputs(found, x), outputs(at, x))
    assert found.nnz == PLANTED.nnz + 4, "relu(x_0) and relu(-x_0), one output each"


def test_merging_parallel_and_opposite_neurons_keeps_the_function() -> None:
    x = inputs(60)
    at = Neurons.of(torch.cat([U, 2 * U[:1], -U[1:2]]), torch.cat([A, A[1:2], A[:1]]), torch.zeros(D, K).double())
    found = merged(at, 0.99)
    assert found.count == 3
    torch.testing.assert_close(outputs(found, x), outputs(at, x))
    assert merged(Neurons.of(at.hidden, at.output), 0.99).count == 4, "without a linear part neurons do not turn"


def searching(data: VectorSamples, limits: Limits) -> VectorSearch:
    none = torch.zeros(0, len(data.features), dtype=torch.float64)
    start = Neurons.of(none, none.new_zeros(0, len(data.y)))
    loss = float(data.y.square().mean())
    return VectorSearch(data, limits, torch.full((len(data.y),), 1 / len(data.y)).double(), (start, loss))


@pytest.mark.parametrize("limits", [Limits(1, 4), Limits(2, 100), Limits(3, 5), Limits(10, 7)])
def test_a_network_above_the_limits_is_never_the_answer(limits: Limits) -> None:
    search = searching(samples(PLANTED), limits)
    before = search.best[1]
    for _ in range(2):
        search.round()
    search.tidy()
    found, loss = search.best
    assert found.nnz <= limits.s
    assert found.count <= limits.m
    assert 0.0 < loss < before, "something that fits, but not the planted network"
    search._offer(VectorFitted(PLANTED, torch.zeros(K).double(), _no_quadratic(PLANTED)))
    assert search.best[1] == loss, "a better network above the limits is refused"
    search._offer(VectorFitted(found, 2 * ALL * loss, _no_quadratic(found)))
    assert search.best[1] == loss, "a worse one within the limits is refused"


def _no_quadratic(at: Neurons) -> Joint:
    return joint(samples(at, n=20), at, 20, ALL)


def test_the_search_finds_the_planted_network() -> None:
    search = searching(samples(PLANTED), Limits(3, PLANTED.nnz))
    search.round()
    search.tidy()
    assert search.is_exact
    assert search.best[0].nnz == PLANTED.nnz
    found = search.best[0]
    for u, a in zip(U, A, strict=True):
        product = (found.hidden[:, :, None] * found.output[:, None, :] - u[:, None] * a).flatten(1).norm(dim=1)
        assert float(product.min()) < 1e-6


def test_a_start_that_is_exact_with_too_many_weights_gets_fewer() -> None:
    twice = Neurons.of(torch.cat([U, U]), torch.cat([0.5 * A, 0.5 * A]))
    data = samples(PLANTED)
    search = VectorSearch(data, Limits(6, 30), ALL / K, (twice, 1e-28))
    assert not search.is_exact, "a round comes first"
    search.round()
    search.tidy()
    assert search.is_exact
    assert search.best[0].nnz == PLANTED.nnz
