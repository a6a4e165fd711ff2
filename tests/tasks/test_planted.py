from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from mlpiht_cli.core.task import Axes
from mlpiht_cli.errors import CellSkipped, InputError
from mlpiht_cli.rng import Streams
from mlpiht_cli.tasks.planted import Planted

# sha256 of the bytes for d=100, m=10, s=20, n=1000, seed=0; they change only if the protocol does.
PINNED = {
    "weights": "761a3a021c1419788c377c5944d7aca6cd2cc48f8a83db3b5a1a29f7712a49b5",
    "inputs": "df96c45ce83e662789dcb63abb2b27c9774290eadad6a01400a4a25809ef69de",
    "labels": "720e5fd531a55eae28e1587cad0767256499244754ce349939543556e7740974",
}


def sha(array: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def test_arrays_are_pinned_and_equal_the_definition() -> None:
    problem = Planted(n=1000).build(Axes(10, 20), Streams(0))
    # Protocol, section 3, in NumPy.
    generator = np.random.RandomState(0 + 1)
    place = generator.choice(100 * 10, 20, replace=False)
    flat = np.zeros(1000, dtype=np.float32)
    flat[place] = generator.normal(size=20).astype(np.float32)
    weights = flat.reshape(100, 10)
    inputs = np.random.RandomState(0 + 2).normal(size=(1000, 100)).astype(np.float32)
    labels = np.maximum(inputs.astype(np.float64) @ weights.astype(np.float64), 0).sum(1).astype(np.float32)

    assert problem.truth is not None
    found = {
        "weights": problem.truth[0].dense().T.numpy(),
        "inputs": problem.x.numpy(),
        "labels": problem.y[:, 0].numpy(),
    }
    for name, expected in {"weights": weights, "inputs": inputs, "labels": labels}.items():
        np.testing.assert_array_equal(found[name], expected, err_msg=name)
        assert found[name].dtype == np.float32
        assert sha(found[name]) == PINNED[name], name
    assert problem.peak == np.abs(labels).max()
    assert problem.x_test is problem.x, "the planted metric measures fit"


def test_deeper_and_wider_networks_follow_the_protocol() -> None:
    """Two hidden layers and three outputs: three matrices of s // 3 nonzeros, the last one linear."""
    problem = Planted(n=50, d=4, k=3).build(Axes(5, 12, depth=2), Streams(7))
    assert problem.truth is not None
    a, b, c = (layer.dense().double().numpy() for layer in problem.truth)
    assert [a.shape, b.shape, c.shape] == [(5, 4), (5, 5), (3, 5)]
    assert [int((w != 0).sum()) for w in (a, b, c)] == [4, 4, 4]
    x = problem.x.double().numpy()
    expected = np.maximum(np.maximum(x @ a.T, 0) @ b.T, 0) @ c.T
    np.testing.assert_array_equal(problem.y.numpy(), expected.astype(np.float32))


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize(("k", "signs"), [(1, "positive"), (1, "mixed"), (10, "positive")])
def test_labels_are_the_dense_products_rounded_once(depth: int, k: int, signs: Any, seed: int) -> None:
    """Few and many weights, dead neurons and unused inputs, more samples than are labelled at a time."""
    streams = Streams(seed)
    for m, s in ((1, 1), (2, 9), (7, 60), (20, 30), (60, 2000), (300, 40)):
        task, axes = Planted(n=1500, d=12, k=k, signs=signs, clip_budget=True), Axes(m, s, depth)
        try:
            problem = task.build(axes, streams)
        except CellSkipped:
            continue
        weights, readout = task.weights(axes, streams), task.output_signs(axes, streams)
        hidden = problem.x.double().numpy()
        for weight in weights[:depth]:
            hidden = np.maximum(hidden @ weight.astype(np.float64), 0)
        last = np.ones((m, 1)) if readout is None else readout
        expected = hidden @ (weights[-1] if k > 1 else last).astype(np.float64)
        np.testing.assert_array_equal(problem.y.numpy(), expected.astype(np.float32), err_msg=f"m={m} s={s}")


def test_undefined_cells_are_skipped_with_a_reason() -> None:
    with pytest.raises(CellSkipped, match="cannot hold a share"):
        Planted(n=10, clip_budget=True).build(Axes(2, 10, depth=2), Streams(0))
    with pytest.raises(CellSkipped, match=r"s // 2 = 5"):
        Planted(n=10, k=10, clip_budget=True).build(Axes(2, 10, depth=2), Streams(0))
    # One weight on one sample: the ReLU is closed for some seed.
    task = Planted(n=1, d=3)
    outcomes = []
    for seed in range(10):
        try:
            task.build(Axes(2, 1), Streams(seed))
            outcomes.append("made")
        except CellSkipped as skip:
            outcomes.append(str(skip))
    assert set(outcomes) == {"made", "the planted network is zero on every sample, so there is nothing to recover"}


def test_a_budget_above_the_weights_needs_a_word() -> None:
    with pytest.raises(InputError, match=r"s=13 is above the 12 weights"):
        Planted(n=10, d=4).build(Axes(3, 13), Streams(0))
    problem = Planted(n=10, d=4, clip_budget=True).build(Axes(3, 13), Streams(0))
    assert problem.truth is not None
    assert problem.truth[0].nnz == 12


def test_the_same_seed_gives_the_same_data() -> None:
    a, b = (Planted(n=20, d=3).build(Axes(2, 2), Streams(5)) for _ in range(2))
    assert torch.equal(a.x, b.x)
    assert torch.equal(a.y, b.y)


@pytest.mark.parametrize("depth", [1, 2])
def test_mixed_signs_are_those_of_the_last_hidden_layer(depth: int) -> None:
    positive, mixed = (
        Planted(n=60, d=9, signs=signs).build(Axes(12, 40, depth), Streams(3)) for signs in ("positive", "mixed")
    )
    assert positive.truth is not None
    assert mixed.truth is not None
    assert positive.truth_readout is None
    signs = mixed.truth_readout
    assert signs is not None
    assert signs.shape == (12,)
    assert set(signs.tolist()) == {1.0, -1.0}
    assert torch.equal(mixed.x, positive.x), "inputs and weights do not change"
    hidden = mixed.x.double().numpy()
    for one, other in zip(mixed.truth, positive.truth, strict=True):
        assert torch.equal(one.dense(), other.dense())
        hidden = np.maximum(hidden @ one.dense().double().numpy().T, 0)
    expected = sum(sign * column for sign, column in zip(signs.tolist(), hidden.T, strict=True))
    np.testing.assert_allclose(mixed.y[:, 0].numpy(), expected, rtol=1e-6, atol=1e-6)
    assert mixed.peak == float(mixed.y.abs().max())


def test_signs_are_even_and_depend_on_the_seed_alone() -> None:
    drawn = [Planted(signs="mixed").output_signs(Axes(1000, 1), Streams(seed)) for seed in (0, 0, 1)]
    a, again, b = (np.asarray(one)[:, 0] for one in drawn)
    np.testing.assert_array_equal(a, again)
    assert abs(a.mean()) < 0.12, "four standard deviations"
    assert abs((a * b).mean()) < 0.12
    few = Planted(n=7, signs="mixed").output_signs(Axes(10, 3), Streams(0))
    np.testing.assert_array_equal(np.asarray(few)[:, 0], a[:10])


def test_several_outputs_have_signs_of_their_own(mlpiht: Callable[..., Any]) -> None:
    words = ("--m", 4, "--s", 6, "--n", 20, "--set", "task.signs=mixed")
    refused = mlpiht("fit", "--method", "iht_vector", "--task", "planted", "--k", 10, *words)
    assert refused.code == 2
    assert "signs: mixed needs one output (k=1), not k=10" in refused.err
    made = mlpiht("generate", "planted", *words, "--out", "a.npz")
    assert made.code == 0
    with np.load("a.npz") as file:
        hidden = np.maximum(file["x"].astype(float) @ file["weights0"], 0)
        np.testing.assert_allclose(file["y"][:, 0], hidden @ file["readout"], atol=1e-6)
    mlpiht("generate", "planted", *words[:-1], "task.signs=positive", "--out", "b.npz")
    with np.load("b.npz") as file:
        assert "readout" not in file.files


def test_noise_is_on_the_training_labels_alone() -> None:
    clean, noisy = (Planted(n=20_000, d=9, noise=noise).build(Axes(3, 9), Streams(1)) for noise in (0.0, 0.25))
    assert torch.equal(noisy.x, clean.x)
    assert torch.equal(noisy.y_test, clean.y), "the score is against the labels without noise"
    assert noisy.peak == clean.peak
    noise = ((noisy.y - clean.y) / 0.25).double()
    assert abs(float(noise.mean())) < 4 / 20_000**0.5
    assert float(noise.square().mean()) == pytest.approx(1.0, abs=4 * (2 / 20_000) ** 0.5)
    fewer = Planted(n=500, d=9, noise=0.25).build(Axes(3, 9), Streams(1))
    assert torch.allclose(fewer.y - fewer.y_test, (noisy.y - noisy.y_test)[:500], atol=1e-6)


@pytest.mark.parametrize("noise", ["-0.1", ".nan", ".inf", "much"])
def test_noise_is_a_number(mlpiht: Callable[..., Any], noise: str) -> None:
    refused = mlpiht("fit", "--method", "iht", "--task", "planted", "--m", 2, "--s", 3, "--set", f"task.noise={noise}")
    assert refused.code == 2
    assert "noise" in refused.err
