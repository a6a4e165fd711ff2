"""Ridge regression against its optimality conditions."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mlpiht_cli.linalg.ridge import PENALTIES, ridge


def data(n: int, p: int, noise: float, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.RandomState(seed)
    h = rng.normal(size=(n, p)) * np.linspace(0.5, 2, p) + 3.0
    return torch.from_numpy(h), torch.from_numpy(h @ rng.normal(size=p) + 7.0 + noise * rng.normal(size=n))


@pytest.mark.parametrize(("n", "p", "noise"), [(60, 5, 0.1), (30, 40, 1.0), (2, 3, 0.0)])
def test_the_gradient_is_zero_at_the_answer(n: int, p: int, noise: float) -> None:
    h, y = data(n, p, noise)
    found = ridge(h, y, np.random.default_rng(0))
    a = found.coefficients.clone().requires_grad_()
    b = found.intercept.clone().requires_grad_()
    ((y - h @ a - b).square().mean() + found.penalty * a.square().sum()).backward()
    assert a.grad is not None
    assert b.grad is not None
    assert float(a.grad.abs().max()) < 1e-9
    assert float(b.grad.abs()) < 1e-9


def test_clean_data_want_the_least_penalty_and_pure_noise_the_largest() -> None:
    h, y = data(200, 5, 0.0)
    assert ridge(h, y, np.random.default_rng(0)).penalty == min(PENALTIES)
    rng = np.random.RandomState(1)
    noise = torch.from_numpy(rng.normal(size=200))
    found = ridge(torch.from_numpy(rng.normal(size=(200, 150))), noise, np.random.default_rng(0))
    assert found.penalty >= 1.0
    assert float(found.intercept) == pytest.approx(float(noise.mean()), abs=0.2)


def test_the_penalty_is_the_one_with_the_least_error_on_the_held_out_fifth() -> None:
    h, y = data(50, 30, 2.0, seed=3)
    order = np.random.default_rng(5).permutation(50)
    held, rest = order[:10], order[10:]
    errors = []
    for penalty in PENALTIES:
        x = np.column_stack([h[rest], np.ones(40)])
        shrink = 40 * penalty * np.diag([1.0] * 30 + [0.0])
        a = np.linalg.solve(x.T @ x + shrink, x.T @ y[rest].numpy())
        errors.append(float(((y[held].numpy() - np.column_stack([h[held], np.ones(10)]) @ a) ** 2).mean()))
    best = PENALTIES[int(np.argmin(errors))]
    assert PENALTIES[0] < best < PENALTIES[-1], "or the test could not fail"
    assert ridge(h, y, np.random.default_rng(5)).penalty == best
