"""``fit`` and ``path`` on a table: the choice, what a score is held against, and what test rows may not change."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlpiht_cli.tasks import tabular

Run = Callable[..., Any]
SHORT = ("--starts", 2, "--set", "method.iht.steps=5")
QUICK = (*SHORT, "--cv", 3)


def hinges(n: int, seed: int, noise: float = 0.1) -> pd.DataFrame:
    """Rows of ``y = 3 relu(a) - 2 relu(b) + 1`` and two inputs that play no part."""
    rng = np.random.RandomState(seed)
    frame = pd.DataFrame(rng.normal(size=(n, 4)), columns=["a", "b", "c", "d"])
    return frame.assign(y=3 * frame.a.clip(0) - 2 * frame.b.clip(0) + 1 + noise * rng.normal(size=n))


@pytest.fixture
def table(mlpiht: Run) -> tuple[str, str]:
    """Files of training and test rows in the current folder."""
    hinges(150, 0).to_csv("train.csv", index=False)
    hinges(60, 1).to_csv("test.csv", index=False)
    return "train.csv", "test.csv"


def r2(found: Any, true: Any) -> float:
    return float(1 - ((true - found) ** 2).sum() / ((true - true.mean()) ** 2).sum())


def predicted(mlpiht: Run, model: str, data: str) -> pd.DataFrame:
    return pd.read_csv(io.StringIO(mlpiht("predict", model, data).out))


def test_the_defaults_choose_and_the_choice_repeats_when_it_is_given(mlpiht: Run, table: tuple[str, str]) -> None:
    found = mlpiht("fit", "--data", "train.csv", *QUICK, "--json")
    row = found.json
    assert "chosen by 3-fold cross-validation on the training rows: " in found.err
    assert row["status"] == "ok"
    assert row["value"] > 0.9
    again = mlpiht(
        *("fit", "--data", "train.csv", *SHORT, "--json"),
        *("--method", row["method"], "--m", row["m"], "--s", row["s"]),
    )
    assert again.json["value"] == row["value"]
    assert again.json["cell"] == row["cell"]
    assert "chosen" not in again.err
    assert "cv_score" in row["measures"]
    assert "cv_score" not in again.json["measures"]


def test_every_score_is_what_it_says(mlpiht: Run, table: tuple[str, str]) -> None:
    train, test = (pd.read_csv(name) for name in table)
    given = ("--data", "train.csv", "--test", "test.csv", *SHORT, "--json")
    row = mlpiht("fit", *given, "--method", "iht", "--m", 3, "--s", 6, "--save", "model.npz").json
    assert row["n"] == 150, "with a file of test rows, all other rows are for training"
    measures = row["measures"]
    assert row["value"] == pytest.approx(r2(predicted(mlpiht, "model.npz", "test.csv").y, test.y), abs=1e-5)
    assert measures["train_score"] == pytest.approx(
        r2(predicted(mlpiht, "model.npz", "train.csv").y, train.y), abs=1e-5
    )
    assert measures["baseline_score"] == pytest.approx(r2(train.y.mean(), test.y), abs=1e-5)
    line = mlpiht("fit", *given[:4], "--method", "iht_linear", "--m", 1, "--s", 5, "--json").json
    assert measures["line_score"] == pytest.approx(line["value"], abs=1e-5)


def test_test_rows_change_their_score_and_nothing_else(mlpiht: Run, table: tuple[str, str]) -> None:
    (-10.0 * hinges(60, 2)).to_csv("strange.csv", index=False)
    rows = [
        mlpiht("fit", "--data", "train.csv", "--test", name, *QUICK, "--json").json
        for name in (table[1], "strange.csv")
    ]
    for name in ("method", "m", "s", "nnz", "final_loss"):
        assert rows[0][name] == rows[1][name]
    for name in ("cv_score", "cv_standard_error", "train_score"):
        assert rows[0]["measures"][name] == rows[1]["measures"][name]
    assert rows[0]["value"] != rows[1]["value"]


def test_a_fit_that_learned_nothing_is_said_to_be_one(mlpiht: Run, table: tuple[str, str]) -> None:
    given = ("fit", "--data", "train.csv", "--m", 3, "--s", 6, "--starts", 1)
    found = mlpiht(*given, "--method", "imp", "--set", "method.epochs=1", "--set", "method.lr=1e-6")
    assert "no better than the mean of the target" in found.err
    assert "baseline_score" in found.out
    assert "no better" not in mlpiht(*given, "--method", "iht").err


def test_noise_is_said_to_be_noise(mlpiht: Run) -> None:
    rng = np.random.RandomState(0)
    frame = pd.DataFrame(rng.normal(size=(80, 6)), columns=list("abcdef")).assign(y=rng.normal(size=80))
    frame.to_csv("noise.csv", index=False)
    found = mlpiht("fit", "--data", "noise.csv", *QUICK)
    assert found.err.count("cross-validation finds nothing better than the mean of the target") == 1


def classes(n: int, seed: int, labels: list[str]) -> pd.DataFrame:
    rng = np.random.RandomState(seed)
    code = rng.randint(len(labels), size=n)
    frame = pd.DataFrame(rng.normal(size=(n, 3)) + 2.5 * np.eye(3)[code % 3], columns=["a", "b", "c"])
    return frame.assign(kind=np.array(labels)[code])


@pytest.mark.parametrize("labels", [["no", "yes"], ["ash", "elm", "oak"]])
def test_classes_come_back_as_labels_with_probabilities(mlpiht: Run, labels: list[str]) -> None:
    classes(150, 0, labels).to_csv("train.csv", index=False)
    fresh = classes(100, 1, labels)
    fresh.to_csv("new.csv", index=False)
    quick = ("--starts", 2, "--cv", 3, "--s", 8)
    row = mlpiht("fit", "--data", "train.csv", "--target", "kind", *quick, "--save", "model.npz", "--json").json
    assert row["metric"] == "accuracy"
    found = predicted(mlpiht, "model.npz", "new.csv")
    shares = found[[f"probability_{label}" for label in labels]].to_numpy()
    np.testing.assert_allclose(shares.sum(1), 1.0, atol=1e-9)
    assert (found.kind == np.array(labels)[shares.argmax(1)]).all(), "the label is the most probable one"
    right = found.kind == fresh.kind
    assert right.mean() > 0.8
    assert shares.max(1)[right].mean() > shares.max(1)[~right].mean(), "a right answer is surer than a wrong one"


def test_the_path_is_the_table_behind_the_choice(mlpiht: Run, table: tuple[str, str]) -> None:
    found = mlpiht("path", "--data", "train.csv", *QUICK, "--out", "out")
    assert found.code == 0
    row = mlpiht("fit", "--data", "train.csv", *QUICK, "--json").json
    rows = list(csv.DictReader(Path("out/tables/train-path.csv").read_text().splitlines()))
    (star,) = [one for one in rows if one["chosen"] == "True"]
    assert (star["method"], int(star["m"]), int(star["s"])) == (row["method"], row["m"], row["s"])
    assert float(star["score"]) == pytest.approx(row["measures"]["cv_score"])
    assert Path("out/figures/train-path.png").read_bytes()[:4] == b"\x89PNG"
    line = next(one for one in found.out.splitlines() if one.split()[0] == star["s"])
    assert f"{float(star['score']):.4f}" in line
    assert "*" in line
    as_json = mlpiht("path", "--data", "train.csv", *QUICK, "--out", "out", "--s", "2,4", "--json").json
    assert {one["s"] for one in as_json["rows"]} == {2, 4}
    assert as_json["files"] == ["out/figures/train-path.png", "out/tables/train-path.csv"]


BAD = {
    ("fit", "--task", "planted", "--method", "iht", "--s", 4): "the data of planted depend on m: give --m",
    ("fit", "--task", "planted", "--m", 3, "--s", 4): "--method: name one",
    ("fit", "--data", "train.csv", "--m", "some"): "'some' is neither a whole number from 1 nor auto",
    ("fit", "--data", "train.csv", "--starts", 2, "--set", "method.starts=3"): "give --starts instead",
    ("fit", "--data", "train.csv", "--set", "task.path=a.csv"): "give --data instead",
    ("fit", "--data", "train.csv", "--cv", 500): "cannot be split into 500 folds",
    ("fit", "--data", "train.csv", "--m", 2, "--s", 3, "--cv", 5): (
        "--cv 5 has no effect with both --m and --s, which leave nothing to choose; leave out --cv, or the one of --m"
    ),
    ("fit", "--task", "planted", "--method", "iht", "--m", 3, "--s", 4, "--cv", 3): "--cv 3 has no effect",
    ("diagnose", "--data", "train.csv", "--m", 2, "--s", 3, "--cv", 3): "--cv 3 has no effect with both --m and --s",
    ("diagnose", "--data", "train.csv", "--m", 2, "--s", 3, "--gates", "random", "--cv", 3): "--cv has no effect: ",
    ("diagnose", "--task", "planted", "--m", 2, "--s", 3, "--cv", 3): "planted and random gates are of no fit",
    ("fit", "--data", "train.csv", "--n", 5): "--n needs --task",
    ("fit", "--data", "train.csv", "--test", "test.csv", "--split-seed", 3): "--split-seed has no effect with --test",
    ("fit", "--task", "planted", "--method", "iht", "--m", 3, "--s", 4, "--drop", "a"): "--drop needs --data",
    ("fit", "--data", "train.csv", "--m", 2, "--s", 4000): "s=4000 is above",
    ("fit", "--data", "train.csv", "--method", "iht_logistic"): "iht_logistic needs the cross_entropy loss",
    ("path", "--data", "train.csv", "--s", "1,x"): "give budgets separated by commas",
    ("path", "--data", "train.csv", "--s", "4000"): "s=4000 is above the number of weights",
}


@pytest.mark.parametrize("given", [("--m", 3), ("--s", 4), ("--m", "auto", "--s", 4), ()], ids=str)
def test_folds_count_where_something_is_left_to_choose(
    mlpiht: Run, table: tuple[str, str], given: tuple[object, ...]
) -> None:
    words = ("fit", "--data", "train.csv", "--starts", 1, "--set", "method.iht.steps=2", *given)
    assert "chosen by 2-fold cross-validation" in mlpiht(*words, "--cv", 2).err
    assert "chosen by 5-fold cross-validation" in mlpiht(*words).err


@pytest.mark.parametrize("words", BAD, ids=str)
def test_bad_requests_get_one_message(mlpiht: Run, table: tuple[str, str], words: tuple[object, ...]) -> None:
    found = mlpiht(*words)
    assert found.code == 2
    assert BAD[words] in found.err
    assert found.err.startswith("error: ")
    assert found.out == ""


@pytest.mark.parametrize("given", [("--cv", 3), ("--m", 3, "--s", 6)], ids=["chosen", "given"])
def test_a_table_is_read_and_split_once(
    mlpiht: Run, table: tuple[str, str], given: tuple[object, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    read, build = tabular.read_table, tabular.Tabular.build
    monkeypatch.setattr(tabular, "read_table", lambda *args: seen.append("read") or read(*args))
    monkeypatch.setattr(tabular.Tabular, "build", lambda *args: seen.append("built") or build(*args))
    assert mlpiht("fit", "--data", "train.csv", *SHORT, *given).code == 0
    assert sorted(seen) == ["built", "read"]


def test_settings_without_a_name_are_the_networks(mlpiht: Run, table: tuple[str, str]) -> None:
    given = ("fit", "--data", "train.csv", "--method", "iht", "--m", 3, "--s", 3, "--starts", 1, "--json")
    plain, short, line = (
        mlpiht(*given, *more).json for more in ((), ("--set", "method.steps=1"), ("--set", "method.iht_linear.steps=1"))
    )
    assert short["value"] != plain["value"] == line["value"]
    assert short["measures"]["line_score"] == plain["measures"]["line_score"] != line["measures"]["line_score"]
