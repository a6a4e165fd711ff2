"""Distributions of planted inputs: their closed-form moments, and a stream of their own."""

from __future__ import annotations

import math
from typing import get_args

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from mlpiht_cli import plan
from mlpiht_cli.core.task import Axes
from mlpiht_cli.rng import Streams
from mlpiht_cli.specs.point import Point
from mlpiht_cli.tasks._inputs import Kind
from mlpiht_cli.tasks.planted import Planted

N, D = 40_000, 6
E = math.e
# Mean, variance, and fourth central moment over the squared variance.
MOMENTS = {
    "gaussian": (0.0, 1.0, 3.0),
    "sphere": (0.0, 1.0, 3.0 * D / (D + 2)),
    "uniform": (0.0, 1.0, 9.0 / 5.0),
    "laplace": (0.0, 1.0, 6.0),
    "student": (0.0, 1.0, None),  # it has no fourth moment
    "rademacher": (0.0, 1.0, 1.0),
    "sparse": (0.0, 1.0, 30.0),
    "ar": (0.0, 1.0, 3.0),
    "shifted": (1.0, 1.0, 3.0),
    "absolute": (math.sqrt(2 / math.pi), 1 - 2 / math.pi, None),
    "lognormal": (math.sqrt(E), (E - 1) * E, None),  # its sample moments settle slowly
    "binary": (0.5, 0.25, 1.0),
}


def drawn(kind: str, seed: int = 0, **settings: float) -> np.ndarray:
    return Planted(n=N, d=D, inputs=kind, **settings).build(Axes(3, 6), Streams(seed)).x.double().numpy()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "kind", [kind for kind in get_args(Kind) if kind not in ("mnist", "breast_cancer", "diabetes")]
)
def test_moments_are_those_of_the_distribution(kind: str) -> None:
    x = drawn(kind)
    mean, variance, fourth = MOMENTS[kind]
    spread = math.sqrt(variance)
    centred = (x - mean) / spread
    assert abs(centred.mean()) < 0.02
    error = math.sqrt((max(fourth, 1.1) - 1.0) / x.size) if fourth else 0.02  # standard error of the next line's mean
    assert abs((centred**2).mean() - 1.0) < 5.0 * error
    if fourth is not None:
        assert abs((centred**4).mean() - fourth) < 0.04 * fourth
    correlations = np.corrcoef(x.T)
    expected = 0.6 ** np.abs(np.subtract.outer(np.arange(D), np.arange(D))) if kind == "ar" else np.eye(D)
    np.testing.assert_allclose(correlations, expected, atol=0.03)
    assert abs((centred[1:] * centred[:-1]).mean()) < 0.02, "samples are independent"


def test_each_has_its_own_support() -> None:
    assert set(np.unique(drawn("rademacher"))) == {-1.0, 1.0}
    assert set(np.unique(drawn("binary"))) == {0.0, 1.0}
    np.testing.assert_allclose(np.linalg.norm(drawn("sphere"), axis=1), math.sqrt(D), rtol=1e-6)
    assert np.abs(drawn("uniform")).max() <= math.sqrt(3.0) + 1e-6
    assert min(drawn("absolute").min(), drawn("lognormal").min()) >= 0.0
    assert abs((drawn("sparse") != 0).mean() - 0.1) < 0.01
    tail = (
        np.abs(drawn("student")) * math.sqrt(3.0) > 5.840909
    ).mean()  # 99.5 % quantile of Student's t with 3 degrees
    assert abs(tail - 0.01) < 0.002
    np.testing.assert_allclose(np.corrcoef(drawn("ar", correlation=-0.9).T)[0, 1], -0.9, atol=0.01)


def test_the_default_is_the_papers_and_others_have_a_stream_of_their_own() -> None:
    plain = Planted(n=50, d=D).build(Axes(3, 6), Streams(1))
    assert torch.equal(plain.x, Planted(n=50, d=D, inputs="gaussian").build(Axes(3, 6), Streams(1)).x)
    signs = Planted(n=50, d=D, inputs="rademacher").build(Axes(3, 6), Streams(1))
    assert plain.truth is not None
    assert signs.truth is not None
    assert torch.equal(plain.truth[0].dense(), signs.truth[0].dense()), "the planted weights stay"
    assert not torch.equal(torch.sign(plain.x), signs.x)
    assert not np.array_equal(drawn("uniform", 0), drawn("uniform", 1))
    np.testing.assert_array_equal(drawn("uniform", 0), drawn("uniform", 0))


def test_published_cells_keep_their_keys_and_others_have_new_ones() -> None:
    point = Point("", "planted", "iht", 1, 2, 3, 0)
    keys = {
        kind: plan.single_cell(point, {"task.inputs": kind, "task.correlation": c}).key
        for kind, c in (("gaussian", 0.6), ("uniform", 0.6), ("ar", 0.6))
    }
    assert keys["gaussian"] == plan.single_cell(point, {}).key
    assert len({*keys.values(), plan.single_cell(point, {"task.inputs": "ar", "task.correlation": 0.9}).key}) == 4


@pytest.mark.parametrize("settings", [{"inputs": "normal"}, {"correlation": 1.0}, {"correlation": float("nan")}])
def test_others_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Planted(**settings)  # type: ignore[arg-type]
