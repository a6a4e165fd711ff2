from __future__ import annotations

import csv
import io
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpiht_cli.analysis.scores import number
from mlpiht_cli.errors import InputError
from mlpiht_cli.records.rows import Brief, Row
from mlpiht_cli.records.table import COLUMNS, read_csv, to_csv


def row(**changes: Any) -> Row:
    base: dict[str, Any] = {
        "cell": "c0",
        "task": "planted",
        "method": "iht",
        "depth": 1,
        "m": 2,
        "s": 3,
        "seed": 0,
        "params": {"b": {"x": 1}, "a": None},
        "status": "ok",
        "value": 1.5,
    }
    return Row(**{**base, **changes})


def test_columns_are_those_of_the_design() -> None:
    assert (
        *("schema", "spec", "figure", "panel", "profile", "cell", "task", "method", "depth", "k", "n", "d", "m", "s"),
        *("seed", "params", "status", "reason", "metric", "value", "psnr", "accuracy", "support_f1", "exact"),
        *(
            "measures",
            "nnz",
            "nnz_by_layer",
            "iterations",
            "settled",
            "final_loss",
            "wall_s",
            "cpu_s",
            "peak_rss_mb",
            "peak_cuda_mb",
            "device",
        ),
        *(
            "threads",
            "dtype",
            "mlpiht",
            "git_sha",
            "git_dirty",
            "torch",
            "numpy",
            "blas",
            "python",
            "started_utc",
            "attempt",
        ),
    ) == COLUMNS


@given(
    st.one_of(st.none(), st.floats(allow_nan=False)),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\0")),
    st.one_of(st.none(), st.booleans()),
    st.one_of(st.none(), st.lists(st.integers(0, 99))),
)
def test_rows_survive_csv_and_json(
    tmp_path_factory: pytest.TempPathFactory, value: Any, reason: str, exact: Any, nnz: Any
) -> None:
    status = "diverged" if value is None else "ok"
    made = row(status=status, value=value, reason=reason, exact=exact, nnz_by_layer=nnz)
    path = tmp_path_factory.mktemp("rows") / "t.csv"
    path.write_text(to_csv([made]), newline="")
    assert read_csv(path) == [made]
    assert Row.model_validate_json(made.model_dump_json(by_alias=True)) == made


def test_nan_and_inf_are_words(tmp_path: Path) -> None:
    made = row(status="diverged", value=math.nan, psnr=math.inf)
    assert made.flat()["value"] == "nan"
    assert made.flat()["psnr"] == "inf"
    (tmp_path / "t.csv").write_text(to_csv([made]))
    (back,) = read_csv(tmp_path / "t.csv")
    assert back.value is not None
    assert math.isnan(back.value)
    assert back.psnr == math.inf


def test_the_table_is_sorted() -> None:
    rows = [row(cell=f"c{i}", m=m, s=s, method=name) for i, (name, m, s) in enumerate([("imp", 1, 1), ("iht", 10, 2)])]
    rows.append(row(cell="c9", m=10, s=1))
    assert to_csv(rows) == to_csv(reversed(rows))
    assert [line.split(",")[5] for line in to_csv(rows).splitlines()[1:]] == ["c9", "c1", "c0"]


def test_a_table_saved_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(to_csv([row()]), encoding="utf-8-sig")
    assert read_csv(tmp_path / "t.csv") == [row()]


def without(column: str, table: str) -> str:
    lines = list(csv.reader(io.StringIO(table)))
    place = lines[0].index(column)
    out = io.StringIO()
    csv.writer(out).writerows([*line[:place], *line[place + 1 :]] for line in lines)
    return out.getvalue()


def test_a_done_row_without_a_number_says_why(tmp_path: Path) -> None:
    constant = row(value=None, reason="r2 is undefined: all targets are equal")
    (tmp_path / "t.csv").write_text(to_csv([constant]))
    assert read_csv(tmp_path / "t.csv") == [constant]


def test_a_column_of_a_later_schema_may_be_missing(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(without("measures", to_csv([row()])), newline="")
    assert read_csv(tmp_path / "t.csv") == [row()]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a,b\n1,2\n", "not a results table"),
        ("", "not a results table"),
        ("GOOD\nx", "row 3"),
        ("NEGATIVE", "row 2: status"),
        ("JSON", "row 2: "),
        ("PATH", "row 2: cell"),
        ("NUMBERLESS", "row 2: value: a row that is ok needs a number, or a reason"),
        ("NAN", "row 2: value: a row that is ok needs a number, or a reason"),
        ("NO SEED", "no column 'seed', which every row needs"),
        ("MORE", "unknown column 'vallue', did you mean 'value'"),
    ],
)
def test_broken_tables_name_the_row(tmp_path: Path, content: str, message: str) -> None:
    good = to_csv([row()])
    text = {
        "GOOD\nx": f"{good}x,y\n",
        "NEGATIVE": good.replace(",ok,", ",fine,"),
        "PATH": good.replace(",c0,", ",../../c0,"),
        "JSON": good.replace("{", "("),
        "NUMBERLESS": good.replace(",1.5,", ",,"),
        "NAN": good.replace(",1.5,", ",nan,"),
        "NO SEED": without("seed", good),
        "MORE": good.replace(",value,", ",vallue,"),
    }.get(content, content)
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(InputError, match=message):
        read_csv(tmp_path / "t.csv")


MEASURED = st.one_of(st.booleans(), st.integers(-(2**53) + 1, 2**53 - 1), st.floats(allow_nan=False), st.just("bound"))


@given(st.dictionaries(st.sampled_from("abc"), MEASURED))
def test_measures_survive_csv_and_json(tmp_path_factory: pytest.TempPathFactory, measures: dict[str, Any]) -> None:
    made = row(measures=measures)
    path = tmp_path_factory.mktemp("rows") / "t.csv"
    path.write_text(to_csv([made]), newline="")
    for back in (*read_csv(path), Row.model_validate_json(made.model_dump_json(by_alias=True))):
        assert back == made
        assert {name: type(value) for name, value in back.measures.items()} == {
            name: type(value) for name, value in measures.items()
        }


def test_measures_that_are_no_number_are_words_in_files(tmp_path: Path) -> None:
    made = row(measures={"b": math.inf, "a": math.nan})
    (tmp_path / "t.csv").write_text(to_csv([made]))
    assert '"{""a"": ""nan"", ""b"": ""inf""}"' in (tmp_path / "t.csv").read_text()
    assert "Infinity" not in made.model_dump_json()
    (back,) = read_csv(tmp_path / "t.csv")
    assert number(back, "b") == math.inf
    assert math.isnan(number(back, "a") or 0.0)


def test_tables_from_before_measures_are_read(tmp_path: Path) -> None:
    """A table of the first schema has no columns of measures and BLAS."""
    with (Path(__file__).resolve().parents[2] / "results" / "table1.csv").open(newline="", encoding="utf-8") as file:
        lines = [{**line, "schema": "1"} for line in csv.DictReader(file)]
    names = [name for name in lines[0] if name not in {"measures", "blas"}]
    with (tmp_path / "old.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(lines)
    rows = read_csv(tmp_path / "old.csv")
    assert len(rows) == 90
    assert {row.schema_ for row in rows} == {1}, "a row says which columns it was written with"
    assert all((row.measures, row.blas) == ({}, "") for row in rows)
    assert number(rows[0], "psnr") == rows[0].value


def test_a_number_is_looked_up_in_columns_first() -> None:
    made = row(
        metric="r2", value=0.5, psnr=3.0, exact=True, measures={"psnr": 1.0, "step": 2, "sure": True, "how": "x"}
    )
    found = {
        name: number(made, name) for name in ("r2", "psnr", "exact", "step", "sure", "how", "accuracy", "cell", "s")
    }
    assert found == {
        **{"r2": 0.5, "psnr": 3.0, "exact": 1.0, "step": 2.0, "sure": 1.0},
        **dict.fromkeys(("how", "accuracy", "cell", "s")),
    }


@pytest.mark.parametrize("bad", ['{"a": [1]}', "[1]", '{"a": null}', "{"])
def test_measures_that_are_none_are_refused(tmp_path: Path, bad: str) -> None:
    text = to_csv([row(measures={"a": 1})]).replace('"{""a"": 1}"', '"' + bad.replace('"', '""') + '"')
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(InputError, match="row 2: "):
        read_csv(tmp_path / "t.csv")


def test_a_brief_has_fields_of_a_row_with_the_same_bounds() -> None:
    for name, field in Brief.model_fields.items():
        whole = Row.model_fields[name]
        assert (field.annotation, field.default) == (whole.annotation, whole.default), name
    with pytest.raises(ValueError, match="attempt"):
        Brief.model_validate({**row().model_dump(), "attempt": -1})
