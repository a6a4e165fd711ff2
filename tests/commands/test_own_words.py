"""Damaged files are refused in our words: what, where and what to do, and no library's sentence."""

from __future__ import annotations

import gzip
import io
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlpiht_cli.records.rows import Row
from mlpiht_cli.records.table import to_csv
from tests.library_words import foreign

Run = Callable[..., Any]
ROWS = 40
PLAIN = "a,b,y\n" + "".join(f"{i},{0.5 * i % 3},{i % 5 + 0.5}\n" for i in range(ROWS))


def packed(**arrays: Any) -> bytes:
    out = io.BytesIO()
    np.savez(out, **arrays)
    return out.getvalue()


def parquet() -> bytes:
    out = io.BytesIO()
    pd.read_csv(io.StringIO(PLAIN)).to_parquet(out, index=False)
    return out.getvalue()


def archive(*members: tuple[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about a name that stands twice
        for name, content in members:
            file.writestr(name, content)
    return out.getvalue()


def npy() -> bytes:
    out = io.BytesIO()
    np.save(out, np.ones((3, 2)))
    return out.getvalue()


def without(data: bytes, start: int, end: int) -> bytes:
    return data[:start] + b"\xff" * (end - start) + data[end:]


ZIP, PACKED, TABLE = packed(x=np.ones((9, 2)), y=np.arange(9.0)), gzip.compress(PLAIN.encode()), parquet()
LOCKED = ZIP[:6] + b"\x01" + ZIP[7 : ZIP.index(b"PK\x01\x02") + 8] + b"\x01" + ZIP[ZIP.index(b"PK\x01\x02") + 9 :]
TABLES = {
    "cut.csv.gz": (PACKED[:-20], "not a whole gzip file (it ends too early); copy or pack it again"),
    "sum.csv.gz": (without(PACKED, len(PACKED) - 8, len(PACKED) - 4), "not a whole gzip file (its content is damaged)"),
    "deflate.csv.gz": (without(PACKED, 40, 46), "not a whole gzip file (its content is damaged)"),
    "tail.csv.gz": (PACKED + b"more", "not a whole gzip file (its content is damaged)"),
    "plain.csv.gz": (PLAIN.encode(), "is not gzip, as its name says; rename it"),
    "twice.csv.gz": (gzip.compress(PACKED), "is packed with gzip twice, which is not unpacked"),
    "text.npz": (PLAIN.encode(), "not an NPZ file of plain arrays (it is no zip archive); save it again"),
    "empty.npz": (b"", "(it is empty)"),
    "cut.npz": (ZIP[:-30], "(it is cut short or damaged)"),
    "sum.npz": (without(ZIP, 200, 208), "(array 'x' is damaged)"),
    "locked.npz": (LOCKED, "(array 'x' is encrypted)"),
    "member.npz": (archive(("t.csv", b"a,y")), "(member 't.csv' is no array)"),
    "twice.npz": (archive(("x.npy", npy()), ("x.npy", npy())), "(it holds two arrays 'x')"),
    "a\0b.csv": (None, "cannot be read (its name holds a zero byte); check the path"),
    "absent.npz": (None, "error: absent.npz: cannot be read (No such file or directory); check the path"),
    "cut.parquet": (TABLE[:-30], "not a Parquet table (it is cut short); write it again"),
    "page.parquet": (without(TABLE, 30, 60), "not a Parquet table (it is damaged); write it again"),
    "text.parquet": (PLAIN.encode(), "not a Parquet table (it does not start as one)"),
    "empty.parquet": (b"", "not a Parquet table (it is empty)"),
    "x.npy": (npy(), "is an NPY array, which is not read; save the table as NPZ with the arrays x and y"),
    "t.bz2": (b"BZh91AY&SY", "is packed with bzip2, which is not unpacked; unpack it, or pack it with gzip once"),
    "t.xz": (b"\xfd7zXZ\x00\x00", "is packed with xz"),
    "t.zst": (b"\x28\xb5\x2f\xfd\x04", "is packed with Zstandard"),
    "t.7z": (b"7z\xbc\xaf\x27\x1c", "is an archive of 7-Zip"),
    "t.tar": (b"t.csv".ljust(257, b"\0") + b"ustar", "is a tar archive"),
    "t.h5": (b"\x89HDF\r\n\x1a\n", "is an HDF5 file"),
    "t.feather": (b"ARROW1\0\0", "is an Arrow or Feather file"),
    "t.xls": (b"\xd0\xcf\x11\xe0\xa1", "is an Excel workbook"),
    "t.db": (b"SQLite format 3\0", "is an SQLite database"),
    "t.pkl": (b"\x80\x04\x95", "is a pickle"),
    "t.json": (b'[\n {"a": 1, "y": 2}]', "is a JSON file"),
    "t.html": (b"<!DOCTYPE html><table>", "is an HTML or XML file"),
    "le.csv": (PLAIN.encode("utf-16-le"), "is UTF-16 text; save it as UTF-8"),
    "be.csv": (PLAIN.encode("utf-16-be"), "is UTF-16 text; save it as UTF-8"),
    "wide.csv": (PLAIN.encode("utf-32"), "is UTF-32 text; save it as UTF-8"),
    "zero.csv": (PLAIN.replace("3,", "3\0,").encode(), "holds a zero byte in line 5"),
    "bars.csv": (PLAIN.replace(",", "|").encode(), "its values are separated by bars (|), which are not read"),
    "spaces.csv": (PLAIN.replace(",", " ").encode(), "its values are separated by spaces, which are not read"),
    "case.csv": (PLAIN.replace("y", "Y").encode(), "no column 'y' for the target, did you mean 'Y'?"),
}


@pytest.mark.parametrize("name", TABLES)
def test_tables(name: str, mlpiht: Run, tmp_path: Path) -> None:
    content, words = TABLES[name]
    if content is not None:
        (tmp_path / name).write_bytes(content)
    refused(mlpiht("fit", "--data", name), words)


def refused(found: Any, *words: str) -> None:
    assert found.code == 2
    assert found.err.count("\n") == 1
    assert foreign(found.err) is None, found.err
    assert all(word in found.err for word in words), found.err


SPECS = {
    "a: 1\n  b: 2": "2:4: malformed YAML: a colon stands where no name can",
    "a: [1, 2": "1:9: malformed YAML: a list in brackets misses a comma or its ]",
    "a: {b: 1": "1:9: malformed YAML: a mapping in braces misses a comma or its }",
    "a:\n\tb: 1": "a tab stands where only spaces may",
    "a: @x": "1:4: malformed YAML: text cannot start with this sign; quote it",
    'a: "x': "a quotation mark is never closed",
    "a: *x": "an alias (*) refers to no anchor (&) before it",
    "a: &x 1\nb: &x 2": "2:4: malformed YAML: an anchor (&) is given twice",
    "a: !foo 1": "1:4: malformed YAML: a tag (!) is not known",
    "a: !!int x": "1:4: malformed YAML: the value does not fit its tag",
    "a: !!bool x": "1:4: malformed YAML: the value does not fit its tag",
    "a: !!float": "1:4: malformed YAML: the value does not fit its tag",
    "a: !!timestamp 1": "1:4: malformed YAML: the value does not fit its tag",
    f"a: {'9' * 5000}": "1:4: malformed YAML: the value does not fit its tag, or has thousands of digits",
    "a: 1\n---\nb: 2": "2:1: malformed YAML: a second document starts here",
    "- a\nb: 1": "2:1: malformed YAML: the line does not fit those above it",
    'a: "\\q"': "a backslash in double quotes starts no known sign",
    "a: \x07": "1:4: malformed YAML: a character that no text file holds",
    "a: b\n-c": "a name has no colon after it",
}


@pytest.mark.parametrize("text", SPECS, ids=range(len(SPECS)))
def test_specs(text: str, mlpiht: Run, tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text(text)
    found = mlpiht("validate", "s.yaml")
    assert found.code == 2
    assert SPECS[text] in found.err
    assert foreign(found.err) is None


def test_specs_in_another_encoding(mlpiht: Run, tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_bytes(b"a: caf\xe9\n")
    found = mlpiht("validate", "s.yaml")
    assert "s.yaml: is not UTF-8 text (byte 0xe9); save it as UTF-8" in found.err


def row(cell: str = "aa11") -> Row:
    facts = {"task": "planted", "method": "iht", "depth": 1, "m": 1, "s": 1, "seed": 0, "status": "ok", "value": 1.5}
    facts |= {"spec": "tiny", "panel": "a", "metric": "psnr", "psnr": 1.5, "params": {}}
    return Row.model_validate({"cell": cell, **facts})


def changed(column: str, value: str) -> bytes:
    names, values = (line.split(",") for line in to_csv([row()]).splitlines())
    values[names.index(column)] = value
    return f"{','.join(names)}\n{','.join(values)}\n".encode()


RESULTS = {
    "a word for a number": (
        changed("m", "two"),
        "row 2: m: it must be a whole number, got 'two'; correct it, or take the row out",
    ),
    "a fraction": (changed("seed", "0.5"), "row 2: seed: it must be a whole number, got '0.5'"),
    "a negative budget": (changed("s", "-5"), "row 2: s: it must be 0 or more, got '-5'"),
    "a score": (changed("psnr", "1;5"), "row 2: psnr: it must be a number, got '1;5'"),
    "a status": (changed("status", "fine"), "row 2: status: it must be 'ok', "),
    "settings": (changed("params", "{"), "row 2: params: no JSON from character 2 on"),
    "a path": (changed("cell", "../x"), "row 2: cell: it does not have the form"),
    "bytes": (changed("reason", "X").replace(b"X", b"\xff"), "cannot be read (not UTF-8 text, byte 0xff)"),
    "a long field": (changed("reason", "x" * 200_000), "cannot be read (a line is no CSV"),
}


@pytest.mark.parametrize("name", RESULTS)
def test_results(name: str, mlpiht: Run, tmp_path: Path) -> None:
    content, words = RESULTS[name]
    (tmp_path / "f.csv").write_bytes(content)
    refused(mlpiht("check", "f.csv", "--reference", "f.csv"), "error: f.csv: ", words)


HEAD = b"method,m,s,seed,metric,value,params\n"
REFERENCES = {
    b"iht,two,1,0,psnr,1.5,\n": "row 2: m: 'two' is no whole number; correct it, or leave the row out",
    b"iht,1_0,1,0,psnr,1.5,\n": "row 2: m: '1_0' is no whole number",
    b"iht,1,1.5,0,psnr,1.5,\n": "row 2: s: '1.5' is no whole number",
    b"iht,1,1,0,psnr,high,\n": "row 2: value: 'high' is no number",
    b"iht,1,1,0,psnr,,\n": "row 2: value: there is no number",
    b"iht,1,1,0,psnr,1.5,{\n": "row 2: params: no JSON from character 2 on",
    b"iht,1,1,0,psnr,1.5,[1]\n": "row 2: params is no JSON object",
    b"iht,1,1\n": "row 2: has fewer values than the header has names",
    b"iht,1,1,0,psnr,1.5,,7\n": "row 2: has more values than the header has names",
    b"\xff,1,1,0,psnr,1.5,\n": "cannot be read (not UTF-8 text, byte 0xff); check the file",
    b"x" * 200_000 + b",1,1,0,psnr,1.5,\n": "cannot be read (a line is no CSV; check its quotation marks)",
}


@pytest.mark.parametrize("line", REFERENCES, ids=range(len(REFERENCES)))
def test_references(line: bytes, mlpiht: Run, tmp_path: Path) -> None:
    (tmp_path / "ours.csv").write_text(to_csv([row()]))
    (tmp_path / "r.csv").write_bytes(HEAD + line)
    refused(mlpiht("check", "ours.csv", "--reference", "r.csv"), "error: r.csv: ", REFERENCES[line])


LAYER = {"layer0_index": np.arange(2), "layer0_values": np.ones(2), "layer0_shape": np.array([1, 2])}
MODEL = {"format": np.array("mlpiht-model-1"), "meta": np.array("{}"), **LAYER}
MODELS = {
    "other arrays": ({"x": np.ones(3)}, "its arrays are not those of the format 'mlpiht-model-1'"),
    "no values": ({**MODEL, "layer0_values": None}, "it has no array 'layer0_values'"),
    "no shape": ({**MODEL, "layer0_shape": np.ones(3)}, "layer0: its shape is not two whole numbers"),
    "words": ({**MODEL, "layer0_shape": np.array(["a", "b"])}, "layer0: its shape is not two whole numbers"),
    "values": ({**MODEL, "layer0_values": np.array(["a", "b"])}, "layer0: the values are not finite floats"),
    "meta": ({**MODEL, "meta": np.array("{")}, "its meta data are no JSON"),
    "a list": ({**MODEL, "meta": np.array("[]")}, "it has no meta data, or they are no mapping"),
    "signs": ({**MODEL, "readout": np.array(["a"])}, "its readout is no vector of finite numbers"),
    "complex": ({**MODEL, "readout": np.array([1j])}, "its readout is no vector of finite numbers"),
    "bias": ({**MODEL, "bias": np.array(1.0)}, "its bias is no vector of finite numbers"),
}


@pytest.mark.parametrize("name", MODELS)
def test_models(name: str, mlpiht: Run, tmp_path: Path) -> None:
    arrays, words = MODELS[name]
    (tmp_path / "m.npz").write_bytes(packed(**{key: value for key, value in arrays.items() if value is not None}))
    refused(mlpiht("show", "m.npz"), "error: m.npz: not a model file of mlpiht (", words, "; name one that")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("absent.npz", "cannot be read (No such file or directory); check the path"),
        ("text.npz", "not a model file of mlpiht (it is no zip archive); name one that"),
    ],
)
def test_files_that_are_no_models(name: str, words: str, mlpiht: Run, tmp_path: Path) -> None:
    (tmp_path / "text.npz").write_text(PLAIN)
    refused(mlpiht("show", name), words)


SETTINGS = {
    "method.steps=1.5": "method.steps: it must be a whole number, got 1.5",
    "method.steps=0": "method.steps: it must be 1 or more, got 0",
    "method.steps=yes": "method.steps: it must be a whole number, got 'yes'",
    "task.test_share=2": "task.test_share: it must be less than 1.0, got 2",
    "task.standardise=7": "task.standardise: it must be true or false, got 7",
    "task.decimal=dot": "task.decimal: it must be 'auto', 'point' or 'comma', got 'dot'",
    "task.drop={a: 1}": "task.drop: it must be a list, got {'a': 1}",
}


@pytest.mark.parametrize("setting", SETTINGS)
def test_settings(setting: str, mlpiht: Run, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(PLAIN)
    refused(mlpiht("fit", "--method", "iht", "--data", "t.csv", "--set", setting), SETTINGS[setting])


@pytest.mark.parametrize("name", ["y\nerror: all is well", "y\rz", "y\x1b[2Jz", "y\fz", "y\u2028z"])
def test_names_cannot_steer_a_terminal(name: str, mlpiht: Run, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(f'a,"{name}","{name}"\n' + "1,2,3\n" * 9)
    found = mlpiht("fit", "--data", "t.csv")
    assert found.code == 2
    assert len(found.err.splitlines()) == 1
    assert repr(name) in found.err
    (tmp_path / "t.csv").write_text(f'"{name}",y\n' + "".join(f"{i // 2 * 7}%,{i}\n" for i in range(12)))
    told = mlpiht("fit", "--data", "t.csv").err.splitlines()
    told += mlpiht("fit", "--data", "t.csv", "--target", "other").err.splitlines()
    assert all(line.startswith(("warning: t.csv: ", "error: t.csv: ")) for line in told)


def test_lines_of_a_message_stay(mlpiht: Run, tiny_spec: str, tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text(
        tiny_spec.replace("seeds: [0, 1]", "seeds: [0, -1]").replace("m: [2, 3]", "m: [0]")
    )
    assert mlpiht("validate", "s.yaml").err.count("\n") >= 2


def test_a_long_name_is_shown(mlpiht: Run, tmp_path: Path) -> None:
    name = "y" * 500
    (tmp_path / "t.csv").write_text(PLAIN.replace("y", name))
    given = ("--target", name, "--method", "iht", "--m", 2, "--s", 3, "--set", "method.steps=1", "--save", "m.npz")
    assert mlpiht("fit", "--data", "t.csv", *given).code == 0
    assert f"{name} = " in mlpiht("show", "m.npz").out
