"""Planted networks on pixels of stored images, prepared inputs, and noise in units of the targets."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import sklearn.datasets
import torch
from pydantic import ValidationError

from mlpiht_cli import plan
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.core.task import Axes
from mlpiht_cli.errors import InputError
from mlpiht_cli.rng import Streams
from mlpiht_cli.specs.point import Point
from mlpiht_cli.tasks._inputs import TableRows
from mlpiht_cli.tasks._prepare import standardise, whiten
from mlpiht_cli.tasks.planted import Planted

IMAGES, LIVE = 5000, 40
AXES = Axes(8, 24)
POINT = Point("", "planted", "iht", 1, 2, 3, 0)


@pytest.fixture
def pixels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """MNIST's training images replaced by 5000 others, in which 40 scattered pixels vary, two of them equally."""
    rng = np.random.RandomState(0)
    levels = np.zeros((IMAGES, 784), np.uint8)
    places = rng.permutation(784)[:LIVE]
    for rank, place in enumerate(places):
        levels[:, place] = rng.randint(0, 20 + 5 * rank, IMAGES)
    levels[:, places[3]] = rng.permutation(levels[:, places[2]])
    folder = tmp_path / "data" / "mnist"
    folder.mkdir(parents=True)
    header = bytes((0, 0, 8, 3)) + struct.pack(">3I", IMAGES, 28, 28)
    (folder / "train-images-idx3-ubyte").write_bytes(header + levels.tobytes())
    monkeypatch.setenv("MLPIHT_DATA_DIR", str(folder.parent))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "nothing"))
    monkeypatch.setenv("MLPIHT_OFFLINE", "1")
    return levels


def build(seed: int = 0, axes: Axes = AXES, **settings: object) -> Problem:
    return Planted(**settings).build(axes, Streams(seed))  # type: ignore[arg-type]


def x_of(**settings: object) -> np.ndarray:
    return build(**settings).x.double().numpy()  # type: ignore[arg-type]


def covariance(x: np.ndarray) -> np.ndarray:
    return (x - x.mean(0)).T @ (x - x.mean(0)) / len(x)


@pytest.mark.parametrize(("n", "d"), [(50, 10), (4500, 38), (IMAGES, 60)])
def test_samples_are_images_and_features_the_pixels_that_vary_most(pixels: np.ndarray, n: int, d: int) -> None:
    """Images have enough levels that each is another; n is above a block of samples, and of all images."""
    variances = [float(np.var(pixels[:, j])) for j in range(784)]
    kept = sorted(sorted(range(784), key=lambda j: (-variances[j], j))[:d])
    x = x_of(inputs="mnist", n=n, d=d)
    known = {row.tobytes() for row in np.float32(pixels[:, kept] / 255.0)}
    drawn = [row.tobytes() for row in np.float32(x)]
    assert set(drawn) <= known
    assert len(set(drawn)) == n, "no image comes twice"


def test_images_come_in_an_order_of_the_seed(pixels: np.ndarray) -> None:
    x = x_of(inputs="mnist", n=200, d=8)
    np.testing.assert_array_equal(x_of(inputs="mnist", n=4200, d=8)[:200], x, "a larger sample begins with a smaller")
    assert not np.array_equal(x_of(inputs="mnist", n=200, d=8, seed=1), x)
    most = np.sort(np.argsort(-pixels.var(axis=0), kind="stable")[:8])
    assert not np.array_equal(np.float32(x), np.float32(pixels[:200, most] / 255.0)), "nor that of the file"


def test_labels_are_the_networks_on_the_prepared_inputs(pixels: np.ndarray) -> None:
    for prepare in ("raw", "standardised", "whitened"):
        problem = build(inputs="mnist", prepare=prepare, n=300, d=20)
        assert problem.truth is not None
        weights = problem.truth[0].dense().double().numpy()
        expected = np.maximum(problem.x.double().numpy() @ weights.T, 0).sum(1)
        np.testing.assert_allclose(problem.y[:, 0].numpy(), expected, rtol=1e-5, atol=1e-6)
        assert problem.x_test is problem.x


@pytest.mark.parametrize("kind", ["gaussian", "lognormal", "ar", "mnist"])
def test_prepared_samples_have_the_promised_moments(pixels: np.ndarray, kind: str) -> None:
    settings = {"inputs": kind, "n": 4500, "d": 12}
    raw, scaled, white = (x_of(**settings, prepare=one) for one in ("raw", "standardised", "whitened"))
    np.testing.assert_array_equal(raw, x_of(**settings))
    np.testing.assert_allclose(scaled, (raw - raw.mean(0)) / raw.std(0), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(covariance(white), np.eye(12), atol=1e-6)
    np.testing.assert_allclose(white.mean(0), 0.0, atol=1e-6)
    # Of all whitenings the symmetric root leaves each feature closest to what it was.
    agreement = (scaled * white).mean(0)
    values, vectors = np.linalg.eigh(np.corrcoef(raw.T))
    np.testing.assert_allclose(agreement, np.diag(vectors * np.sqrt(values) @ vectors.T), rtol=1e-4)


def test_white_inputs_do_not_depend_on_the_scales_of_the_features() -> None:
    one = np.random.RandomState(0).normal(size=(300, 5)).astype(np.float32)
    one[:, 1] += one[:, 0]
    other = one * np.float32([1, 2, 1024, 0.25, 1]) + np.float32([0, 0, 0, 0, 8])
    for change in (standardise, whiten):
        a, b = one.copy(), other.copy()
        change(a)
        change(b)
        np.testing.assert_allclose(a, b, atol=2e-5)


def test_what_never_varies_stays_zero() -> None:
    rng = np.random.RandomState(0)
    x = rng.normal(size=(200, 6)).astype(np.float32)
    x[:, 2], x[:, 4] = 7.3, x[:, 0]  # a constant feature, and one that repeats another
    scaled, white = x.copy(), x.copy()
    standardise(scaled)
    whiten(white)
    assert not scaled[:, 2].any()
    assert not white[:, 2].any()
    np.testing.assert_allclose(white[:, 0], white[:, 4], atol=1e-5)
    kept = np.diag([1.0, 1, 0, 1, 1, 1])
    kept[np.ix_([0, 4], [0, 4])] = 0.5  # two equal features share one direction of variance 1
    np.testing.assert_allclose(covariance(white.astype(np.float64)), kept, atol=1e-5)


def test_rounding_is_no_direction() -> None:
    """A sum of two features differs from them by its rounding to float32 alone."""
    x = np.random.RandomState(0).normal(size=(500, 3)).astype(np.float32)
    x[:, 2] = x[:, 0] + x[:, 1]
    whiten(x)
    np.testing.assert_allclose(np.linalg.eigvalsh(covariance(x.astype(np.float64))), [0.0, 1.0, 1.0], atol=1e-5)


def test_fewer_samples_than_features_span_fewer_directions() -> None:
    x = np.random.RandomState(0).normal(size=(8, 20)).astype(np.float32)
    whiten(x)
    np.testing.assert_allclose(np.linalg.eigvalsh(covariance(x.astype(np.float64))), [0.0] * 13 + [1.0] * 7, atol=1e-5)
    one = np.float32([[3.0, 4.0]])
    whiten(one)
    assert not one.any()


def test_noise_has_the_unit_asked_for() -> None:
    settings = {"n": 20_000, "d": 10}
    clean = build(**settings)
    rms = float(clean.y.double().square().mean().sqrt())
    for unit, deviation in (("absolute", 0.3), ("rms", 0.3 * rms)):
        noisy = build(**settings, noise=0.3, noise_unit=unit)
        assert float((noisy.y - clean.y).double().std()) == pytest.approx(deviation, rel=0.02)
        assert torch.equal(noisy.y_test, clean.y), "the score is of the targets without noise"
    assert abs(rms - 1.0) > 0.2, "the units differ"


def test_an_unofficial_file_is_noted_where_it_is_used(pixels: np.ndarray, tmp_path: Path) -> None:
    task = Planted(inputs="mnist", n=50, d=5)
    (digest,) = task.content().values()
    assert build(inputs="mnist", n=50, d=5).notes == {"unofficial_train-images-idx3-ubyte": digest}
    assert Planted().content() == {}
    assert not build(n=50, d=5).notes
    before = task.identity
    path = tmp_path / "data" / "mnist" / "train-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:-1] + b"\x01")
    assert Planted(inputs="mnist", n=50, d=5).identity != before


def test_missing_and_small_files_are_refused(pixels: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "data" / "mnist" / "train-images-idx3-ubyte"
    task = Planted(inputs="mnist", n=IMAGES + 1, d=5)
    with pytest.raises(InputError, match=f"has {IMAGES} images of 784 pixels, not n=5001 of d=5; set task.n to at"):
        task.build(AXES, Streams(0))
    task.check_data()
    path.write_bytes(bytes((0, 0, 8, 3)) + struct.pack(">3I", 2, 14, 28) + bytes(2 * 14 * 28))
    with pytest.raises(InputError, match="images of shape"):
        task.check_data()
    path.unlink()
    with pytest.raises(InputError, match="train-images-idx3-ubyte was not found"):
        task.check_data()
    Planted().check_data()


@pytest.mark.parametrize("settings", [{"n": 60_001}, {"d": 785}])
def test_more_than_mnist_has_is_refused_with_the_settings(settings: dict[str, int]) -> None:
    Planted(**settings)  # type: ignore[arg-type]
    Planted(inputs="mnist", n=60_000, d=784)
    with pytest.raises(ValidationError, match=r"60000 images of 784 pixels.*set task\.n to at most 60000"):
        Planted(inputs="mnist", **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize(("table", "n", "d"), [("breast_cancer", 569, 30), ("diabetes", 442, 10)])
def test_rows_of_a_table_are_its_numbers_in_an_order_of_the_seed(table: str, n: int, d: int) -> None:
    features = getattr(sklearn.datasets, f"load_{table}")(**({"scaled": False} if table == "diabetes" else {})).data
    x, part, other = (x_of(inputs=table, n=rows, d=d, seed=seed) for rows, seed in ((n, 0), (100, 0), (n, 1)))
    order = [np.lexsort(rows.T) for rows in (x, features.astype(np.float32))]
    np.testing.assert_allclose(x[order[0]], features[order[1]], rtol=1e-6)
    np.testing.assert_array_equal(x[:100], part, "a larger sample begins with a smaller")
    assert not np.array_equal(x, other)


@pytest.mark.parametrize("settings", [{"n": 443, "d": 10}, {"n": 442, "d": 9}, {"n": 442, "d": 11}, {}])
def test_what_a_table_does_not_have_is_refused_with_the_settings(settings: dict[str, int]) -> None:
    with pytest.raises(ValidationError, match=r"442 rows of 10 features.*task\.n to at most 442 and task\.d to 10"):
        Planted(inputs="diabetes", **settings)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="442 rows of 10 features"):
        next(TableRows("diabetes").blocks(np.random.default_rng(0), 443, 10, 100))


@pytest.mark.parametrize("settings", [{"prepare": "white"}, {"noise_unit": "db"}])
def test_others_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Planted(**settings)  # type: ignore[arg-type]


def test_published_cells_keep_their_keys_and_others_have_new_ones() -> None:
    plain = plan.single_cell(POINT, {}).key
    assert plan.single_cell(POINT, {"task.prepare": "raw", "task.noise_unit": "absolute"}).key == plain
    others = [{"task.prepare": "whitened"}, {"task.prepare": "standardised"}, {"task.noise_unit": "rms"}]
    assert len({plain, *(plan.single_cell(POINT, one).key for one in others)}) == 4


@pytest.mark.mnist
def test_real_pixels(real_mnist: Path) -> None:
    task = Planted(inputs="mnist", n=2000, d=100)
    task.check_data()
    assert task.content() == {}
    x = task.build(AXES, Streams(0)).x.numpy()
    assert x.max() == 1.0
    assert 0.3 < x.mean() < 0.5, "the pixels that vary most are in the middle, where strokes are"
    white = x_of(inputs="mnist", n=2000, d=100, prepare="whitened")
    np.testing.assert_allclose(covariance(white), np.eye(100), atol=1e-5)
