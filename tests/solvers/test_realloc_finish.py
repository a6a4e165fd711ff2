"""Finished networks: standard errors, decoding under noise, wedges, steps that turn no neuron, corrected supports."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mlpiht_cli.core.method import Shape
from mlpiht_cli.core.recovery import recovery_scores
from mlpiht_cli.core.task import Axes
from mlpiht_cli.linalg.moments import gram
from mlpiht_cli.rng import Streams
from mlpiht_cli.solvers.iht_realloc import IHTRealloc
from mlpiht_cli.solvers.realloc.blocks import Blocks, Samples
from mlpiht_cli.solvers.realloc.decode import Signs, signed, unpaired
from mlpiht_cli.solvers.realloc.finish import Finish, skip_errors, with_all_one_sparse
from mlpiht_cli.solvers.realloc.limits import Limits
from mlpiht_cli.solvers.realloc.newton import Fitted, GaussNewton, Quadratic, held, quadratic
from mlpiht_cli.solvers.realloc.one_sparse import with_one_sparse
from mlpiht_cli.solvers.realloc.wedges import Wedges
from mlpiht_cli.tasks.planted import Planted

N, D = 8000, 6


def matrix(*rows: dict[int, float], d: int = D) -> torch.Tensor:
    """Rows given by their nonzeros."""
    out = torch.zeros(len(rows), d, dtype=torch.float64)
    for j, row in enumerate(rows):
        for a, value in row.items():
            out[j, a] = value
    return out


def blocks(w: torch.Tensor, skip: torch.Tensor | None = None) -> Blocks:
    return Blocks(w, w != 0, skip)


def inputs(n: int = N, d: int = D) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).standard_normal((d, n)).astype(np.float32))


def rounded(network: Blocks, n: int = N) -> Samples:
    """float32 inputs and targets that are right to the last digit of float32."""
    x = inputs(n, network.weights.shape[1])
    return Samples(x, (network.weights @ x.double()).clamp(min=0).sum(0).float())


def dense(network: Blocks, x: torch.Tensor) -> torch.Tensor:
    """Columns of the support's entries and of the skip connection, [samples, k]."""
    row, col = network.support.nonzero(as_tuple=True)
    columns = x[col] * (network.weights @ x > 0)[row]
    return (columns if network.skip is None else torch.cat([columns, x])).T


ZERO = torch.zeros(D, dtype=torch.float64)


def test_standard_errors_are_those_of_least_squares() -> None:
    network = blocks(matrix({0: 1.0, 1: -0.7}, {2: 1.0, 3: 0.4, 4: 0.2}, {5: 1.0}), ZERO)
    x = inputs().double()
    data = Samples(x, torch.from_numpy(np.random.default_rng(1).standard_normal(N)))
    fitted = Fitted(network, 0.04, quadratic(data, network, N))
    columns = dense(network, x)
    direct = (0.04 * torch.linalg.inv(columns.T @ columns)).diagonal()[-D:].sqrt()
    torch.testing.assert_close(skip_errors(fitted, network.support), direct, rtol=1e-4, atol=0)
    keep = network.support.clone()
    keep[1, 4] = False
    columns = dense(Blocks(network.weights, keep, ZERO), x)
    fewer = (0.04 * torch.linalg.inv(columns.T @ columns)).diagonal()[-D:].sqrt()
    torch.testing.assert_close(skip_errors(fitted, keep), fewer, rtol=1e-4, atol=0)


def test_turning_a_neuron_hardly_changes_the_standard_errors() -> None:
    """So one vector of errors serves for every choice of signs."""
    network = blocks(matrix({0: 1.0, 1: -0.7}, {2: 1.0, 3: 0.4, 4: 0.2}, {5: 1.0}), ZERO)
    x = inputs(40_000).double()
    data = Samples(x, torch.zeros(40_000, dtype=torch.float64))
    turned = blocks(network.weights * torch.tensor([[-1.0], [1.0], [-1.0]]), ZERO)
    first, second = (
        skip_errors(Fitted(one, 1.0, quadratic(data, one, 40_000)), one.support) for one in (network, turned)
    )
    torch.testing.assert_close(first, second, rtol=0.1, atol=0)


def test_signs_under_noise_are_the_planted_ones_where_errors_are_known() -> None:
    """A rest of .003 on two inputs is noise; without errors it seems cheaper to turn a neuron and have two pairs."""
    skip = torch.zeros(D, dtype=torch.float64)
    skip[:2] = 0.003
    network = blocks(matrix({0: 1.0}, {1: 1.0}, {0: -0.2, 1: -0.2}), skip)
    assert signed(network).weights[2, 0] > 0, "the case can tell"
    decoded = signed(network, torch.full((D,), 0.0015, dtype=torch.float64))
    torch.testing.assert_close(decoded.weights, network.weights)


def test_a_pair_needs_halves_that_are_more_than_noise() -> None:
    network = blocks(matrix({0: 1.0}, {1: 1.0}), torch.tensor([-0.002, -0.3, 0, 0, 0, 0]).double())
    decoded = unpaired(network, 0, torch.full((D,), 0.001, dtype=torch.float64))
    assert decoded.support.sum(0).tolist() == [1, 2, 0, 0, 0, 0]
    # Slopes that no pair has are noise too, if they are small.
    wrong = blocks(matrix({0: 1.0}), torch.tensor([0.002, 0, 0, 0, 0, 0]).double())
    torch.testing.assert_close(unpaired(wrong, 0, 0.001 + ZERO).weights, matrix({0: 1.002}))


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_wedges_hold_the_difference_of_two_gates_without_rounding(sign: float) -> None:
    network = blocks(matrix({0: 2.0, 1: 1e-3}, {0: sign}, {2: 1.0, 3: 1.0}), ZERO)
    x = inputs(50_000)
    data = Samples(x, torch.zeros(50_000))
    wedges = Wedges.of(network)
    columns = data.columns(network, slice(0, 50_000))
    whole = columns.clone()
    inside = ((network.weights[0] @ x.double() > 0) != (x[0] > 0)).nonzero()[:, 0]
    difference = wedges.done(columns)[0]
    assert 2 <= len(inside) < 50
    assert set(difference.nonzero()[:, 0].tolist()) == set(inside.tolist())
    torch.testing.assert_close(difference[inside].abs(), x[0, inside].abs())
    # The Gram matrix of the columns is the same, but for rounding errors.
    back = wedges.undone(gram(columns.double()))
    torch.testing.assert_close(back, gram(whole.double()), rtol=1e-12, atol=1e-9)
    # The curvature inside the wedge survives in float32, in which the columns are equal.
    at = quadratic(data, network, 50_000)
    split = torch.zeros(len(at.gradient), dtype=torch.float64)
    split[0], split[2] = 1.0, -sign
    if sign < 0:
        split[2], split[5] = 1.0, -1.0
    expected = float(x[0, inside].double().square().sum())
    assert float(split @ at.hessian @ split) == pytest.approx(expected, rel=1e-3)


def test_there_are_no_wedges_without_a_dominant_weight() -> None:
    assert not len(Wedges.of(blocks(matrix({0: 1.0, 1: 0.9}, {0: 1.0}), ZERO)).first)
    assert not len(Wedges.of(blocks(matrix({0: 1.0, 1: 0.1}, {1: 1.0}), ZERO)).first)
    # Opposite gates without a skip connection have no such difference.
    assert not len(Wedges.of(blocks(matrix({0: 1.0, 1: 0.1}, {0: -1.0}))).first)


def test_a_step_turns_no_one_sparse_neuron_and_the_others_adjust() -> None:
    network = blocks(matrix({0: 1e-6}, {1: 1e-6}, {2: 1.0, 3: -1.0}), ZERO)
    data = Samples(inputs().double(), torch.zeros(N, dtype=torch.float64))
    target = data.residual(blocks(matrix({0: 1.0}, {2: 0.5, 3: -1.2})))  # its negative: input 0 asks for a minus
    data = Samples(data.features, target)
    at = quadratic(data, network, N)
    full = torch.linalg.solve(at.hessian, at.gradient)
    assert full[0] < -0.1, "the case can tell"
    step = held(network, at.hessian, at.gradient, full)
    assert 0 < float(network.weights[0, 0] + step[0]) <= 1e-6
    left = at.gradient - at.hessian @ step
    turns = full[:2] < 0
    torch.testing.assert_close(left[2:], torch.zeros_like(left[2:]), atol=1e-6, rtol=0)
    assert bool((left[:2][turns] < 0).all()), "a larger weight would raise the error"


def test_two_neurons_in_one_are_parted_in_a_few_steps_under_noise() -> None:
    """Tiny one-sparse neurons on all inputs are there at once; those that ask for a minus must not hold up the rest."""
    planted = blocks(matrix({0: 1.7, 1: -0.4}, {0: 0.5}, {2: 1.0, 3: 1.0}))
    x = inputs(20_000).double()
    draws = np.random.default_rng(3)
    clean = (planted.weights @ x).clamp(min=0).sum(0)
    data = Samples(x, clean + 0.1 * torch.from_numpy(draws.standard_normal(20_000)))
    merged = GaussNewton(10)(data, blocks(matrix({0: 2.2, 1: -0.4}, {2: 1.0, 3: 1.0}), ZERO))
    assert merged.loss > 1.02 * 0.01, "one neuron does not do"
    start = with_one_sparse(merged.blocks, [], ZERO)
    assert GaussNewton(4, gain=1e-3)(data, start).loss < 1.005 * 0.01


def test_double_samples_have_exact_residuals_and_the_same_columns() -> None:
    planted = blocks(matrix({0: 0.7, 1: -2.1, 3: 1 / 3, 4: 0.9}, {2: 0.3, 0: 1.3, 5: -0.4}))
    data = rounded(planted)
    exact = data.y.double() - (planted.weights @ data.features.double()).clamp(min=0).sum(0)
    torch.testing.assert_close(data.double.residual(planted), exact, rtol=0, atol=1e-14)
    assert data.loss(planted) > 2 * data.double.loss(planted)
    assert data.double.columns(planted, slice(0, 10)).dtype == torch.float32
    assert data.double.double is data.double


PLANTED = blocks(matrix({0: 1.0, 1: -2.0}, {1: 1.0, 2: 0.5, 3: 1e-5}, {4: -1.5}, {4: 2e-5}))


def finish(data: Samples, most: int) -> Finish:
    return Finish(data, Limits(6, most), 1e-13)


def test_a_tiny_missing_weight_is_found() -> None:
    """Even one that only a residual in float64 shows, and a tiny one-sparse neuron too."""
    data = rounded(PLANTED)
    without = PLANTED.kept(PLANTED.weights.abs() > 1e-3)
    tidy = finish(data, 10)
    start = tidy.precise(without.kept(without.support))
    found = tidy.pruned(tidy.corrected(start, False)).blocks
    assert found.nnz == PLANTED.nnz
    # The order of neurons is not the same.
    assert float(torch.cdist(PLANTED.weights, found.weights).min(1).values.max()) < 1e-7
    full = finish(data, start.blocks.nnz)
    assert full.corrected(start, False).blocks.nnz == start.blocks.nnz, "no more than the budget"


def test_a_tiny_superfluous_weight_is_dropped() -> None:
    data = rounded(PLANTED)
    more = Blocks(PLANTED.weights.clone(), PLANTED.support.clone())
    more.support[0, 4] = more.support[2, 1] = True
    more.weights[0, 4], more.weights[2, 1] = 1e-7, -1e-7
    tidy = finish(data, 10)
    start = tidy.precise(more)
    assert start.blocks.nnz == PLANTED.nnz + 2
    found = tidy.pruned(start)
    assert torch.equal(found.blocks.support, PLANTED.support)
    assert found.loss < 2e-15 * float(data.y.double().square().mean())


def test_what_can_be_added_is_what_the_residual_asks_for() -> None:
    known = blocks(matrix({0: 1.0}))
    data = Samples(inputs().double(), (inputs().double()[0] * 1.2).clamp(min=0) + inputs().double()[1].clamp(max=0))
    _, possible = with_all_one_sparse(known, data, data.residual(known))
    assert bool(possible[0].all())
    sides = possible[1:].reshape(2, D, D)
    assert bool((sides == sides * torch.eye(D, dtype=torch.bool)).all()), "one-sparse"
    assert not sides[0, 0, 0], "input 0 has this direction"
    assert not sides[1, 1, 1], "relu(-x_1) is there with a minus"


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_noise_costs_no_more_than_with_known_gates(seed: int) -> None:
    data = Planted(n=12_000, d=20, noise=0.1).build(Axes(15, 15), Streams(seed))
    (found,) = IHTRealloc().fit_path(data, Shape(15), [15], Streams(0))
    assert data.truth is not None
    x, y = data.x.double().T, data.y[:, 0].double()
    true = data.truth[0].dense_rows(data.truth[0].live_rows()).double()
    columns = dense(blocks(true), x)
    best = torch.linalg.lstsq(columns, y[:, None], driver="gelsd").solution[:, 0]
    floor = float((columns @ best - y).square().mean())
    rows = found.model.layers[0].dense_rows(found.model.layers[0].live_rows()).double()
    assert float(((rows @ x).clamp(min=0).sum(0) - y).square().mean()) < 1.005 * floor
    assert recovery_scores(found.model, data.truth[0])["merged_f1"] >= 0.95


def puzzle(seed: int) -> tuple[Signs, np.ndarray]:
    """60 neurons of 2 or 3 weights on 25 inputs, two thirds of which have a pair of one-sparse neurons."""
    draws = np.random.default_rng(seed)
    w = np.zeros((60, 25))
    for row in w:
        row[draws.choice(25, draws.integers(2, 4), replace=False)] = draws.standard_normal(1)
        row[row != 0] *= draws.standard_normal((row != 0).sum())
    turn = draws.random(60) < 0.5
    single = np.diag(np.where(draws.random(25) < 0.67, 1.0 + draws.random(25), 0.0))
    share = draws.random(25)
    skip = -w[turn].sum(0) - share * single.sum(0)
    singles = single[single.any(1)]
    return Signs(np.vstack([w, singles]), skip, np.arange(60 + len(singles)) >= 60, free=False), turn


def test_neurons_that_must_turn_together_are_found() -> None:
    """No rest is left that a pair cannot represent, as with the planted signs; one or two turns alone do not do it."""
    left = {True: 0, False: 0}
    for together in left:
        for seed in range(8):
            signs, turn = puzzle(seed)
            planted = signs._rests(signs._left(turn))[1]
            assert float(planted.max()) < 1e-12, "the planted signs leave nothing"
            if not together:
                signs._together = lambda _: []  # type: ignore[method-assign]
            found = signs.improved(signs.relaxed() > 0.5)
            left[together] += float(signs._rests(signs._left(found))[1].max()) > 1e-9
    assert left[True] < left[False], left
    assert left[True] <= 1, left


def test_two_nearly_parallel_neurons_are_one_in_the_answer() -> None:
    data = rounded(PLANTED)
    more = torch.cat([PLANTED.weights, 0.3 * PLANTED.weights[:1]])
    more[0] *= 0.7
    more[0, 3], more[4, 3] = 1e-6, -1e-6
    tidy = finish(data, 10)
    start = tidy.precise(blocks(more))
    assert len(start.blocks.weights) == 5
    found = tidy.certain(start.blocks, start.loss)
    assert sorted(found.blocks.support.sum(1).tolist()) == sorted(PLANTED.support.sum(1).tolist())
    # Neurons that are not parallel stay two.
    apart = blocks(matrix({0: 1.0, 1: 0.05}, {0: 1.0}))
    data = rounded(apart)
    assert len(finish(data, 10).certain(apart, data.double.loss(apart)).blocks.weights) == 2


def test_a_step_needs_no_wedges(monkeypatch: pytest.MonkeyPatch) -> None:
    """With more weights than samples (an image, s = 1000) no damping makes the matrix with wedges definite."""
    x = torch.rand(3, 40, generator=torch.Generator().manual_seed(0), dtype=torch.float64) - 0.3
    weights = torch.tensor([[2.0, 0.1, 0], [0.3, 0, 0], [0, 0.2, 0.2]], dtype=torch.float64)
    start = Blocks(weights, weights != 0)
    few = Samples(x, (1.5 * weights @ x).relu().sum(0))
    whole = Quadratic.damped

    def broken(at: Quadratic, damping: float, wedged: bool = True) -> torch.Tensor:
        return -torch.eye(len(at.gradient), dtype=torch.float64) if wedged else whole(at, damping, wedged=False)

    monkeypatch.setattr(Quadratic, "damped", broken)
    assert GaussNewton(10)(few, start).loss < 1e-6 * few.loss(start)
