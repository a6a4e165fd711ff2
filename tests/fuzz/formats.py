"""Good files of every format, and what reads each."""

from __future__ import annotations

import contextlib
import gzip
import io
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from mlpiht_cli.cli import main
from mlpiht_cli.core.model import SparseMLP
from mlpiht_cli.errors import InputError
from mlpiht_cli.figures.read import figure_tables
from mlpiht_cli.linalg.sparse import SparseMatrix
from mlpiht_cli.records.rows import Row
from mlpiht_cli.records.store import Store
from mlpiht_cli.records.table import to_csv
from mlpiht_cli.tasks._readers import read_cifar10, read_idx
from mlpiht_cli.tasks.datasets import payload
from tests.fuzz.pictures import PICTURES, read_picture, read_sealed
from tests.hand import VARIED
from tests.library_words import foreign

Reader = Callable[[bytes, Path], object]


def command(*words: object) -> int:
    """Run a command line; exit codes 0 and 2 are well, and so is 1 of a check or fit that does not hold."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main([str(word) for word in words])
    said = err.getvalue()
    assert "internal error" not in said, said[-2000:]
    assert "Traceback" not in said
    assert foreign(said) is None, said[-2000:]
    assert code in (0, 2) or (code == 1 and words[0] in ("check", "fit")), (code, said[-2000:])
    assert code != 2 or (said.startswith("error: ") or "\nerror: " in said)
    assert code != 2 or words[0] == "validate" or said.splitlines()[-1].startswith("error: "), said[-2000:]
    assert code != 2 or not out.getvalue()
    assert len(said) < 200_000, "a message is for reading"
    return code


def table(rows: int = 12) -> str:
    return "a,b,y\n" + "".join(f"{i},{0.5 * i % 3},{i % 5}\n" for i in range(rows))


def row(**changes: object) -> Row:
    base = {"task": "planted", "method": "iht", "depth": 1, "m": 1, "s": 1, "seed": 0, "status": "ok", "value": 1.5}
    base |= {"spec": "tiny", "panel": "a", "params": {"method": {"steps": 3}, "task": {"n": 9}}, "wall_s": 0.1}
    base |= {"n": 9, "d": 2, "k": 1, "metric": "psnr", "psnr": 1.5, "measures": {"sure": True, "step": 0.5}}
    return Row.model_validate({"cell": "aa11", **base, **changes})


def packed(**arrays: Any) -> bytes:
    out = io.BytesIO()
    np.savez(out, **arrays)
    return out.getvalue()


def model_bytes(folder: Path) -> bytes:
    weights = SparseMatrix.from_dense(torch.tensor([[1.0, 0.0, 2.0], [0.0, 3.0, 0.0]]))
    columns = [{"name": "a", "fill": 1.0}, {"name": "b", "fill": 2.0}]
    recipe = {"columns": columns, "target": "y", "mean": [1.0, 2.0], "scale": [1.0, 1.0], "intercept": True}
    recipe |= {"kind": "regression", "classes": [], "y_mean": 0.0, "y_scale": 1.0}
    SparseMLP((weights,), torch.ones(2), bias=torch.zeros(2)).save(folder / "m.npz", {"recipe": recipe})
    return (folder / "m.npz").read_bytes()


def read_spec(data: bytes, folder: Path) -> int:
    (folder / "f.yaml").write_bytes(data)
    return command("validate", folder / "f.yaml")


def read_data(name: str) -> Reader:
    """A fit of a file of this name; one that is refused writes nothing."""

    def read(data: bytes, folder: Path) -> int:
        (folder / name).write_bytes(data)
        (folder / "saved.npz").unlink(missing_ok=True)
        before = {*folder.iterdir()}
        given = ("--m", 2, "--s", 3, "--set", "method.steps=1", "--save", folder / "saved.npz")
        code = command("fit", "--method", "iht", "--data", folder / name, *given)
        assert code == 0 or {*folder.iterdir()} == before
        return code

    return read


def read_rows(data: bytes, folder: Path) -> int:
    """Rows to predict, in a folder with a model."""
    (folder / "f.csv").write_bytes(data)
    return command("predict", folder / "m.npz", folder / "f.csv")


def read_recipe(data: bytes, folder: Path) -> int:
    """The notes of a model: they hold how to read a table."""
    with np.load(folder / "m.npz") as good:
        arrays = {name: good[name] for name in good.files} | {"meta": np.array(data.decode("utf-8", "ignore"))}
    (folder / "g.npz").write_bytes(packed(**arrays))
    (folder / "rows.csv").write_text(table())
    return max(command("predict", folder / "g.npz", folder / "rows.csv"), command("show", folder / "g.npz"))


def read_model(data: bytes, folder: Path) -> int:
    (folder / "f.npz").write_bytes(data)
    (folder / "rows.csv").write_text(table())
    predicted = command("predict", folder / "f.npz", folder / "rows.csv")
    return max(predicted, command("show", folder / "f.npz"), command("export", folder / "f.npz", "--to", "torch"))


def read_results(data: bytes, folder: Path) -> int:
    (folder / "f.csv").write_bytes(data)
    (folder / "reference.csv").write_text(to_csv([row()]))
    return command("check", folder / "f.csv", "--reference", folder / "reference.csv")


def read_reference(data: bytes, folder: Path) -> int:
    (folder / "f.csv").write_bytes(data)
    (folder / "ours.csv").write_text(to_csv([row()]))
    return command("check", folder / "ours.csv", "--reference", folder / "f.csv")


def read_drawn(data: bytes, folder: Path) -> None:
    """What `plot` makes of a table, up to the drawing itself, which is slow."""
    (folder / "f.csv").write_bytes(data)
    expecting(lambda: figure_tables(str(folder / "f.csv"), "paper", folder))


def read_record(data: bytes, folder: Path) -> None:
    """A damaged record is left out; what is taken belongs to its cell."""
    store = Store(folder / "results")
    store.write(row())
    (path,) = (folder / "results" / ".records").glob("*/*.json")
    path.write_bytes(data)
    try:
        assert all(found.cell == key for key, found in store.records(["aa11"]).items())
        assert [one for one, _ in store.every()] == [path]
    finally:
        path.unlink()


def expecting(read: Callable[[], object]) -> None:
    with contextlib.suppress(InputError):
        read()


def read_pixels(data: bytes, _: Path) -> None:
    expecting(lambda: read_idx(data, "f", 1))
    expecting(lambda: read_idx(data, "f", 3))


def read_pictures(data: bytes, _: Path) -> None:
    expecting(lambda: read_cifar10(data, "f"))


def read_gzip(data: bytes, folder: Path) -> None:
    (folder / "f.gz").write_bytes(data)
    expecting(lambda: payload(folder / "f.gz", 10_000))


def read_tar(data: bytes, folder: Path) -> None:
    (folder / "f.tar.gz").write_bytes(data)
    expecting(lambda: payload(folder / "f.tar.gz", 10_000, "folder/name"))


def a_tar() -> bytes:
    import tarfile

    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        info = tarfile.TarInfo("folder/name")
        info.size = 500
        archive.addfile(info, io.BytesIO(bytes(500)))
    return out.getvalue()


def a_gzip() -> bytes:
    return gzip.compress(b"some content " * 30)


def tables(x: Any) -> dict[str, tuple[bytes, Reader]]:
    """Tables in every form that is read, and in some that are named and refused."""
    plain = table()
    commas = plain.replace(",", ";").replace(".", ",")
    words = "a,b,when,y\n" + "".join(
        f"{i % 4},{'uvw'[i % 3]},2020-01-0{i % 3 + 1},{['no', 'yes'][i % 2]}\n" for i in range(12)
    )
    array = io.BytesIO()
    np.save(array, x)
    frame = io.BytesIO()
    pd.read_csv(io.StringIO(plain)).to_parquet(frame, index=False)
    arff = "@relation t\n@attribute a numeric\n@attribute y numeric\n@data\n1,2\n3,4\n"
    return {
        "data csv": (plain.encode(), read_data("f.csv")),
        "data tsv": (plain.replace(",", "\t").encode(), read_data("f.tsv")),
        "data semicolons": (commas.encode(), read_data("f.csv")),
        "data words": (words.encode(), read_data("f.csv")),
        "data quoted": (plain.replace("2", '"2"').encode(), read_data("f.csv")),
        "data utf-16": (plain.encode("utf-16"), read_data("f.csv")),
        "data npz": (packed(x=x, y=np.arange(12.0) % 3), read_data("f.npz")),
        "data parquet": (frame.getvalue(), read_data("f.parquet")),
        "data gzip": (gzip.compress(plain.encode()), read_data("f.csv.gz")),
        "data packed tsv": (gzip.compress(plain.replace(",", "\t").encode()), read_data("f.tsv.gz")),
        "data npy": (array.getvalue(), read_data("f.npy")),
        "data arff": (arff.encode(), read_data("f.arff")),
        "data svmlight": (b"1 1:0.5 2:3\n-1 1:2 2:4\n" * 6, read_data("f.txt")),
    }


def notes(folder: Path) -> bytes:
    """Notes of the model in a folder."""
    model_bytes(folder)
    with np.load(folder / "m.npz") as arrays:
        return str(arrays["meta"]).encode()


REFUSED = ("data utf-16", "data npy", "data arff", "data svmlight")
"""Kinds whose good file is refused by its name."""


def good_files(tmp_path: Path, tiny_spec: str) -> dict[str, tuple[bytes, Reader]]:
    """Good files by format, and what reads them."""
    x = np.arange(24.0).reshape(12, 2) % 5
    results = to_csv(
        [row(), row(cell="bb22", m=2, value=float("inf")), row(cell="cc33", m=3, status="failed", reason="no")]
    )
    return {
        "spec": (tiny_spec.encode(), read_spec),
        "varied spec": (VARIED.encode(), read_spec),
        "idx": (struct.pack(">4B3I", 0, 0, 8, 3, 4, 5, 6) + bytes(120), read_pixels),
        "cifar10": (b"".join(bytes([label]) + bytes(3072) for label in range(3)), read_pictures),
        **tables(x),
        "model": (model_bytes(tmp_path), read_model),
        "rows": (table().encode(), read_rows),
        "recipe": (notes(tmp_path), read_recipe),
        "results csv": (results.encode(), read_results),
        "reference csv": (to_csv([row()]).encode(), read_reference),
        "plotted csv": (results.encode(), read_drawn),
        "record": (row().model_dump_json(by_alias=True, indent=1).encode(), read_record),
        **{name: (data, read_picture) for name, data in PICTURES.items()},
        **{f"sealed {name}": (data, read_sealed) for name, data in PICTURES.items() if name.startswith("png")},
        "gzip": (a_gzip(), read_gzip),
        "tar": (a_tar(), read_tar),
    }


TABLES = ("csv", "tsv", "semicolons", "words", "quoted", "utf-16", "npz", "parquet", "gzip", "packed tsv", "npy")
KINDS = (
    *("spec", "varied spec", "idx", "cifar10", *(f"data {name}" for name in TABLES), "data arff", "data svmlight"),
    *("model", "rows", "recipe", "results csv", "reference csv"),
    *("plotted csv", "record", "gzip", "tar"),
    *PICTURES,
    *(f"sealed {name}" for name in PICTURES if name.startswith("png")),
)
