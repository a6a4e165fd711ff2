"""Scores that no model could fail: a reason stands in the row, or a warning says what is wrong with the table."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from mlpiht_cli.core.task import Axes
from mlpiht_cli.errors import InputError
from mlpiht_cli.rng import Streams
from mlpiht_cli.tasks.inr import INRMNIST
from mlpiht_cli.tasks.tabular import Tabular

Run = Callable[..., Any]
FIT = ("fit", "--m", 2, "--s", 2, "--json")
ONE_CLASS = "the held-out rows are of one class"


def table(path: str, classes: list[object]) -> None:
    pd.DataFrame({"a": np.arange(len(classes)) % 7, "y": classes}).to_csv(path, index=False)


@pytest.mark.parametrize("kinds", [(0, 1), ("no", "yes")])
def test_held_out_rows_of_one_class_are_named_with_the_score(mlpiht: Run, kinds: tuple[object, object]) -> None:
    """Two rows of a class are too few for a fifth of thirty to hold one; the shares of both parts say zero."""
    table("t.csv", [kinds[i >= 28] for i in range(30)])
    for seed in range(3):
        row = mlpiht(*FIT, "--data", "t.csv", "--seed", seed).json
        assert (row["status"], row["value"]) == ("ok", 1.0)
        assert row["reason"].startswith(ONE_CLASS)
    table("t.csv", [kinds[i % 2] for i in range(30)])
    assert mlpiht(*FIT, "--data", "t.csv").json["reason"] == ""


def test_test_rows_of_one_class_are_named_with_any_score(mlpiht: Run) -> None:
    for path, classes in (("t.csv", [0, 1, 2] * 12), ("one.csv", [2] * 9), ("two.csv", [2, 1] * 5)):
        table(path, list(classes))
    row = mlpiht(*FIT, "--data", "t.csv", "--test", "one.csv").json
    assert row["reason"].startswith(ONE_CLASS)
    assert row["value"] < 1.0
    assert mlpiht(*FIT, "--data", "t.csv", "--test", "two.csv").json["reason"] == ""


def test_a_class_with_one_row_and_training_rows_of_one_class_are_errors(mlpiht: Run) -> None:
    table("t.csv", [int(i == 29) for i in range(30)])
    for seed in range(6):
        result = mlpiht(*FIT, "--data", "t.csv", "--seed", seed)
        assert result.code == 2
        assert "class '1' has one row; each class needs one to train on and one to test on: drop the row" in result.err
    table("t.csv", [int(i >= 28) for i in range(30)])
    result = mlpiht(*FIT, "--data", "t.csv", "--set", "task.test_share=0.9")
    assert result.code == 2
    assert "target 'y' is constant on the training rows; add rows, hold out fewer of them" in result.err
    table("one.csv", [1] * 30)
    assert mlpiht(*FIT, "--data", "one.csv", "--test", "t.csv").code == 2
    assert [path.name for path in Path().iterdir() if path.suffix != ".csv"] == []


def test_a_constant_held_out_target_has_no_r2(mlpiht: Run) -> None:
    rows = pd.DataFrame({"a": range(30), "y": [float(i**2) for i in range(30)]})
    rows.to_csv("t.csv", index=False)
    rows.assign(y=3.0).to_csv("test.csv", index=False)
    row = mlpiht(*FIT, "--data", "t.csv", "--test", "test.csv").json
    assert (row["value"], row["reason"]) == (None, "r2 is undefined: the held-out target is constant")


@pytest.mark.parametrize("value", [0, 7, 255])
def test_an_image_of_one_colour_is_refused(tmp_path: Path, value: int) -> None:
    Image.fromarray(np.full((28, 28), value, dtype=np.uint8)).save(tmp_path / "p.png")
    with pytest.raises(InputError, match="all pixels are equal, so there is nothing to learn"):
        INRMNIST(image=str(tmp_path / "p.png")).check_data()


@pytest.mark.parametrize(
    ("copy", "told"),
    [
        (lambda y: y, True),
        (lambda y: y.map({"red": 0, "blue": 1, "green": 2}), True),  # one code for each word
        (lambda y: y.map({"red": 0, "blue": 1, "green": 1}), False),
        (lambda y: np.arange(len(y)), False),  # one for each row: an index
        (lambda y: y.where(y.index != 0, "blue"), False),
    ],
)
def test_a_column_that_is_the_target_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, copy: Callable[[Any], Any], told: bool
) -> None:
    y = pd.Series(["red", "blue", "green", "red"] * 9)
    pd.DataFrame({"a": range(36), "again": copy(y), "y": y}).to_csv(tmp_path / "t.csv", index=False)
    Tabular(path=str(tmp_path / "t.csv")).build(Axes(1, 1), Streams(0))
    assert ("column 'again' holds the target 'y' in every row" in caplog.text) is told


def test_a_numeric_column_that_is_the_target_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    x = np.random.default_rng(0).normal(size=40)
    pd.DataFrame({"twice": 2 * x, "again": x, "y": x}).to_csv(tmp_path / "t.csv", index=False)
    Tabular(path=str(tmp_path / "t.csv")).build(Axes(1, 1), Streams(0))
    assert "column 'again' holds the target 'y'" in caplog.text
    assert "'twice'" not in caplog.text


@pytest.mark.parametrize(
    ("values", "told"),
    [(range(40), True), (range(1, 41), True), (range(2, 42), False), ([*range(39), 50], False), ([0.5] * 40, False)],
)
def test_a_named_counter_of_rows_is_told_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, values: Any, told: bool
) -> None:
    x = np.random.default_rng(0).normal(size=40)
    pd.DataFrame({"a": x, "ID": values, "t": values, "y": x**2}).to_csv(tmp_path / "t.csv", index=False)
    Tabular(path=str(tmp_path / "t.csv")).build(Axes(1, 1), Streams(0))
    assert ("column 'ID' counts the rows; if it is a row number, leave it out with --drop ID" in caplog.text) is told
    assert "column 't'" not in caplog.text, "a time may count, too"
