"""Words stay as they are written, even where all others of their file are numbers; files that are read are kept."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlpiht_cli.errors import InputError
from mlpiht_cli.tables.columns import as_number
from mlpiht_cli.tables.form import Form, Reading
from mlpiht_cli.tables.kind import target_kind
from mlpiht_cli.tables.learn import Plan, learn
from mlpiht_cli.tables.read import read_table
from mlpiht_cli.tables.rows import read_rows
from mlpiht_cli.tasks.tabular import Tabular

Run = Callable[..., Any]
VALUE = {"01": 0.0, "1": 10.0, "1E5": -4.0, "100000": 7.0, "1.1": 2.0, "1.10": 6.0, "true": 9.0}
VALUE |= {f"rc-{i}": 3.0 + i for i in range(7)}


def table(rows: int = 320) -> pd.DataFrame:
    rng = np.random.default_rng(3)
    word = np.array([*VALUE])[rng.integers(0, len(VALUE), rows)]
    return pd.DataFrame({"ver": word, "b": rng.normal(size=rows), "y": [VALUE[one] for one in word]})


@pytest.mark.parametrize("header", [True, False])
def test_rows_of_numbers_alone_keep_the_words_of_the_fitted_table(tmp_path: Path, header: bool) -> None:
    """A file with nothing but 01 and 1 is numbers to a reader of it alone."""
    table().to_csv(tmp_path / "t.csv", index=False, header=header)
    read = read_table(str(tmp_path / "t.csv"), Reading(Form(header=header)))
    plan = Plan("regression", form=Form(header=header), width=read.width)
    recipe = learn(read.features, read.labels, plan)
    for words in (["01", "1"], ["1E5", "100000"], ["1.1", "1.10"], ["true"], ["rc-1", "01"]):
        rows = pd.DataFrame({"ver": words, "b": 0.0})
        rows.to_csv(tmp_path / "new.csv", index=False, header=header)
        found = recipe.encoded(read_rows(str(tmp_path / "new.csv"), recipe).frame)
        expected = recipe.encoded(rows if header else rows.set_axis(["x0", "x1"], axis=1))
        np.testing.assert_array_equal(found, expected)
        assert (found[:, :-1].sum(1) == 1).all(), "each is a known word"


def test_predictions_do_not_depend_on_the_other_rows(mlpiht: Run) -> None:
    table().to_csv("t.csv", index=False)
    mlpiht("fit", "--data", "t.csv", "--m", 8, "--s", 30, "--starts", 2, "--save", "m.npz")
    alone, together = "ver,b\n01,0\n1,0\n", "ver,b\n01,0\n1,0\nrc-1,0\n"
    found = []
    for text in (alone, together):
        Path("new.csv").write_text(text)
        found.append(pd.read_csv(io.StringIO(mlpiht("predict", "m.npz", "new.csv").out))["y"].to_list()[:2])
    assert found[0] == found[1]
    assert found[0] != [found[0][0]] * 2


def test_labels_of_test_rows_keep_their_words(tmp_path: Path) -> None:
    labels = ["1.1", "1.10", "x"] * 20
    pd.DataFrame({"a": range(60), "y": labels}).to_csv(tmp_path / "t.csv", index=False)
    pd.DataFrame({"a": range(6), "y": ["1.1", "1.10"] * 3}).to_csv(tmp_path / "test.csv", index=False)
    read = read_table(str(tmp_path / "t.csv"), Reading(Form()))
    recipe = learn(read.features, read.labels, Plan(target_kind(read.labels, "classes", "t")))
    codes = recipe.codes(read_rows(str(tmp_path / "test.csv"), recipe, with_target=True).labels)
    assert [recipe.classes[code] for code in codes] == ["1.1", "1.10"] * 3


@pytest.mark.parametrize("word", ["1_0", "3_12", "1__0", "\uff11", "0x10", "1e", "", ".", "+-1", "inf", "nan", "1,5"])
def test_what_is_no_number_of_a_table_is_a_word(word: str) -> None:
    assert as_number(word) is None


@pytest.mark.parametrize(("word", "number"), [(" 1.5 ", 1.5), ("1.", 1.0), (".5", 0.5), ("-1E-3", -1e-3), ("007", 7.0)])
def test_numbers_of_a_table(word: str, number: float) -> None:
    assert as_number(word) == number


def test_a_value_of_many_lines_is_told_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    lines = [f"{i},{chr(34) * (i in (5, 30))}v,{i}" for i in range(40)]
    (tmp_path / "t.csv").write_text("\n".join(["a,t,y", *lines]))
    assert len(read_table(str(tmp_path / "t.csv"), Reading(Form())).frame) < 40
    assert "column 't', data row 6: a value goes on for 26 lines; if a quotation mark is not closed" in caplog.text


@pytest.mark.parametrize(
    "command",
    [
        ("predict", "m.npz", "t.csv", "--out", "t.csv"),
        ("predict", "m.npz", "t.csv", "--out", "m.npz"),
        ("predict", "m.npz", "t.csv", "--out", "./t.csv"),
        ("fit", "--data", "t.csv", "--m", 2, "--s", 4, "--save", "t.csv"),
        ("fit", "--data", "t.csv", "--test", "u.csv", "--m", 2, "--s", 4, "--save", "u.csv"),
    ],
)
def test_files_that_are_read_are_not_written_over(mlpiht: Run, command: tuple[object, ...]) -> None:
    table(60).to_csv("t.csv", index=False)
    table(90).to_csv("u.csv", index=False)
    assert mlpiht("fit", "--data", "t.csv", "--m", 2, "--s", 4, "--starts", 1, "--save", "m.npz").code == 0
    before = {path.name: path.read_bytes() for path in Path().iterdir()}
    result = mlpiht(*command)
    assert result.code == 2
    assert "is read by this command and would be lost; choose another name" in result.err
    assert {path.name: path.read_bytes() for path in Path().iterdir()} == before


def test_test_rows_that_are_training_rows_are_refused_or_told_of(mlpiht: Run, tmp_path: Path) -> None:
    table(60).to_csv("t.csv", index=False)
    table(60).to_csv("copy.csv", index=False)
    fit = ("fit", "--data", "t.csv", "--m", 2, "--s", 4, "--starts", 1)
    for same in ("t.csv", "copy.csv"):
        result = mlpiht(*fit, "--test", same)
        assert result.code == 2
        assert f"{same}: the test rows are the training rows; name another file" in result.err
    pd.concat([table(60).iloc[::-1], table(90).iloc[60:]]).to_csv("most.csv", index=False)
    assert "most.csv: 60 of 90 test rows are equal to a training row" in mlpiht(*fit, "--test", "most.csv").err
    table(90).iloc[60:].to_csv("fresh.csv", index=False)
    assert "equal to a training row" not in mlpiht(*fit, "--test", "fresh.csv").err


@pytest.mark.parametrize(("change", "message"), [({"ver": "new"}, ""), ({"y": "word"}, "'word'"), ({"b": "w"}, "'w'")])
def test_test_rows_are_checked_before_a_sweep(tmp_path: Path, change: dict[str, str], message: str) -> None:
    table(60).to_csv(tmp_path / "t.csv", index=False)
    table(70).iloc[60:].assign(**change).to_csv(tmp_path / "test.csv", index=False)
    task = Tabular(path=str(tmp_path / "t.csv"), test=str(tmp_path / "test.csv"))
    if not message:
        return task.check_data()
    with pytest.raises(InputError, match=message):
        task.check_data()
