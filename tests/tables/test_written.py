"""Whole numbers of many digits, codes with leading zeros, dates and other words that stand for numbers."""

from __future__ import annotations

import io
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlpiht_cli.tables.form import Reading
from mlpiht_cli.tables.looks import look_of
from mlpiht_cli.tables.read import read_table
from tests.library_words import foreign

Run = Callable[..., Any]
N = 40
LARGE = 10**29
MERGED = "are equal in double precision, which holds 15 to 17 digits; subtract a number from all of them"
FIT = ("fit", "--method", "iht", "--m", 2, "--s", 3, "--set", "method.steps=1")


def csv(b: Callable[[int], object], y: Callable[[int], object] = lambda i: i % 5 + 0.5) -> bytes:
    return ("a,b,y\n" + "".join(f"{i},{b(i)},{y(i)}\n" for i in range(N))).encode()


def npz(**arrays: Any) -> bytes:
    out = io.BytesIO()
    np.savez(out, **arrays)
    return out.getvalue()


def parquet(**columns: Any) -> bytes:
    out = io.BytesIO()
    pd.DataFrame(columns).to_parquet(out, index=False)
    return out.getvalue()


X, Y = np.arange(2.0 * N).reshape(N, 2) % 7, np.arange(N) % 5 + 0.5
FEATURES = {
    "b.csv": csv(lambda i: LARGE + i),
    "b.npz": npz(x=np.column_stack([X.astype(np.int64), np.arange(N) + 2**53]), y=Y),
    "b.parquet": parquet(b=np.arange(N, dtype=np.uint64) + np.uint64(2**63), y=Y),
    "null.parquet": parquet(b=pd.array([None, *(2**53 + i for i in range(N - 1))], dtype="Int64"), y=Y),
    "decimal.parquet": parquet(b=[Decimal(LARGE + i) for i in range(N)], y=Y),
    "gaps.csv": csv(lambda i: LARGE + i if i % 4 else ""),
}


@pytest.mark.parametrize("name", FEATURES)
def test_features_of_too_many_digits_are_named(name: str, mlpiht: Run, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(FEATURES[name])
    found = mlpiht(*FIT, "--data", name)
    assert found.code == 0
    column = "x2" if name.endswith("npz") else "b"
    told = f"warning: {name}: column '{column}': different whole numbers become equal in double precision"
    assert found.err.count(told) == 1
    assert f"or leave it out with --drop {column}" in found.err


def test_large_numbers_that_stay_apart_are_no_matter(mlpiht: Run, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(csv(lambda i: (i % 7) * LARGE))
    assert mlpiht(*FIT, "--data", "t.csv").err == ""


TARGETS = {
    "y.csv": csv(lambda i: i % 3, lambda i: LARGE + i % 3),
    "y.npz": npz(x=X, y=np.array([2**64 - 1 - i % 3 for i in range(N)], dtype=np.uint64)),
    "y.parquet": parquet(b=X[:, 0], y=np.arange(N) % 3 + 2**56),
    "decimal.parquet": parquet(b=X[:, 0], y=[Decimal(LARGE + i % 3) for i in range(N)]),
}


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_that_is_one_number_in_double_precision_says_so(name: str, mlpiht: Run, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(TARGETS[name])
    found = mlpiht(*FIT, "--data", name)
    assert found.code == 2
    assert f"error: {name}: target 'y': its different whole numbers {MERGED}" in found.err.splitlines()[-1]
    assert "constant" not in found.err
    taken = mlpiht("fit", "--method", "iht_vector", "--data", name, "--kind", "classes", "--m", 4, "--s", 9)
    assert taken.code == 0, taken.err
    assert "accuracy" in taken.out


def test_two_labels_of_many_digits_stay_as_they_are_written(mlpiht: Run, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(csv(lambda i: i % 3, lambda i: 2**53 + i % 2))
    assert mlpiht(*FIT, "--data", "t.csv", "--save", "m.npz").code == 0
    shown = mlpiht("predict", "m.npz", "t.csv").out.splitlines()
    assert shown[0] == "y,probability_9007199254740992,probability_9007199254740993"


def test_two_large_numbers_are_numbers_if_that_is_asked_for(mlpiht: Run, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(csv(lambda i: i % 3, lambda i: LARGE * (1 + i % 2)))
    assert mlpiht(*FIT, "--data", "t.csv", "--kind", "regression").code == 0
    (tmp_path / "t.csv").write_bytes(csv(lambda i: i % 3, lambda i: "9" * 400 if i == 7 else i))
    assert "data row 8: 999" in mlpiht(*FIT, "--data", "t.csv").err
    assert "is too large for double precision" in mlpiht(*FIT, "--data", "t.csv").err


def test_codes_with_leading_zeros_are_named(mlpiht: Run, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(csv(lambda i: ("00123", "10234", "00007")[i % 3]))
    told = "warning: t.csv: column 'b' has leading zeros ('00123'), and is read as numbers; if they are codes, write a"
    assert mlpiht(*FIT, "--data", "t.csv").err.startswith(told)
    (tmp_path / "t.csv").write_bytes(csv(lambda i: (0, 0.5, 10)[i % 3]))
    assert "zeros" not in mlpiht(*FIT, "--data", "t.csv").err


def test_labels_with_leading_zeros_stay_as_they_are_written(mlpiht: Run, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(csv(lambda i: i % 3, lambda i: ("007", "042")[i % 2]))
    assert mlpiht(*FIT, "--data", "t.csv", "--save", "m.npz").code == 0
    assert mlpiht("predict", "m.npz", "t.csv").out.startswith("y,probability_007,probability_042\n")


def test_numbers_with_gaps_are_exact(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(f"a,y\n{2**53 + 1},1\n,2\n{2**53},3\n")
    table = read_table(str(tmp_path / "t.csv"), Reading())
    assert table.frame["a"].dropna().tolist() == [str(2**53 + 1), str(2**53)]
    assert table.frame["a"].isna().tolist() == [False, True, False]
    (tmp_path / "t.csv").write_text("a,y\n1e30,1\n,2\n2e30,3\n")
    assert read_table(str(tmp_path / "t.csv"), Reading()).frame["a"].dtype == np.float64


LOOKS = {
    "dates": ["2020-01-02", "2020-12-31T10:00:00Z"],
    "dates ": ["01.02.2020", "3/4/20", "2 March 2020"],
    "times": ["9:30", "10:30:15.25"],
    "numbers with marks between thousands": ["1 234", "12", "1'234'567,5"],
    "percentages": ["5%", "7.5 %"],
    "amounts of money": ["$1.20", "3 €"],
}


@pytest.mark.parametrize("kind", LOOKS)
def test_words_that_stand_for_numbers_are_known(kind: str) -> None:
    look = look_of(LOOKS[kind])
    assert look is not None
    assert look.kind == kind.strip()
    assert look_of([*LOOKS[kind], "other"]) is None


@pytest.mark.parametrize("words", [["red", "blue"], ["1", "2.5"], [None], ["1.2.3"], ["A-12", "B-13"], ["12-34"]])
def test_plain_words_look_like_nothing(words: list[str | None]) -> None:
    assert look_of(words) is None


def test_dates_are_named_where_they_are_taken_as_words(mlpiht: Run, tmp_path: Path) -> None:
    path, mend = (
        tmp_path / "t.csv",
        "write them as numbers, such as days since the first, or leave it out with --drop b",
    )
    path.write_bytes(csv(lambda i: f"2020-01-{i % 9 + 1:02d}"))
    found = mlpiht(*FIT, "--data", "t.csv")
    assert found.code == 0
    assert found.err == f"warning: t.csv: column 'b' looks like dates, which are taken as words; {mend}\n"
    path.write_bytes(csv(lambda i: f"2020-01-{i % 28 + 1:02d}"))
    found = mlpiht(*FIT, "--data", "t.csv")
    assert found.code == 2
    assert found.err.startswith("error: t.csv: column 'b' has 28 different words in 40 training rows, which look like ")
    assert found.err.endswith(f"{mend}\n")
    assert foreign(found.err) is None


def test_a_target_that_looks_like_numbers_is_named(mlpiht: Run, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(csv(lambda i: i % 3, lambda i: f"2020-01-{i % 28 + 1:02d}"))
    assert "too many for classes; they look like dates: write them as numbers" in mlpiht(*FIT, "--data", "t.csv").err
    (tmp_path / "t.csv").write_bytes(csv(lambda i: i % 3, lambda i: f"{10 * (i % 2)}%"))
    found = mlpiht(*FIT, "--data", "t.csv")
    assert found.code == 0
    assert "warning: t.csv: target 'y' looks like percentages, which are taken as classes; for a regr" in found.err
    assert "not numbers; they look like percent" in mlpiht(*FIT, "--data", "t.csv", "--kind", "regression").err
