"""The parts of the search, each on hand-made cases."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mlpiht_cli.linalg.gated import BACKEND
from mlpiht_cli.solvers.realloc.blocks import Blocks, Samples, linear_fit
from mlpiht_cli.solvers.realloc.decode import merged, signed, unpaired
from mlpiht_cli.solvers.realloc.finish import Finish
from mlpiht_cli.solvers.realloc.limits import Limits
from mlpiht_cli.solvers.realloc.newton import Fitted, GaussNewton, quadratic
from mlpiht_cli.solvers.realloc.one_sparse import even_part, with_one_sparse
from mlpiht_cli.solvers.realloc.propose import MomentProposal, amplitudes, new_inputs, sparse_starts
from mlpiht_cli.solvers.realloc.prune import Elimination
from mlpiht_cli.solvers.realloc.search import Search

N, D = 6000, 8


def matrix(*rows: dict[int, float], d: int = D) -> torch.Tensor:
    """Rows given by their nonzeros."""
    out = torch.zeros(len(rows), d, dtype=torch.float64)
    for j, row in enumerate(rows):
        for a, value in row.items():
            out[j, a] = value
    return out


def blocks(w: torch.Tensor, skip: torch.Tensor | None = None, signs: list[float] | None = None) -> Blocks:
    return Blocks(w, w != 0, skip, None if signs is None else torch.tensor(signs, dtype=torch.float64))


def samples(network: Blocks, n: int = N, seed: int = 0) -> Samples:
    x = torch.from_numpy(np.random.default_rng(seed).standard_normal((network.weights.shape[1], n)))
    signs = torch.ones(len(network.weights)).double() if network.outputs is None else network.outputs
    y = (signs[:, None] * (network.weights @ x).clamp(min=0)).sum(0)
    return Samples(x, y if network.skip is None else y + network.skip @ x)


def outputs(network: Blocks, data: Samples) -> torch.Tensor:
    return data.y - data.residual(network)


SIGNS = [1.0, -1.0, -1.0]
PLANTED = blocks(matrix({0: 1.0, 1: -2.0}, {1: 1.0, 2: 0.5, 3: 1.0}, {4: -1.5}))
ZERO = torch.zeros(D, dtype=torch.float64)


@pytest.fixture
def data() -> Samples:
    return samples(PLANTED)


def test_residual_is_the_formula_written_out(data: Samples) -> None:
    skip = torch.linspace(-1, 1, D, dtype=torch.float64)
    other = blocks(matrix({0: 1.0}, {5: -1.0, 6: 2.0}), skip)
    predicted = torch.relu(data.features.T @ other.weights.T).sum(1) + data.features.T @ skip
    torch.testing.assert_close(data.residual(other), data.y - predicted)
    assert data.loss(other) == pytest.approx(float((data.y - predicted).square().mean()))


def test_the_linear_fit_is_half_the_sum_of_the_neurons(data: Samples) -> None:
    torch.testing.assert_close(linear_fit(data), 0.5 * PLANTED.weights.sum(0), atol=0.08, rtol=0)


@pytest.mark.parametrize("backend", ["compiled", "torch"])
@pytest.mark.parametrize("signs", [None, [1.0, -1.0]])
@pytest.mark.parametrize("with_skip", [False, True])
def test_the_quadratic_is_that_of_the_dense_columns(
    data: Samples, with_skip: bool, signs: list[float] | None, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(BACKEND, backend)
    network = blocks(matrix({0: 0.7, 1: -1.0}, {3: 1.0}), ZERO + 0.1 if with_skip else None, signs)
    row, col = network.support.nonzero(as_tuple=True)
    mask = (network.weights @ data.features > 0) * torch.tensor(signs or [1.0, 1.0]).double()[:, None]
    columns = data.features[col] * mask[row]
    columns = torch.cat([columns, data.features]) if with_skip else columns
    found, r = quadratic(data, network, data.n), data.residual(network)
    torch.testing.assert_close(found.hessian, columns @ columns.T)
    torch.testing.assert_close(found.gradient, columns @ r)
    torch.testing.assert_close(data.slopes(network, r), (mask * r) @ data.features.T)
    assert found.loss == pytest.approx(float(r.square().mean()))
    predicted = (network.weights @ data.features).clamp(min=0) * torch.tensor(signs or [1.0, 1.0]).double()[:, None]
    linear = data.features.T @ network.skip if network.skip is not None else 0.0
    torch.testing.assert_close(r, data.y - predicted.sum(0) - linear)


@pytest.mark.parametrize("curvature", [1, 5000, N])
def test_the_curvature_is_that_of_the_first_samples(data: Samples, curvature: int) -> None:
    """As many as asked for, rounded up to a whole run; it stands for all samples."""
    at = quadratic(data, PLANTED, curvature)
    row, col = PLANTED.support.nonzero(as_tuple=True)
    columns = data.features[col] * (PLANTED.weights @ data.features > 0)[row]
    used = next(count for count in (4096, N) if count >= curvature)
    part = columns[:, :used]
    torch.testing.assert_close(at.hessian, part @ part.T * (N / used))
    assert torch.equal(at.hessian, at.hessian.T)


def test_the_quadratic_of_many_columns_is_whole() -> None:
    draws = np.random.default_rng(0)
    network = blocks(torch.from_numpy(draws.standard_normal((15, 20))))
    data = samples(network, n=600)
    mask = (network.weights @ data.features > 0).double()
    columns = (mask[:, None] * data.features).reshape(300, -1)
    torch.testing.assert_close(quadratic(data, network, data.n).hessian, columns @ columns.T)


def test_gauss_newton_refuses_steps_that_raise_the_loss() -> None:
    """With few samples the gates of a full step are wrong ones."""
    data = samples(PLANTED, n=40)
    draws = np.random.default_rng(0)
    raised = 0
    for _ in range(20):
        start = blocks(torch.from_numpy(draws.standard_normal((3, D))))
        at = quadratic(data, start, data.n)
        full = start.moved(torch.linalg.solve(at.hessian + 1e-9 * torch.eye(24), at.gradient))
        raised += data.loss(full) > at.loss
        assert GaussNewton(1)(data, start).loss <= at.loss
    assert raised > 2, "the case can tell"


def test_gauss_newton_is_exact_on_the_right_support_and_never_rises(data: Samples) -> None:
    start = Blocks(PLANTED.weights + 0.2 * PLANTED.support, PLANTED.support)
    losses = [data.loss(start), *(GaussNewton(k, gain=0.0)(data, start).loss for k in range(1, 8))]
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < 1e-25
    # At the optimum of fixed gates nothing is left to gain.
    wrong = GaussNewton(50, gain=1e-9)(data, blocks(matrix({0: 1.0, 1: -1.0, 2: 1.0})))
    at = quadratic(data, wrong.blocks, data.n)
    assert float(at.gradient.norm()) < 1e-3 * float(at.hessian.diagonal().sum().sqrt())


def test_a_sampled_curvature_leads_to_the_same_network() -> None:
    data = samples(PLANTED, n=25_000)
    start = Blocks(PLANTED.weights + 0.2 * PLANTED.support, PLANTED.support)
    assert GaussNewton(30, gain=0.0, floor=1e-22)(data, start).loss < 1e-20


def test_elimination_pays_what_the_loss_rises_by(data: Samples) -> None:
    """The price of one weight is the rise of the least-squares loss without it, all others refitted."""
    noisy = Samples(data.features, data.y + 0.1 * torch.sin(37.0 * data.features[0]))
    network = Blocks(PLANTED.weights, PLANTED.support, ZERO)
    at = quadratic(noisy, network, noisy.n)
    solved = network.moved(torch.linalg.solve(at.hessian, at.gradient))
    left = Elimination(0.0, network.nnz - 1)(Fitted(solved, at.loss, at))
    values = torch.cat([solved.weights[network.support], solved.skip])
    rises = []
    for i in range(network.nnz):
        rest = [j for j in range(len(values)) if j != i]
        cross = at.hessian[rest][:, [i]] * values[i]
        follow = torch.linalg.solve(at.hessian[rest][:, rest], cross)
        rises.append(float(values[i] ** 2 * at.hessian[i, i] - cross.T @ follow))
    gone = (network.support & ~_padded(left, network)).nonzero()
    assert len(gone) == 1
    flat = network.support.nonzero().tolist().index(gone[0].tolist())
    assert flat == int(np.argmin(rises))


def _padded(pruned: Blocks, before: Blocks) -> torch.Tensor:
    """Support of the pruned network in the rows of the one before; rows are matched by their overlap."""
    out = torch.zeros_like(before.support)
    for row in pruned.support:
        out[int((before.support & row).sum(1).argmax())] |= row
    return out


def test_elimination_keeps_one_of_two_equal_blocks(data: Samples) -> None:
    """Both look needless while the other is there: dropping both at once would lose the neuron."""
    half = torch.cat([PLANTED.weights[:1] / 2, PLANTED.weights[:1] / 2, PLANTED.weights[1:]])
    found = GaussNewton(2)(data, Blocks(half, half != 0, ZERO))
    spread = Fitted(found.blocks, 1e-3, quadratic(data, found.blocks, data.n))
    left = Elimination(3.0, 100)(spread)
    assert left.nnz == PLANTED.nnz
    torch.testing.assert_close(outputs(left, data), data.y, atol=1e-4, rtol=0)  # the ridge is 1e-6


def test_elimination_drops_what_is_needless_and_only_that(data: Samples) -> None:
    more = Blocks(PLANTED.weights, torch.ones_like(PLANTED.support), ZERO)
    fitted = Fitted(more, 1e-8, quadratic(data, more, data.n))
    assert torch.equal(Elimination(3.5, 100)(fitted).support, PLANTED.support)


def test_signs_are_decoded_from_the_skip_connection(data: Samples) -> None:
    turned = PLANTED.weights * torch.tensor([-1.0, 1.0, -1.0]).double()[:, None]
    skip = (PLANTED.weights - turned).sum(0) / 2
    hidden = blocks(turned, skip)
    torch.testing.assert_close(outputs(hidden, data), data.y)
    found = signed(hidden)
    torch.testing.assert_close(found.weights, PLANTED.weights)
    assert float(found.skip.abs().max()) < 1e-12


def test_signs_are_decoded_where_one_sparse_neurons_hide_mistakes() -> None:
    """A neuron of two weights, each on the input of a one-sparse one: only all three together are right."""
    planted = blocks(matrix({0: 2.6, 1: 1.2}, {0: -1.4}, {1: -0.8}, {2: 1.0, 3: -1.0}, {3: 0.9, 4: 0.3}))
    data = samples(planted)
    turned = -planted.weights
    hidden = blocks(turned, planted.weights.sum(0))
    torch.testing.assert_close(outputs(hidden, data), data.y)
    torch.testing.assert_close(signed(hidden).weights, planted.weights)


@pytest.mark.parametrize(("positive", "negative"), [(1.0, 0.4), (0.3, 2.0), (0.0, 1.0)])
def test_a_pair_of_opposite_one_sparse_neurons_is_found_again(positive: float, negative: float) -> None:
    pair = blocks(matrix({2: positive}, {2: -negative}))
    data = samples(pair)
    one = blocks(matrix({2: positive + negative}), matrix({2: -negative})[0])
    torch.testing.assert_close(outputs(one, data), data.y)
    found = unpaired(one)
    assert found.skip is None
    assert found.nnz == (positive > 0) + 1
    torch.testing.assert_close(outputs(found, data), data.y)


def test_equal_and_opposite_neurons_are_merged_without_a_change(data: Samples) -> None:
    split = torch.cat([0.25 * PLANTED.weights[:1], 0.75 * PLANTED.weights[:1], PLANTED.weights[1:]])
    split[1] *= -1
    hidden = blocks(split, 0.75 * PLANTED.weights[0])
    torch.testing.assert_close(outputs(hidden, data), data.y)
    found = merged(hidden, 0.999)
    assert len(found.weights) == 3
    torch.testing.assert_close(outputs(found, data), data.y)
    assert len(merged(PLANTED, 0.95).weights) == 3, "different neurons stay"


def test_amplitudes_are_halves_of_the_norms_whatever_the_signs(data: Samples) -> None:
    size = PLANTED.weights.norm(dim=1)
    directions = PLANTED.weights / size[:, None] * torch.tensor([1.0, -1.0, 1.0]).double()[:, None]
    spare = matrix({6: 1.0})
    found = amplitudes(data, data.y, torch.cat([directions, spare]))
    torch.testing.assert_close(found[:3], size / 2, atol=1e-3, rtol=0)
    assert float(found[3]) < 1e-3


@pytest.mark.parametrize("whiten", [0, 9])
def test_proposals_hold_the_planted_neurons(whiten: int) -> None:
    planted = blocks(matrix({0: 1.0, 1: -2.0}, {2: 1.0, 3: 0.5, 5: 1.0}, {4: -1.5, 5: 0.5}))
    data = samples(planted, n=40_000)
    residual = data.y - linear_fit(data) @ data.features
    found = MomentProposal()(data, residual, whiten, np.random.default_rng(0)).weights
    cosine = torch.nn.functional.normalize(planted.weights) @ torch.nn.functional.normalize(found).T
    assert float(cosine.abs().amax(1).min()) > 0.95


def test_new_inputs_stand_out_of_the_noise() -> None:
    everywhere = matrix({0: 9.0, 1: -30.0, 2: 3.0, 3: 5.0})
    support = matrix({1: 1.0}) != 0
    assert new_inputs(everywhere, support, 1.0, 100).nonzero()[:, 1].tolist() == [0, 3]
    assert new_inputs(everywhere, support, 1.0, 1).nonzero()[:, 1].tolist() == [0]
    assert new_inputs(everywhere, support, 10.0, 100).sum() == 0


def run(data: Samples, limits: Limits, rounds: int) -> Search:
    empty = matrix()
    search = Search(data, limits, np.random.default_rng(0), (blocks(empty), data.loss(blocks(empty))))
    for _ in range(rounds):
        search.round()
        assert search.best[0].nnz <= limits.s
        assert len(search.best[0].weights) <= limits.m
        assert search.best[1] == pytest.approx(data.loss(search.best[0]), abs=1e-20)
    return search


def test_a_merged_pair_of_neurons_is_told_apart() -> None:
    """Two neurons that share their largest weight: one block serves both well, but not exactly."""
    planted = blocks(matrix({0: 2.0, 1: 0.3, 2: -0.2}, {0: 1.4}, {3: 1.0, 4: 1.0}))
    data = samples(planted, n=20_000)
    search = run(data, Limits(3, 6), 8)
    assert search.is_exact
    assert sorted(search.best[0].support.sum(1).tolist()) == [1, 2, 3]


def test_the_budget_holds_where_it_is_too_small(data: Samples) -> None:
    search = run(data, Limits(2, 4), 4)
    assert not search.is_exact
    assert search.best[1] < data.loss(blocks(matrix())) / 4


@pytest.mark.parametrize(("speck", "fits"), [(1e-4, 2), (0.1, 1)])
def test_a_network_without_specks_is_fitted_once(
    data: Samples, speck: float, fits: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts = list[Blocks]()

    def settled(self: Finish, start: Blocks) -> Fitted:
        starts.append(start)
        return Fitted(start, data.loss(start), quadratic(data, start, 1))

    monkeypatch.setattr(Finish, "settled", settled)
    whole = blocks(matrix({0: 1.0, 1: speck}, {2: 1.0, 3: 1.0}), ZERO)
    assert len(list(Finish(data, Limits(2, 4), 0.0)(Fitted(whole, 1e-8, quadratic(data, whole, data.n))))) == fits
    assert [start.nnz for start in starts] == [4, 3][:fits]


MIXED = blocks(matrix({0: 1.0, 1: -2.0}, {1: 1.0, 2: 0.5, 3: 1.0}, {4: -1.5}), None, SIGNS)


def test_output_signs_are_factors_of_the_neurons() -> None:
    """Against autograd: values, and the gradient in every weight."""
    data = samples(PLANTED)
    w = MIXED.weights.clone().requires_grad_()
    predicted = (torch.tensor(SIGNS).double() * torch.relu(data.features.T @ w.T)).sum(1)
    loss = (data.y - predicted).square().mean()
    loss.backward()
    found = quadratic(data, MIXED, 0)
    torch.testing.assert_close(data.residual(MIXED), (data.y - predicted).detach())
    assert found.loss == pytest.approx(loss.item())
    assert w.grad is not None
    torch.testing.assert_close(-2.0 * data.slopes(MIXED, data.residual(MIXED)) / data.n, w.grad)
    torch.testing.assert_close(-2.0 * found.gradient / data.n, w.grad[MIXED.support])


def test_fits_and_eliminations_carry_the_signs() -> None:
    data = samples(MIXED)
    start = Blocks(MIXED.weights + 0.2 * MIXED.support, MIXED.support, ZERO, MIXED.outputs)
    fitted = GaussNewton(8, gain=0.0)(data, start)
    assert fitted.loss < 1e-25
    extra = fitted.blocks.joined(blocks(matrix({5: 1e-7}, {6: 1e-7}), None, [-1.0, 1.0]))
    found = Elimination(3.5, 100)(Fitted(extra, 1e-8, quadratic(data, extra, data.n)))
    assert found.outputs is not None
    assert found.outputs.tolist() == SIGNS
    assert torch.equal(found.support, MIXED.support)


ROWS = [[1.0, 0.0, 0.0, 0.0], [0.0, -0.5, 0.0, 0.0], [1.0, -2.0, 0.0, 0.0], [0.0, 1.5, 1.0, 0.5]]
rows = st.builds(lambda row, c: [c * w for w in row], st.sampled_from(ROWS), st.sampled_from([-1.0, 0.5, 1.0, 3.0]))
networks = st.lists(st.tuples(rows, st.sampled_from([1.0, -1.0])), min_size=1, max_size=6)
skips = st.lists(st.sampled_from([-1.0, 0.0, 0.25, 2.0]), min_size=4, max_size=4)


def drawn(network: list[tuple[list[float], float]], skip: list[float]) -> Blocks:
    w = torch.tensor([row for row, _ in network]).double()
    return blocks(w, torch.tensor(skip).double(), [sign for _, sign in network]).kept(w != 0)


@given(networks, skips)
def test_decoding_changes_no_value(network: list[tuple[list[float], float]], skip: list[float]) -> None:
    """Whatever the network: turned round, its linear part written as pairs of neurons, equal directions merged."""
    before = drawn(network, skip)
    data = samples(before, n=64)
    turned = signed(before)
    torch.testing.assert_close(outputs(turned, data), data.y)
    found = unpaired(turned, 2 * 4)
    assert found.skip is None
    torch.testing.assert_close(outputs(found, data), data.y)
    assert len(found.weights) <= len(before.weights) + 8
    for one in (before, found):
        fewer = merged(one, 1.0 - 1e-9)
        torch.testing.assert_close(outputs(fewer, data), data.y)
        unit = torch.nn.functional.normalize(fewer.weights[fewer.weights.any(1)])
        close = (unit @ unit.T).triu(1)
        assert _top(close, one is found) < 1 - 1e-9


def _top(close: torch.Tensor, finished: bool) -> float:
    """Largest cosine of two neurons; in a network with a skip connection, of either sign."""
    return float((close if finished else close.abs()).max()) if close.numel() else 0.0


def test_a_linear_part_takes_the_room_there_is() -> None:
    """The largest first, two neurons each; none where a neuron on the input takes it up, or where signs are fixed."""
    skip = matrix({0: 0.5, 1: -3.0, 2: 1.0})[0]
    network = blocks(matrix({0: 2.0}, {3: 1.0, 4: 1.0}), skip, [-1.0, 1.0])
    for room, left in ((0, {1, 2}), (1, {1, 2}), (2, {1, 2}), (3, {2}), (5, set())):
        found = unpaired(network, room)
        assert len(found.weights) <= 2 + max(room, 1)
        kept = set(range(3)) - left
        data = samples(Blocks(network.weights, network.support, torch.where(_among(kept), skip, 0.0), network.outputs))
        torch.testing.assert_close(outputs(found, data), data.y)
    assert len(unpaired(Blocks(network.weights, network.support, skip), 5).weights) == 2


def _among(kept: set[int]) -> torch.Tensor:
    return torch.tensor([a in kept for a in range(D)])


def test_turned_neurons_of_both_output_signs_are_decoded() -> None:
    turned = MIXED.weights * torch.tensor([-1.0, -1.0, 1.0]).double()[:, None]
    skip = (MIXED.slopes - turned * torch.tensor(SIGNS).double()[:, None]).sum(0) / 2
    hidden = blocks(turned, skip, SIGNS)
    data = samples(MIXED)
    torch.testing.assert_close(outputs(hidden, data), data.y)
    found = unpaired(signed(hidden))
    torch.testing.assert_close(found.weights, MIXED.weights)
    assert found.outputs is not None
    assert found.outputs.tolist() == SIGNS


def test_amplitudes_have_the_signs_of_the_neurons() -> None:
    data = samples(MIXED)
    size = MIXED.weights.norm(dim=1)
    directions = torch.cat([-MIXED.weights / size[:, None], matrix({6: 1.0})])
    found = amplitudes(data, data.y, directions, signs=True)
    torch.testing.assert_close(found[:3], torch.tensor(SIGNS) * size / 2, atol=1e-3, rtol=0)
    assert abs(float(found[3])) < 1e-3


@pytest.mark.parametrize("whiten", [0, 9])
def test_proposals_hold_neurons_of_both_output_signs(whiten: int) -> None:
    w = matrix({0: 1.0, 1: -2.0}, {2: 1.0, 3: 0.5, 5: 1.0}, {4: -1.5, 5: 0.5}, {6: 1.0, 7: 1.0})
    data = samples(blocks(w, None, [1.0, -1.0, -1.0, 1.0]), n=40_000)
    residual = data.y - linear_fit(data) @ data.features
    found = MomentProposal(signs=True)(data, residual, whiten, np.random.default_rng(0))
    cosine = (torch.nn.functional.normalize(w) @ torch.nn.functional.normalize(found.weights).T).abs()
    assert float(cosine.amax(1).min()) > 0.95
    assert found.outputs is not None
    assert found.outputs[cosine.argmax(1)].tolist() == [1.0, -1.0, -1.0, 1.0]


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_pair_of_inputs_is_a_start_whatever_the_signs(sign: float) -> None:
    """The entry of a neuron's two inputs in the second moment has its output sign as a factor."""
    for row in (matrix({1: 1.0, 5: 1.0}), matrix({1: 1.0, 5: -1.0})):
        unit = row[0] / row.norm()
        moment = sign * torch.outer(unit, unit)
        apart = torch.where(torch.eye(D) == 1, 0.0, moment)  # its rows are no start then
        assert float((sparse_starts(moment, apart, True) @ unit).abs().max()) > 1 - 1e-12
        found = float((sparse_starts(moment, apart, False) @ unit).abs().max()) > 1 - 1e-12
        assert found == (sign > 0)


def test_one_sparse_neurons_take_the_sign_of_what_is_left() -> None:
    left = blocks(matrix({2: -0.3}, {3: 0.2, 4: 0.2}, {6: 0.5}), None, [-1.0, 1.0, 1.0])
    data = samples(left)
    even = even_part(data, data.y)
    expected = np.cov(data.features.abs().numpy(), data.y.numpy())[-1, :-1] * (N - 1)
    np.testing.assert_allclose(even.numpy(), expected)
    known = blocks(matrix({0: 1.0}, {1: 2.0, 6: 0.1}), ZERO, [1.0, -1.0])
    found = with_one_sparse(known, [1], even)
    assert found.outputs is not None
    new = found.support[2:].int().argmax(1).tolist()
    one = dict(zip(new, found.outputs[2:].tolist(), strict=True))
    assert set(one) == {1, 2, 3, 4, 5, 6, 7}, "input 0 has one"
    assert (one[2], one[6]) == (-1.0, 1.0)
    assert one[1] == -1.0, "that of the neuron that gave it half"
    assert float(found.weights[1, 1]) == float(found.weights[2:][found.support[2:, 1]][0, 1]) == 1.0


def test_a_pair_of_any_slopes_is_cheaper_than_another_neuron_turned() -> None:
    """With free signs x_0 may have slopes that positive neurons have not: .4 on the left, 1 on the right."""
    planted = blocks(matrix({0: 1.0}, {0: -0.4}, {0: -0.35, 1: 0.1}), None, [1.0, -1.0, 1.0])
    pair = blocks(matrix({0: 0.6}, {0: -0.35, 1: 0.1}), matrix({0: 0.4})[0], [1.0, 1.0])
    data = samples(planted)
    torch.testing.assert_close(outputs(pair, data), data.y)
    assert torch.equal(signed(pair).weights, pair.weights)
    found = unpaired(signed(pair))
    torch.testing.assert_close(outputs(found, data), data.y)
    assert found.nnz == planted.nnz
