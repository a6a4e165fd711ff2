"""Hermite moments against their closed forms, and against quadrature of the definition."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mlpiht_cli.linalg.moments import (
    PHI0,
    Whitening,
    fourth_moment,
    fourth_noise,
    looks_normal,
    second_moment,
    second_noise,
    tiles,
    whitened_fourth,
    without_quadratic,
)

N, D = 200_000, 6


@pytest.fixture(scope="module")
def features() -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).standard_normal((D, N)))


@pytest.fixture(scope="module")
def planted() -> torch.Tensor:
    w = torch.zeros(3, D, dtype=torch.float64)
    w[0, :2] = torch.tensor([2.0, -1.0])
    w[1, 1:4] = torch.tensor([1.0, 1.0, 0.5])
    w[2, 5] = -1.5
    return w


def labels(features: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    return (w @ features).clamp(min=0).sum(0)


def test_tiles_cover_every_sample_once() -> None:
    assert torch.equal(torch.cat([torch.arange(10)[run] for run in tiles(10, 3)]), torch.arange(10))


def test_the_second_moment_is_that_of_the_neurons(features: torch.Tensor, planted: torch.Tensor) -> None:
    r = labels(features, planted) + torch.linspace(-1, 1, D, dtype=torch.float64) @ features
    r -= r.mean()
    size = planted.norm(dim=1, keepdim=True)
    expected = (planted / size).T @ planted
    error = second_moment(features, r) - expected
    assert float(error.abs().max()) < 6 * second_noise(r)
    assert float(expected.abs().max()) > 50 * second_noise(r), "the test can tell"


def test_the_fourth_moment_is_that_of_the_neurons(features: torch.Tensor, planted: torch.Tensor) -> None:
    r = labels(features, planted)
    r -= r.mean()
    unit = planted / planted.norm(dim=1, keepdim=True)
    directions = torch.cat([unit, torch.eye(D, dtype=torch.float64)])
    expected = (directions @ unit.T) ** 3 @ planted
    # The definition's own noise also grows with the residual's second-order part, which cancels in expectation.
    error = fourth_moment(features, r, directions) - expected
    assert float(error.abs().max()) < 12 * fourth_noise(r)
    assert float(expected.abs().max()) > 40 * fourth_noise(r)


def test_the_fourth_moment_of_one_neuron_equals_quadrature() -> None:
    z, weight = np.polynomial.hermite_e.hermegauss(2001 // 10)
    mean = (weight * np.maximum(z, 0) * (z**4 - 6 * z**2 + 3)).sum() / weight.sum()
    assert mean == pytest.approx(-PHI0, rel=0.02), "E[relu(z) He4(z)] = -phi(0)"


def test_a_quadratic_part_is_taken_out(features: torch.Tensor) -> None:
    x = features
    form = 0.3 * x[0] * x[1] + 0.2 * (x[2] ** 2 - 1)
    moment = torch.zeros(D, D, dtype=torch.float64)
    moment[0, 1] = moment[1, 0] = 0.3 / PHI0
    moment[2, 2] = 0.4 / PHI0
    left = without_quadratic(x, form, moment)
    assert float(left.abs().max()) < 1e-2, "nothing is left but the sample mean"
    found = second_moment(x, form - form.mean())
    torch.testing.assert_close(found, moment, atol=6 * second_noise(form), rtol=0.02)


def test_orthogonal_neurons_of_both_signs_are_orthogonal_when_whitened(features: torch.Tensor) -> None:
    w = torch.zeros(3, D, dtype=torch.float64)
    w[0, :2], w[1, 2:4], w[2, 5] = torch.tensor([2.0, -1.0]), torch.tensor([1.0, 0.5]), -1.5
    size, sign = w.norm(dim=1), torch.tensor([1.0, -1.0, -1.0]).double()
    moment = (w * (sign / size)[:, None]).T @ w
    whitening = Whitening.of(moment, 1e-3, signs=True)
    inner = whitening.project.T @ moment @ whitening.project
    torch.testing.assert_close(inner, torch.diag(inner.diagonal().sign()), atol=1e-9, rtol=0)
    assert sorted(inner.diagonal().sign().tolist()) == [-1.0, -1.0, 1.0]
    assert Whitening.of(moment, 1e-3).project.shape == (D, 1), "those of sign +1 alone"
    roots = (w / size.sqrt()[:, None]) @ whitening.project
    r = sign @ (w @ features).clamp(min=0)
    rest = without_quadratic(features, r - r.mean(), second_moment(features, r - r.mean()))
    image = whitened_fourth(whitening.project.T @ features, rest, roots)
    cosine = (image * roots).sum(1) / image.norm(dim=1)
    assert float((sign * cosine).min()) > 0.98, "fixed points, up to the sign"


def test_whitened_neurons_are_orthogonal(features: torch.Tensor, planted: torch.Tensor) -> None:
    size = planted.norm(dim=1)
    moment = (planted / size[:, None]).T @ planted
    whitening = Whitening.of(moment, 1e-3)
    assert whitening.project.shape == (D, 3), "as many directions as neurons"
    roots = (planted / size.sqrt()[:, None]) @ whitening.project
    torch.testing.assert_close(roots @ roots.T, torch.eye(3, dtype=torch.float64), atol=1e-9, rtol=0)
    r = labels(features, planted)
    rest = without_quadratic(features, r - r.mean(), second_moment(features, r - r.mean()))
    image = whitened_fourth(whitening.project.T @ features, rest, roots)
    # Fixed points of the orthogonal tensor; its eigenvalues are 1 / |w_j|.
    cosine = (image * roots).sum(1) / image.norm(dim=1)
    assert float(cosine.min()) > 0.98
    torch.testing.assert_close(image.norm(dim=1), 1 / size, rtol=0.15, atol=0)
    lifted = roots @ whitening.lift.T
    lifted /= lifted.norm(dim=1, keepdim=True)
    torch.testing.assert_close(lifted, planted / size[:, None], atol=1e-6, rtol=0)


@pytest.mark.parametrize("n", [40, 400, 20_000])
def test_normal_inputs_look_normal_at_any_scale_and_with_dead_ones(n: int) -> None:
    x = torch.from_numpy(np.random.default_rng(n).standard_normal((30, n)))
    assert looks_normal(x)
    x *= torch.logspace(-4, 4, 30)[:, None]
    x[7] = 0.0
    assert looks_normal(x)


def test_other_inputs_do_not_look_normal() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((30, 5000))
    others = {
        "shifted": x + 1.0,
        "positive": np.abs(x),
        "signs": np.sign(x),
        "mostly zero": x * (rng.random(x.shape) < 0.2),
        "correlated": x + 0.5 * rng.standard_normal(5000),
        "empty": x[:, :1] * 0.0,
    }
    for name, features in others.items():
        assert not looks_normal(torch.from_numpy(features)), name
