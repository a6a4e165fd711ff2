"""Every format by a real file, and what cannot be read."""

from __future__ import annotations

import gzip
import io
import logging
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlpiht_cli.errors import InputError
from mlpiht_cli.system import memory
from mlpiht_cli.tables.form import Form, Reading
from mlpiht_cli.tables.read import Table, read_table, source_bytes


@pytest.fixture
def frame() -> pd.DataFrame:
    rng = np.random.RandomState(0)
    columns = {"a": rng.normal(3, 2000, 40), "colour": rng.choice(["red", "blue, light", 'a "b"'], 40)}
    return pd.DataFrame({**columns, "n": rng.randint(0, 2000, 40), "y": rng.normal(size=40)})


def read(path: Path | str, **reading: Any) -> Table:
    return read_table(str(path), Reading(**reading))


def text(path: Path, content: str) -> Path:
    path.write_text(content)
    return path


def test_all_formats_give_the_same_table(frame: pd.DataFrame, tmp_path: Path) -> None:
    frame.to_csv(tmp_path / "t.csv", index=False)
    frame.to_csv(tmp_path / "bom.csv", index=False, encoding="utf-8-sig")
    frame.to_csv(tmp_path / "t.tsv", index=False, sep="\t")
    frame.to_csv(tmp_path / "s.csv", index=False, sep=";", decimal=",")
    frame.to_csv(tmp_path / "p.csv", index=False, sep=";")
    frame.to_csv(tmp_path / "c.csv", index=False, decimal=",")  # numbers in quotes
    frame.to_csv(tmp_path / "t.csv.gz", index=False)
    frame.to_csv(tmp_path / "t.tsv.gz", index=False, sep="\t")
    frame.to_parquet(tmp_path / "t.parquet")
    frame.astype({"colour": "category"}).to_parquet(tmp_path / "k.pq")
    for path in tmp_path.iterdir():
        table = read(path)
        found = table.frame.astype({"colour": object})
        pd.testing.assert_frame_equal(found, frame.astype({"colour": object}), check_column_type=False, rtol=1e-12)
        assert table.target == "y"
        assert list(table.features.columns) == ["a", "colour", "n"]
        assert table.labels.name == "y"


def test_a_matrix_in_an_npz_is_x0_x1(tmp_path: Path) -> None:
    x, y = np.arange(6.0).reshape(3, 2), np.array(["u", "v", "u"])
    np.savez(tmp_path / "t.npz", x=x, y=y, z=np.ones((3, 1)))
    table = read(tmp_path / "t.npz")
    assert table.frame.columns.tolist() == ["x0", "x1", "y"]
    assert np.array_equal(table.features.to_numpy(), x)
    assert table.labels.tolist() == y.tolist()
    assert read(tmp_path / "t.npz", target="z").labels.tolist() == [1.0, 1.0, 1.0]
    assert read(tmp_path / "t.npz", only=("x0",)).target is None


class Stream:
    """Standard input with some bytes."""

    def __init__(self, content: bytes) -> None:
        self.buffer = io.BytesIO(content)

    def isatty(self) -> bool:
        return False


@pytest.mark.parametrize("packed", [False, True])
def test_standard_input_is_read_once(packed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    content = b"a,y\n1,2\n3,4\n"
    content = gzip.compress(content) if packed else content
    monkeypatch.setattr(sys, "stdin", Stream(content))
    assert read("-").frame["a"].tolist() == [1, 3]
    assert source_bytes("-") == content, "what is hashed is what was read"
    assert read("-").frame["y"].tolist() == [2, 4]
    monkeypatch.setattr(sys, "stdin", Stream(b"a,y\n5,2\n"))
    assert read("-").frame["a"].tolist() == [5], "another stream is another table"
    monkeypatch.setattr(sys, "stdin", Stream(b""))
    with pytest.raises(InputError, match="standard input: is empty"):
        read("-")
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(InputError, match="nothing is piped"):
        read("-")


def test_without_a_header_the_last_column_is_the_target(tmp_path: Path) -> None:
    path = text(tmp_path / "t.csv", "1,2,3\n4,5,6\n")
    table = read(path, form=Form(header=False))
    assert table.frame.to_dict("list") == {"x0": [1, 4], "x1": [2, 5], "x2": [3, 6]}
    assert (table.target, table.width) == ("x2", 3)
    assert read(path, form=Form(header=False), target="x0").target == "x0"
    with pytest.raises(InputError, match=r"its first line is numbers.*header=false"):
        read(path)


@pytest.mark.parametrize(("start", "said"), [(0, True), (1, True)])
def test_an_unnamed_counter_is_left_out_aloud(
    frame: pd.DataFrame, tmp_path: Path, caplog: pytest.LogCaptureFixture, start: int, said: bool
) -> None:
    frame.set_index(pd.RangeIndex(start, 40 + start)).to_csv(tmp_path / "t.csv")
    assert read(tmp_path / "t.csv").frame.columns.tolist() == frame.columns.tolist()
    assert ("column 1 has no name and counts the rows" in caplog.text) == said


def test_a_counter_that_pandas_named_is_left_out_too(frame: pd.DataFrame, tmp_path: Path) -> None:
    """A table written with its index, read, and written again, has such a header."""
    frame.to_csv(tmp_path / "once.csv")
    pd.read_csv(tmp_path / "once.csv").to_csv(tmp_path / "again.csv", index=False)
    assert (tmp_path / "again.csv").read_text().startswith("Unnamed: 0,")
    pd.read_csv(tmp_path / "once.csv").to_csv(tmp_path / "twice.csv")
    for path in (tmp_path / "again.csv", tmp_path / "twice.csv"):
        assert read(path).frame.columns.tolist() == frame.columns.tolist()
    assert "Unnamed: 0" not in read(tmp_path / "again.csv", drop=("Unnamed: 0",)).frame.columns


def test_other_unnamed_columns_are_refused_where_they_would_be_features(frame: pd.DataFrame, tmp_path: Path) -> None:
    frame.sample(frac=1, random_state=0).to_csv(tmp_path / "t.csv")
    frame.sample(frac=1, random_state=0).to_parquet(tmp_path / "t.parquet")
    with pytest.raises(InputError, match="column 1 has no name"):
        read(tmp_path / "t.csv")
    with pytest.raises(InputError, match="column 5 has no name"):
        read(tmp_path / "t.parquet")
    assert read(tmp_path / "t.csv", only=("a",)).frame.columns.tolist() == frame.columns.tolist()


def test_labels_of_truth_stay_as_they_are_written(tmp_path: Path) -> None:
    path = text(tmp_path / "t.csv", "a,y\n1,true\n2,FALSE\n")
    assert read(path).labels.tolist() == ["true", "FALSE"]


BAD = {
    "a,y,y\n1,2,3\n2,3,4\n": "two columns are called 'y'",
    "a,y\n1,2,3\n2,3,4\n": r"line 2 has 3 values where the header has 2 names; .* as R writes it",
    "a,y\n1,2\n2,3,4,5\n": "line 3 has 4 values where the lines before have 2",
    'a,y\n1,2\n"2,3\n4,5\n': "a quotation mark in line 3 is never closed",
    "a,y\n1,2\n\xff,3\n": r"is not UTF-8 text \(byte 0xff\)",
    "": "is empty",
    " \n": "is empty",
    "% iris\n@RELATION iris\n@attribute a real\n@data\n1,2\n": "is an ARFF file",
    "+1 1:0.5 3:2\n-1 2:1e-3\n": "is an SVMlight file",
    "a,z\n1,2\n2,3\n": "no column 'y' for the target.*known: a, z",
    "a,y\n": "holds no data rows",
    "y\n1\n2\n": "holds no feature columns",
    "a,,y\n1,5,2\n3,9,4\n": "column 2 has no name",
    "Unnamed: 0,a,y\nr1,5,2\nr2,9,4\n": "column 1 has no name",
    "sep=;\na;y\n1;2\n2;3\n": "its first line 'sep=;' is a hint for Excel, and no header; delete that line",
    "a;b,y\nu;v,w\n": "separated by ',' or ';'; say which with the setting separator",
    'a,y\n"1,234",1\n"5,678",2\n': "column 'a': '1,234' may have a decimal comma or a comma between thousands",
    'a,b,y\n1.5,"1,5",1\n2.5,"2,25",2\n': "column 'a' has decimal points and column 'b' decimal commas",
    "PK\x03\x04abc": "a zip archive or a workbook",
    "PAR1 and nothing": "not a Parquet table",
    "\x1f\x8b and nothing": "not a whole gzip file",
}


@pytest.mark.parametrize("content", BAD)
def test_bad_tables_are_refused_by_name(content: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(content.encode("latin-1"))
    with pytest.raises(InputError, match=BAD[content]) as caught:
        read(tmp_path / "t.csv")
    assert str(caught.value).startswith(f"{tmp_path / 't.csv'}: ")


def test_other_encodings_are_refused(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes("a,y\n1,2\n".encode("utf-16"))
    with pytest.raises(InputError, match="UTF-16"):
        read(tmp_path / "t.csv")
    (tmp_path / "t.csv").write_bytes("straße,y\n1,2\n".encode("latin-1"))
    with pytest.raises(InputError, match=r"is not UTF-8 text \(byte 0xdf\); save it as UTF-8"):
        read(tmp_path / "t.csv")


def test_what_is_said_of_the_form_is_believed(tmp_path: Path) -> None:
    path = text(tmp_path / "t.csv", 'a;y\n"1,234";1\n"5,678";2\n')
    with pytest.raises(InputError, match="between thousands"):
        read(path)
    table = read(path, form=Form(decimal="comma"))
    assert table.frame["a"].tolist() == [1.234, 5.678]
    assert (table.form.separator, table.form.decimal) == ("semicolon", "comma")
    assert read(path, doubt=table.form).frame["a"].tolist() == [1.234, 5.678]
    assert read(path, form=Form(decimal="point")).frame["a"].tolist() == ["1,234", "5,678"]
    with pytest.raises(InputError, match="no column 'y'"):
        read(path, form=Form(separator="tab"))


def test_marks_without_a_header_are_found(tmp_path: Path) -> None:
    table = read(text(tmp_path / "t.csv", "1,5;2,25;3,0\n4,5;5,0;6,5\n"), form=Form(header=False))
    assert table.frame.to_numpy().tolist() == [[1.5, 2.25, 3.0], [4.5, 5.0, 6.5]]


def test_a_long_text_in_quotes_does_not_change_the_separator(tmp_path: Path) -> None:
    rows = "".join(f'{i},"a; b; c\n d",{i}\n' for i in range(20))
    assert read(text(tmp_path / "t.csv", f"n,text,y\n{rows}")).frame.shape == (20, 3)


def test_columns_to_drop_are_left_out_and_checked(frame: pd.DataFrame, tmp_path: Path) -> None:
    frame["when"] = pd.date_range("2020-01-01", periods=40)
    frame.to_parquet(tmp_path / "t.parquet")
    frame.to_csv(tmp_path / "t.csv", index=False)
    for path in (tmp_path / "t.parquet", tmp_path / "t.csv"):
        assert read(path, drop=("when", "a")).features.columns.tolist() == ["colour", "n"]
        with pytest.raises(InputError, match="no column 'colr' to drop, did you mean 'colour'"):
            read(path, drop=("colr",))
        with pytest.raises(InputError, match="is the target and cannot be dropped"):
            read(path, drop=("y", "when"))
    with pytest.raises(InputError, match=r"column 'when' holds timestamp\[.*neither numbers nor text"):
        read(tmp_path / "t.parquet")


def test_missing_values_of_parquet_stay_missing(tmp_path: Path) -> None:
    columns = {"i": pd.array([1, None, 3], dtype="Int64"), "w": ["u", None, "v"], "b": [True, None, False]}
    pd.DataFrame({**columns, "y": [1.0, 2.0, 3.0]}).to_parquet(tmp_path / "t.parquet")
    found = read(tmp_path / "t.parquet").frame
    assert found.isna().sum().to_dict() == {"i": 1, "w": 1, "b": 1, "y": 0}
    assert found["i"].dropna().tolist() == [1, 3]
    assert found["b"].dropna().tolist() == [True, False]


def test_a_missing_pyarrow_is_named(frame: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frame.to_parquet(tmp_path / "t.parquet")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(InputError, match=r"pip install 'mlpiht\[parquet\]'"):
        read(tmp_path / "t.parquet")


def test_bombs_are_weighed_before_they_go_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pd.DataFrame({"w": ["w" * 10**6] * 1000, "y": range(1000)}).to_parquet(tmp_path / "words.parquet")
    pd.DataFrame({"a": np.zeros(10**6), "y": np.zeros(10**6)}).to_parquet(tmp_path / "wide.parquet")
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(b"a,y\n" + b"1,2\n" * 10**7))
    assert max(path.stat().st_size for path in tmp_path.iterdir()) < 10**6
    monkeypatch.setattr(memory, "available", lambda: 2**25)
    with pytest.raises(InputError, match="unpacking it would take"):
        read(tmp_path / "t.csv.gz")
    with pytest.raises(InputError, match="a table of 2000000 values would take"):
        read(tmp_path / "wide.parquet")
    words = read(tmp_path / "words.parquet").frame["w"]
    assert len({id(word) for word in words}) == 1, "a gigabyte of equal words is one of them"


def test_objects_in_an_npz_are_not_loaded(tmp_path: Path) -> None:
    np.savez(tmp_path / "bad.npz", x=np.array([{"a": 1}], dtype=object), y=np.ones(1))
    with pytest.raises(InputError, match="not an NPZ file of plain arrays"):
        read(tmp_path / "bad.npz")
    (tmp_path / "bad.npz").write_bytes(b"PK\x03\x04 not really")
    with pytest.raises(InputError, match="not an NPZ file"):
        read(tmp_path / "bad.npz")
    with pytest.raises(InputError, match="cannot be read"):
        read(tmp_path / "absent.npz")


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"z": np.ones(3)}, "no matrix `x` among its arrays"),
        ({"x": np.ones((3, 2)), "X": np.ones((3, 2)), "y": np.ones(3)}, "has both `x` and `X`"),
        ({"x": np.ones(3)}, "is not a matrix of numbers"),
        ({"x": np.ones((3, 2))}, "no array 'y' for the target"),
        ({"x": np.ones((3, 2)), "y": np.ones(4)}, "it needs 3 numbers or words"),
    ],
)
def test_bad_archives(arrays: dict[str, Any], message: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "t.npz", **arrays)
    with pytest.raises(InputError, match=message):
        read(tmp_path / "t.npz")


def test_reading_a_table_says_nothing_where_nothing_is_odd(
    frame: pd.DataFrame, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    frame.to_csv(tmp_path / "t.csv", index=False)
    with caplog.at_level(logging.INFO):
        read(tmp_path / "t.csv")
    assert caplog.text == ""


def test_a_long_table_with_other_line_ends_is_no_wide_one(tmp_path: Path) -> None:
    frames = []
    for name, end in (("lf", "\n"), ("crlf", "\r\n"), ("cr", "\r")):
        path = tmp_path / f"{name}.csv"
        path.write_bytes(("a,b,y" + end + end.join(f"{i},{i % 7},{i * i}" for i in range(60_000))).encode())
        frames.append(read_table(str(path), Reading()).frame)
    assert len(frames[0]) == 60_000
    assert frames[0].equals(frames[1])
    assert frames[0].equals(frames[2])


def test_a_header_of_too_many_columns_is_refused(tmp_path: Path) -> None:
    (tmp_path / "wide.csv").write_bytes(b"a," * 100_001 + b"y\r1")
    with pytest.raises(InputError, match="names 100002 columns"):
        read_table(str(tmp_path / "wide.csv"), Reading())
