"""Each rival of linear IHT is its paper's algorithm in a few lines of NumPy, and has the property that defines it."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from sklearn.linear_model import OrthogonalMatchingPursuit

from mlpiht_cli.baselines.linear.cosamp import CoSaMP
from mlpiht_cli.baselines.linear.htp import HTP
from mlpiht_cli.baselines.linear.niht import NIHT
from mlpiht_cli.baselines.linear.omp import OMP
from mlpiht_cli.baselines.linear.subspace_pursuit import SubspacePursuit
from mlpiht_cli.baselines.linear.support import Data
from tests.baselines.linear_data import Floats, found, largest, noisy, problem_of, run, sensing, solved

SIZES = [(60, 30, 5), (30, 80, 4), (25, 60, 7), (12, 5, 3)]


def literal_niht(a: Floats, y: Floats, s: int, steps: int, c: float, kappa: float) -> tuple[Floats, int]:
    w, divided = np.zeros(a.shape[1]), 0
    support = largest(a.T @ y, s)
    for _ in range(steps):
        g = a.T @ (y - a @ w)
        mu = g[support] @ g[support] / np.sum((a[:, support] @ g[support]) ** 2)
        while True:
            v = w + mu * g
            v[np.setdiff1d(np.arange(len(v)), largest(v, s))] = 0.0
            if set(np.flatnonzero(v)) == set(support):
                break
            if mu <= (1 - c) * np.sum((v - w) ** 2) / np.sum((a @ (v - w)) ** 2):
                break
            mu, divided = mu / (kappa * (1 - c)), divided + 1
        w, support = v, np.flatnonzero(v)
    return w, divided


@pytest.mark.parametrize(("n", "d", "s"), SIZES)
def test_niht_takes_the_steps_of_its_paper(n: int, d: int, s: int) -> None:
    a, y = noisy(n, d)
    divided = 0
    for steps in range(1, 9):
        w, divided = literal_niht(a, y, s, steps, 0.01, 2.0)
        np.testing.assert_allclose(found(NIHT(steps=steps), a, y, s), w, rtol=1e-9, atol=1e-12)
    fit = run(NIHT(steps=8, dtype="float64"), problem_of(a, y), s)
    assert fit.facts == {"shortened": divided}
    assert divided > 0 or n > 2 * d, "the bound is of no account in the others"


@pytest.mark.parametrize("seed", range(5))
def test_the_loss_of_niht_never_rises(seed: int) -> None:
    """Also where it recovers nothing, so that supports change for long."""
    problem = sensing(40, 100, 20, seed)
    fit = run(NIHT(steps=1000, dtype="float64"), problem, 20)
    assert 20 < fit.iterations < 1000, "it ends when nothing changes"
    assert all(b <= a * (1 + 1e-14) for a, b in pairwise(fit.history))


@pytest.mark.parametrize("mu", [0.1, 0.3, None])
@pytest.mark.parametrize(("n", "d", "s"), SIZES)
def test_htp_ends_at_its_fixed_point(n: int, d: int, s: int, mu: float | None) -> None:
    a, y = noisy(n, d, 1)
    fit = run(HTP(mu=mu, dtype="float64"), problem_of(a, y), s)
    assert fit.facts["cycle"] == 1
    w = fit.model.layers[0].dense()[0].numpy()
    g = a.T @ (y - a @ w)
    on = largest(g, s)
    step = g[on] @ g[on] / np.sum((a[:, on] @ g[on]) ** 2) if mu is None else mu / np.mean((a**2).sum(0))
    support = largest(w + step * g, s)
    np.testing.assert_array_equal(support, np.flatnonzero(w))
    np.testing.assert_allclose(w, solved(a, y, support), rtol=1e-9)


def test_htp_tells_a_cycle_from_a_fixed_point() -> None:
    """Where the step is too long two supports take turns; that ends the run too."""
    a, y = noisy(30, 80, 1)
    fits = [run(HTP(steps=steps, dtype="float64"), problem_of(a, y), 4) for steps in (100, 101, 102)]
    assert [fit.facts["cycle"] for fit in fits] == [2, 2, 2]
    assert fits[0].iterations < 100
    cut = [run(HTP(steps=fits[0].iterations - i, dtype="float64"), problem_of(a, y), 4) for i in (0, 1, 2)]
    supports = [fit.model.layers[0].index.tolist() for fit in cut]
    assert supports[0] == supports[2] != supports[1]
    assert cut[1].facts["cycle"] == 0, "the steps ran out"


@pytest.mark.parametrize(("n", "d", "s"), SIZES)
def test_omp_is_that_of_scikit_learn(n: int, d: int, s: int) -> None:
    a, y = noisy(n, d, 2)
    theirs = OrthogonalMatchingPursuit(n_nonzero_coefs=s, fit_intercept=False).fit(a, y)
    w = found(OMP(), a, y, s)
    np.testing.assert_allclose(w, theirs.coef_, rtol=1e-9, atol=1e-12)
    residual = y - a @ w
    chosen = a[:, np.flatnonzero(w)]
    assert len(np.flatnonzero(w)) == s
    assert np.abs(chosen.T @ residual).max() <= 1e-12 * np.abs(chosen.T @ y).max()


def literal_cosamp(a: Floats, y: Floats, s: int, steps: int) -> tuple[Floats, list[int]]:
    w, sizes = np.zeros(a.shape[1]), []
    for _ in range(steps):
        wide = np.union1d(largest(a.T @ (y - a @ w), 2 * s), np.flatnonzero(w))
        b = solved(a, y, wide)
        w = np.where(np.isin(np.arange(len(b)), largest(b, s)), b, 0.0)
        sizes.append(len(wide))
    return w, sizes


@pytest.mark.parametrize(("n", "d", "s"), SIZES)
def test_cosamp_takes_the_iterations_of_its_paper(n: int, d: int, s: int, monkeypatch: pytest.MonkeyPatch) -> None:
    a, y = noisy(n, d, 3)
    for steps in range(1, 5):
        w, _ = literal_cosamp(a, y, s, steps)
        np.testing.assert_allclose(found(CoSaMP(steps=steps), a, y, s), w, rtol=1e-8, atol=1e-12)
    sizes = sizes_of_least_squares(monkeypatch)
    fit = run(CoSaMP(dtype="float64"), problem_of(a, y), s)
    assert sizes == literal_cosamp(a, y, s, fit.iterations)[1]
    assert sizes[0] == min(2 * s, d)
    assert max(sizes) <= 3 * s
    assert fit.iterations < 100
    further, _ = literal_cosamp(a, y, s, fit.iterations + int(fit.facts["cycle"]))  # what repeats for ever
    np.testing.assert_allclose(fit.model.layers[0].dense()[0].numpy(), further, rtol=1e-8, atol=1e-12)


def test_cosamp_ends_at_an_exact_fit() -> None:
    """Its candidates are rounding errors from then on, and would never repeat."""
    fit = run(CoSaMP(), sensing(200, 400, 8), 8)
    assert fit.iterations < 6
    assert fit.facts["cycle"] == 0


def literal_subspace_pursuit(a: Floats, y: Floats, s: int) -> tuple[Floats, int]:
    w, count = solved(a, y, largest(a.T @ y, s)), 1
    while True:
        b = solved(a, y, np.union1d(largest(a.T @ (y - a @ w), s), np.flatnonzero(w)))
        new, count = solved(a, y, largest(b, s)), count + 1
        if np.linalg.norm(y - a @ new) >= np.linalg.norm(y - a @ w) * (1 - 1e-12):
            return w, count
        w = new


@pytest.mark.parametrize(("n", "d", "s"), SIZES)
def test_subspace_pursuit_is_that_of_its_paper(n: int, d: int, s: int, monkeypatch: pytest.MonkeyPatch) -> None:
    a, y = noisy(n, d, 4)
    w, count = literal_subspace_pursuit(a, y, s)
    np.testing.assert_allclose(found(SubspacePursuit(), a, y, s), w, rtol=1e-9, atol=1e-12)
    sizes = sizes_of_least_squares(monkeypatch)
    fit = run(SubspacePursuit(dtype="float64"), problem_of(a, y), s)
    assert fit.iterations in (count, count + 1), "equal losses may differ in their last bits"
    assert sizes[0] == s
    assert all(s <= wide <= min(2 * s, d) for wide in sizes[1::2])
    assert set(sizes[2::2]) == {s}


@pytest.mark.parametrize("seed", range(6))
def test_subspace_pursuit_returns_the_support_before_its_residual_rose(seed: int) -> None:
    """Where it recovers nothing, the last iteration is a worse one in most cases."""
    problem = sensing(40, 100, 20, seed).to(torch.device("cpu"), torch.float64)
    a, y = problem.x.numpy(), problem.y[:, 0].numpy()
    w, _ = literal_subspace_pursuit(a, y, 20)
    fit = run(SubspacePursuit(dtype="float64"), problem, 20)
    np.testing.assert_allclose(fit.model.layers[0].dense()[0].numpy(), w, rtol=1e-7, atol=1e-9)
    assert float(np.square(y - a @ w).mean()) == pytest.approx(fit.history[-1], rel=1e-9)


def sizes_of_least_squares(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Note the sizes of all supports that are solved from now on."""
    sizes, plain = [], Data.least_squares

    def noting(self: Data, index: torch.Tensor) -> object:
        sizes.append(len(index))
        return plain(self, index)

    monkeypatch.setattr(Data, "least_squares", noting)
    return sizes
