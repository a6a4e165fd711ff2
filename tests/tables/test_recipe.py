"""Each rule of the recipe against a computation of its own with pandas."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from mlpiht_cli.core.model import SparseMLP
from mlpiht_cli.errors import InputError
from mlpiht_cli.linalg.sparse import SparseMatrix
from mlpiht_cli.tables.learn import Plan, learn
from mlpiht_cli.tables.recipe import Recipe


@pytest.fixture
def frame() -> pd.DataFrame:
    rng = np.random.RandomState(0)
    frame = pd.DataFrame(
        {
            "age": rng.normal(40, 9, 60),
            "colour": rng.choice(["red", "green", "blue"], 60).astype(object),
            "flag": rng.rand(60) > 0.4,
            "n": rng.randint(0, 100, 60),
        }
    )
    frame.loc[[3, 17, 20], "age"] = np.nan
    frame.loc[[4, 5], "colour"] = None
    return frame


@pytest.fixture
def y() -> pd.Series[float]:
    return pd.Series(np.random.RandomState(1).normal(10, 4, 60), name="y")


def plain(frame: pd.DataFrame) -> pd.DataFrame:
    """Inputs before they are standardised, by pandas."""
    colour = frame["colour"].fillna(frame["colour"].mode()[0])
    columns = {"age": frame["age"].fillna(frame["age"].median()), "age is missing": frame["age"].isna()}
    columns |= {f"colour={word}": colour == word for word in ("blue", "green", "red")}
    columns |= {"colour is missing": frame["colour"].isna(), "flag=False": ~frame["flag"], "flag=True": frame["flag"]}
    return pd.DataFrame({**columns, "n": frame["n"]}).astype(float)


def test_inputs_are_those_of_pandas(frame: pd.DataFrame, y: pd.Series[float]) -> None:
    recipe = learn(frame, y, Plan("regression"))
    expected = plain(frame)
    assert recipe.names == expected.columns.tolist()
    np.testing.assert_allclose(recipe.encoded(frame), expected)
    np.testing.assert_allclose(recipe.mean, expected.mean())
    np.testing.assert_allclose(recipe.scale, expected.std(ddof=0))
    inputs = recipe.inputs(frame)
    assert inputs.dtype == np.float32
    np.testing.assert_allclose(inputs[:, :-1], (expected - expected.mean()) / expected.std(ddof=0), atol=1e-6)
    assert (inputs[:, -1] == 1.0).all()
    assert recipe.inputs_count == inputs.shape[1]
    raw = learn(frame, y, Plan("regression", standardise=False, intercept=False))
    np.testing.assert_allclose(raw.inputs(frame), expected.astype(np.float32))


def test_the_order_of_columns_and_further_ones_do_not_matter(frame: pd.DataFrame, y: pd.Series[float]) -> None:
    recipe = learn(frame, y, Plan("regression"))
    other = frame.assign(more=pd.Timestamp(0))[["more", *frame.columns[::-1]]]
    assert np.array_equal(recipe.inputs(frame), recipe.inputs(other))
    picked = np.array([5, 3, 50])
    assert np.array_equal(recipe.inputs(frame)[picked], recipe.inputs(frame.iloc[picked]))


def test_regression_is_standardised_and_comes_back(frame: pd.DataFrame, y: pd.Series[float]) -> None:
    recipe = learn(frame, y, Plan("regression"))
    assert (recipe.y_mean, recipe.y_scale) == pytest.approx((y.mean(), y.std(ddof=0)))
    targets = recipe.targets(y)
    assert targets.shape == (60, 1)
    assert targets.mean() == pytest.approx(0, abs=1e-6)
    assert targets.std() == pytest.approx(1)
    np.testing.assert_allclose(recipe.predictions(targets.astype(float))["y"], y, rtol=1e-6)


def test_two_classes_are_0_and_1(frame: pd.DataFrame) -> None:
    labels = pd.Series(["no"] * 45 + ["yes"] * 15, name="y")
    recipe = learn(frame, labels, Plan("classes"))
    assert (recipe.classes, recipe.outputs, recipe.y_mean, recipe.y_scale) == (["no", "yes"], 1, 0.0, 1.0)
    assert recipe.targets(labels)[[0, -1], 0].tolist() == [0.0, 1.0]
    output = np.array([[-0.05], [0.35], [0.49], [0.51], [5.25]])
    found = recipe.predictions(output)
    assert found["y"] == ["no", "no", "no", "yes", "yes"]
    assert found["probability_yes"] == pytest.approx([0.0, 0.35, 0.49, 0.51, 1.0])
    assert np.add(found["probability_no"], found["probability_yes"]) == pytest.approx(1.0)


def test_a_calibrated_probability_is_the_logistic_function_of_the_output(frame: pd.DataFrame) -> None:
    recipe = learn(frame, pd.Series(["no", "yes"] * 30, name="y"), Plan("classes"))
    recipe = Recipe.model_validate({**recipe.model_dump(mode="json"), "calibration": [4.0, -1.0]})
    output = np.array([-1000.0, -0.4, 0.1, 1000.0])
    expected = torch.sigmoid(torch.tensor(4.0 * output - 1.0)).numpy()
    assert recipe.predictions(output[:, None])["probability_yes"] == pytest.approx(expected, abs=1e-12)


def test_three_classes_are_one_hot_and_softmax(frame: pd.DataFrame) -> None:
    labels = pd.Series([10, 2, 33] * 20, name="y")
    recipe = learn(frame, labels, Plan("classes"))
    assert (recipe.classes, recipe.outputs) == (["2", "10", "33"], 3)
    assert recipe.targets(labels)[:3].tolist() == [[0, 1, 0], [1, 0, 0], [0, 0, 1]]
    output = np.random.RandomState(0).normal(size=(7, 3)) * [1, 1, 900]
    found = recipe.predictions(output)
    assert found["y"] == [["2", "10", "33"][i] for i in output.argmax(1)]
    shares = np.column_stack([found[f"probability_{label}"] for label in recipe.classes])
    np.testing.assert_allclose(shares, torch.softmax(torch.from_numpy(output), 1).numpy(), atol=1e-12)
    assert list(found) == ["y", "probability_2", "probability_10", "probability_33"]


@pytest.mark.parametrize(
    ("values", "classes"),
    [
        ([2, 1], ["1", "2"]),
        ([2.0, 1.0], ["1", "2"]),
        ([0.5, 1.5], ["0.5", "1.5"]),
        ([True, False], ["False", "True"]),
        (["02", "x"], ["02", "x"]),
    ],
)
def test_labels_are_written_as_in_the_file(values: list[Any], classes: list[str]) -> None:
    labels = pd.Series(values * 5, name="y")
    recipe = learn(pd.DataFrame({"a": range(10)}), labels, Plan("classes"))
    assert recipe.classes == classes
    assert recipe.codes(labels)[:2].tolist() == [
        classes.index(str(values[0]).removesuffix(".0")),
        1 - recipe.codes(labels)[0],
    ]


def test_unseen_words_give_zeros_and_are_named(
    frame: pd.DataFrame, y: pd.Series[float], caplog: pytest.LogCaptureFixture
) -> None:
    recipe = learn(frame, y, Plan("regression"))
    assert caplog.text == ""
    new = frame.head(2).assign(colour=["violet", "red"])
    encoded = recipe.encoded(new, "new.csv")
    places = [recipe.names.index(f"colour={word}") for word in ("blue", "green", "red")]
    assert encoded[:, places].tolist() == [[0, 0, 0], [0, 0, 1]]
    assert "new.csv: column 'colour': no training row has 'violet'" in caplog.text


def test_a_missing_value_where_training_has_none_is_filled_in_aloud(
    frame: pd.DataFrame, y: pd.Series[float], caplog: pytest.LogCaptureFixture
) -> None:
    recipe = learn(frame, y, Plan("regression"))
    new = frame.head(3).assign(n=[1.0, np.nan, 2.0], flag=[True, None, False])
    encoded = pd.DataFrame(recipe.encoded(new), columns=recipe.names)
    assert encoded["n"].tolist() == [1.0, frame["n"].median(), 2.0]
    assert encoded["flag=True"][1] == float(frame["flag"].mean() > 0.5)
    assert "column 'n' has 1 missing values, and the training rows have none: they become" in caplog.text
    assert "column 'flag' has 1 missing" in caplog.text
    caplog.clear()
    recipe.encoded(frame)
    assert caplog.text == "", "where training rows miss values, too, nothing is odd"


def test_a_recipe_survives_json_and_a_model_file(frame: pd.DataFrame, y: pd.Series[float], tmp_path: Path) -> None:
    for target, kind in ((y, "regression"), (pd.Series(["u", "v"] * 30, name="y"), "classes")):
        recipe = learn(frame, target, Plan(kind))  # type: ignore[arg-type]
        assert Recipe.model_validate_json(recipe.model_dump_json()) == recipe
        assert Recipe.model_validate(json.loads(json.dumps(recipe.model_dump(mode="json")))) == recipe
        weights = SparseMatrix.zeros(1, recipe.inputs_count, torch.zeros(1))
        SparseMLP((weights,)).save(tmp_path / "m.npz", {"recipe": recipe.model_dump(mode="json")})
        kept = Recipe.model_validate(SparseMLP.load(tmp_path / "m.npz")[1]["recipe"])
        assert np.array_equal(kept.inputs(frame), recipe.inputs(frame))


FORGED: list[tuple[str, Callable[[dict[str, Any]], Any]]] = [
    ("belong together", lambda r: r.update(mean=[0.0])),
    ("belong together", lambda r: r.update(columns=[], mean=[], scale=[])),
    ("not usable", lambda r: r["scale"].__setitem__(0, 0.0)),
    ("not usable", lambda r: r["mean"].__setitem__(0, float("nan"))),
    ("not usable", lambda r: r.update(y_scale=0.0)),
    ("two classes alone", lambda r: r.update(calibration=[1.0, 0.0])),
    ("at least two labels", lambda r: r.update(kind="classes")),
    ("at least two labels", lambda r: r.update(classes=["a", "b"])),
    ("at least two labels", lambda r: r.update(kind="classes", classes=["a", "a"])),
    ("name of a column of prob", lambda r: r.update(kind="classes", classes=["a", "b"], target="probability_a")),
    ("two inputs are called 'age'", lambda r: r["columns"][3].update(name="age")),
    ("no number replaces", lambda r: r["columns"][0].update(fill=float("inf"))),
    ("no number replaces", lambda r: r["columns"][0].update(fill="red")),
    ("categories are not usable", lambda r: r["columns"][1].update(fill="violet")),
    ("categories are not usable", lambda r: r["columns"][1].update(categories=["red", "red", "green"], fill="red")),
    ("Extra inputs", lambda r: r.update(code="import os")),
    ("Extra inputs", lambda r: r["columns"][0].update(code="import os")),
    ("Field required", lambda r: r.pop("target")),
]


@pytest.mark.parametrize(("message", "change"), FORGED)
def test_forged_recipes_are_refused(
    frame: pd.DataFrame, y: pd.Series[float], message: str, change: Callable[[dict[str, Any]], Any]
) -> None:
    recipe = learn(frame, y, Plan("regression")).model_dump(mode="json")
    Recipe.model_validate(recipe)
    change(recipe)
    with pytest.raises(ValueError, match=message):
        Recipe.model_validate(recipe)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"a": [1.0, np.inf, *range(8)]}, "column 'a', data row 2: inf is not a finite number"),
        ({"a": ["1", "x", *map(str, range(8))]}, "column 'a', data row 2: 'x' is not a finite number"),
        ({"a": [None] * 10}, "column 'a' has no value in the training rows; leave it out with --drop a"),
        ({"a": [f"id{i}" for i in range(10)]}, r"column 'a' has 10 different words in 10 training rows.*--drop a"),
        ({"a": [[1]] * 10}, "column 'a' holds values of type list"),
        ({"a": ["u", "v"] * 5, "a=u": range(10)}, "two inputs are called 'a=u'; rename a column"),
        ({"b": range(10), "a": [1e300, -1e300] * 5}, "column 'a' has values too large to standardise; divide it by"),
        ({"a": pd.date_range("2020-01-01", periods=10)}, "column 'a' holds values of type Timestamp"),
    ],
)
def test_columns_that_cannot_be_used(columns: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        learn(pd.DataFrame(columns), pd.Series(np.arange(10.0), name="y"), Plan("regression"), "t.csv")
    assert str(caught.value).startswith("t.csv: ")


def test_targets_that_cannot_be_used(frame: pd.DataFrame, y: pd.Series[float]) -> None:
    recipe = learn(frame, y, Plan("regression"))
    for values, message in (
        ([1.0, np.nan], "target 'y', data row 2: is missing"),
        ([1.0, "x"], "column 'y', data row 2: 'x' is not a finite number"),
        ([1.0, 1e200], "too large for float32"),
    ):
        with pytest.raises(InputError, match=message):
            recipe.targets(pd.Series(values, name="y", dtype=object))
    classes = learn(frame, pd.Series(["u", "v"] * 30, name="y"), Plan("classes"))
    with pytest.raises(InputError, match="data row 2: no training row has the label 'w'"):
        classes.targets(pd.Series(["u", "w"], name="y"))
    for target in (pd.Series([0.1] * 60, name="y"), pd.Series([5e300, -5e300] * 30, name="y")):
        with pytest.raises(InputError, match=r"constant on the training rows|too large to standardise"):
            learn(frame, target, Plan("regression"))
    with pytest.raises(InputError, match="has the name of a column of probabilities; rename it"):
        learn(frame, pd.Series(["u", "v"] * 30, name="probability_v"), Plan("classes"))


def test_missing_features_are_named_with_a_hint(frame: pd.DataFrame, y: pd.Series[float]) -> None:
    recipe = learn(frame, y, Plan("regression"))
    with pytest.raises(InputError, match=r"new.csv: no column 'colour' for a feature, did you mean 'color'"):
        recipe.inputs(frame.rename(columns={"colour": "color"}), "new.csv")
    with pytest.raises(InputError, match=r"column 'n', data row 1: 'many' is not a finite number"):
        recipe.inputs(frame.assign(n="many"))
    with pytest.raises(InputError, match="column 'n', data row 1: too large for float32"):
        recipe.inputs(frame.assign(n=1e300))


def test_a_target_far_from_zero_is_no_constant(frame: pd.DataFrame) -> None:
    """Its values differ by a thousand roundings; a tenth, added in two ways, differs by one."""
    far = pd.Series(1e6 + 1e-7 * np.arange(60), name="y")
    recipe = learn(frame, far, Plan("regression"))
    assert recipe.y_scale == pytest.approx(1e-7 * np.arange(60).std(), rel=1e-2)
    with pytest.raises(InputError, match="constant on the training rows"):
        learn(frame, pd.Series([0.1 + 0.2, 0.3] * 30, name="y"), Plan("regression"))


def test_a_column_that_is_constant_but_for_rounding_is_left_unscaled() -> None:
    frame = pd.DataFrame({"a": [0.1] * 50, "b": range(50)})
    recipe = learn(frame, pd.Series(np.arange(50.0), name="y"), Plan("regression"))
    assert abs(recipe.inputs(frame)[:, 0]).max() < 1e-6
    assert recipe.scale[0] == 1.0


@pytest.mark.parametrize("power", [-700, -1040])
def test_tiny_values_are_scaled_like_others(power: int) -> None:
    values = np.arange(12.0)
    frame = pd.DataFrame({"a": np.ldexp(values, power), "b": np.full(12, 1e-200)})
    recipe = learn(frame, pd.Series(np.ldexp(values, power), name="y"), Plan("regression"))
    expected = (values - values.mean()) / values.std()
    assert recipe.inputs(frame)[:, 0] == pytest.approx(expected, rel=1e-6)
    assert not recipe.inputs(frame)[:, 1].any(), "a constant column stays constant"
    assert recipe.targets(frame["a"])[:, 0] == pytest.approx(expected, rel=1e-6)
    ordinary = learn(pd.DataFrame({"a": values}), pd.Series(values, name="y"), Plan("regression"))
    assert (ordinary.mean, ordinary.scale) == ([values.mean()], [values.std()])


@pytest.mark.parametrize("offset", [1e11, 1.7e15])
def test_features_and_targets_far_from_zero_are_standardised(offset: float) -> None:
    """Microseconds since 1970: whole numbers, all exact, that vary by a thousand."""
    ticks = np.round(1000 * np.random.default_rng(1).normal(size=20_000))
    recipe = learn(pd.DataFrame({"a": offset + ticks}), pd.Series(offset + ticks, name="y"), Plan("regression"))
    assert recipe.scale[0] == pytest.approx(ticks.std(), rel=1e-6)
    assert recipe.y_scale == pytest.approx(ticks.std(), rel=1e-6)
    inputs = recipe.inputs(pd.DataFrame({"a": offset + ticks}))[:, 0]
    np.testing.assert_allclose(inputs, (ticks - ticks.mean()) / ticks.std(), atol=1e-3)
