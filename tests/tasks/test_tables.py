"""Public tables by name: made once, checked by their checksums, and fitted as a user's own file is."""

from __future__ import annotations

import importlib.util
import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
import pytest
import torch

from experiments import tables as script
from mlpiht_cli.core.task import Axes
from mlpiht_cli.errors import InputError
from mlpiht_cli.rng import Streams
from mlpiht_cli.tasks.datasets import sha256
from mlpiht_cli.tasks.table_sources import LAGS, SOURCES, TableName
from mlpiht_cli.tasks.tables import Table, find_table, write_table
from mlpiht_cli.tasks.tabular import Tabular

AXES = Axes(1, 1)
READ = sorted(name for name, source in SOURCES.items() if name != "grunfeld" and source.classes <= 2)
"""Tables without text among the features, and without three classes or more."""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder."""
    monkeypatch.delenv("MLPIHT_DATA_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def frame(name: TableName) -> pd.DataFrame:
    return pd.read_csv(io.BytesIO(SOURCES[name].csv()))


def test_every_name_has_a_table() -> None:
    assert set(get_args(TableName)) == SOURCES.keys()


@pytest.mark.parametrize("name", SOURCES)
def test_a_table_is_what_its_facts_say(name: TableName) -> None:
    source, table = SOURCES[name], frame(name)
    assert sha256(source.csv()) == source.sha256
    text = [column for column in table.columns.drop("y") if table[column].dtype.kind not in "if"]
    inputs = table.shape[1] - 1 - len(text) + sum(table[column].nunique() for column in text)
    assert (len(table), inputs) == (source.rows, source.inputs)
    assert not table.isna().any().any()
    words = table["y"].dtype.kind not in "if"
    assert (table["y"].nunique() if words else 0) == source.classes, "classes are words, so that none is a number"


@pytest.mark.parametrize("name", READ)
def test_dims_are_those_of_the_rows_that_are_fitted(name: TableName) -> None:
    task = Table(table=name)
    problem = task.build(AXES, Streams(0))
    assert (task.dims().n, task.dims().d, task.dims().k) == (problem.n, problem.d, problem.k)
    assert problem.metric == ("accuracy" if SOURCES[name].classes else "r2")


def test_targets_are_what_the_sources_say() -> None:
    from sklearn.datasets import load_breast_cancer, load_digits

    assert (frame("digits_8")["y"] == "eight").tolist() == (load_digits().target == 8).tolist()
    assert (frame("breast_cancer")["y"] == "benign").tolist() == (load_breast_cancer().target == 1).tolist()
    sunspots = frame("sunspots")
    for lag in range(1, LAGS + 1):
        before = sunspots[f"{lag} years before"].to_numpy()
        np.testing.assert_array_equal(before[lag:], sunspots["y"].to_numpy()[:-lag])
    assert frame("star98")["y"].between(0, 1).all()
    assert set(frame("grunfeld")["firm"]) >= {"General Motors", "IBM"}
    assert "vote" not in frame("anes96_pid")


def test_a_table_is_fitted_as_the_same_file_is() -> None:
    path = write_table("engel")
    named, own = Table(table="engel"), Tabular(path=str(path), kind="regression")
    a, b = (task.build(AXES, Streams(3)) for task in (named, own))
    assert torch.equal(a.x, b.x)
    assert torch.equal(a.y_test, b.y_test)
    assert a.recipe == b.recipe
    assert named.hints == own.hints


def test_a_missing_table_is_made_once_in_the_cache(cache: Path) -> None:
    assert find_table("engel") is None
    Table(table="engel").check_data()
    path = cache / "mlpiht" / "tables" / "engel.csv"
    assert find_table("engel") == path
    assert path.read_bytes() == SOURCES["engel"].csv()


def test_a_data_folder_comes_before_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tmp_path / "data" / "tables" / "engel.csv"
    own.parent.mkdir(parents=True)
    own.write_bytes(write_table("engel").read_bytes())
    monkeypatch.setenv("MLPIHT_DATA_DIR", str(tmp_path / "data"))
    assert find_table("engel") == own


def test_a_file_that_differs_makes_other_cells_and_the_row_says_so() -> None:
    path = write_table("engel")
    official = Table(table="engel")
    assert "unofficial" not in official.fingerprint
    assert official.build(AXES, Streams(0)).notes == {}
    path.write_text(path.read_text() + "500.0,300.0\n")
    changed = Table(table="engel")
    assert changed.fingerprint != official.fingerprint
    assert changed.build(AXES, Streams(0)).notes == {"unofficial_engel.csv": sha256(path.read_bytes())}


def test_a_spec_is_checked_without_the_tables(mlpiht: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda *_: None)
    assert mlpiht("validate", "tables").code == 0
    assert find_table("diabetes") is None


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda *_: None)
    with pytest.raises(InputError, match=r"comes with statsmodels: pip install 'mlpiht\[yardsticks\]'"):
        Table(table="engel").check_data()


def test_the_script_exports_tables(
    cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["tables", "export", "engel", "wine"])
    assert script.main() == 0
    assert capsys.readouterr().out.split() == [
        str(cache / "mlpiht" / "tables" / f"{name}.csv") for name in ("engel", "wine")
    ]
    monkeypatch.setattr(sys, "argv", ["tables", "export", "wines"])
    assert script.main() == 2
    assert "did you mean 'wine'?" in capsys.readouterr().err
