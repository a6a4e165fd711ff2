"""Whatever a file holds, a command ends well or says in one message what is wrong with it."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import random
import resource
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlpiht_cli.cli import main
from mlpiht_cli.core.model import SparseMLP
from mlpiht_cli.errors import InputError
from mlpiht_cli.figures.read import figure_tables
from mlpiht_cli.linalg.sparse import SparseMatrix
from mlpiht_cli.records.rows import Row
from mlpiht_cli.records.store import Store
from mlpiht_cli.records.table import to_csv
from mlpiht_cli.specs.load import parse
from mlpiht_cli.tasks._readers import read_cifar10, read_idx
from mlpiht_cli.tasks.datasets import payload
from tests.fuzz.pictures import PICTURES, read_picture, read_sealed
from tests.hand import VARIED

_spec = importlib.util.spec_from_file_location("mutate", Path(__file__).with_name("mutate.py"))
assert _spec is not None
assert _spec.loader is not None
mutate = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(mutate)

MANY = 10_000
FEW = 200
ROOM = 2**30
"""Bytes of address space that reading a small file may take."""
SECONDS = 10.0

Reader = Callable[[bytes, Path], object]


@pytest.fixture
def bounded() -> Iterator[None]:
    """Little room, so that a reader that believes a header fails."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (psutil.Process().memory_info().vms + ROOM, hard))
    yield
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def command(*words: object) -> int:
    """Run a command line; exit codes 0 and 2 are well, and so is 1 of a check or fit that does not hold."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main([str(word) for word in words])
    said = err.getvalue()
    assert "internal error" not in said, said[-2000:]
    assert "Traceback" not in said
    assert code in (0, 2) or (code == 1 and words[0] in ("check", "fit")), (code, said[-2000:])
    assert code != 2 or said.count("error:") >= 1
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


def read_data_csv(data: bytes, folder: Path) -> int:
    (folder / "f.csv").write_bytes(data)
    return command("fit", "--method", "iht", "--data", folder / "f.csv", "--m", 2, "--s", 3, "--set", "method.steps=1")


def read_data_npz(data: bytes, folder: Path) -> int:
    (folder / "f.npz").write_bytes(data)
    return command("fit", "--method", "iht", "--data", folder / "f.npz", "--m", 2, "--s", 3, "--set", "method.steps=1")


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
    """A damaged record is left out; whatever is taken belongs to its cell."""
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
    import gzip

    return gzip.compress(b"some content " * 30)


@pytest.fixture
def good(tmp_path: Path, tiny_spec: str) -> dict[str, tuple[bytes, Reader]]:
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
        "data csv": (table().encode(), read_data_csv),
        "data npz": (packed(x=x, y=np.arange(12.0) % 3), read_data_npz),
        "model": (model_bytes(tmp_path), read_model),
        "results csv": (results.encode(), read_results),
        "reference csv": (to_csv([row()]).encode(), read_reference),
        "plotted csv": (results.encode(), read_drawn),
        "record": (row().model_dump_json(by_alias=True, indent=1).encode(), read_record),
        **{name: (data, read_picture) for name, data in PICTURES.items()},
        **{f"sealed {name}": (data, read_sealed) for name, data in PICTURES.items() if name.startswith("png")},
        "gzip": (a_gzip(), read_gzip),
        "tar": (a_tar(), read_tar),
    }


KINDS = (
    *("spec", "varied spec", "idx", "cifar10", "data csv", "data npz", "model", "results csv", "reference csv"),
    *("plotted csv", "record", "gzip", "tar"),
    *PICTURES,
    *(f"sealed {name}" for name in PICTURES if name.startswith("png")),
)


@pytest.mark.parametrize("count", [FEW, pytest.param(MANY, marks=[pytest.mark.slow, pytest.mark.timeout(3000)])])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.usefixtures("bounded")
def test_mutations(
    kind: str, count: int, good: dict[str, tuple[bytes, Reader]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    content, read = good[kind]
    assert not read(content, tmp_path), "the good file is read"
    rng = random.Random()
    for seed in (rng.randrange(2**32) for _ in range(count)):
        data = mutate.mutated(content, random.Random(seed))
        start = time.perf_counter()
        try:
            read(data, tmp_path)
        except BaseException as error:
            (tmp_path / "culprit").write_bytes(data)
            raise AssertionError(f"seed {seed}, kept as {tmp_path / 'culprit'}: {data[:300]!r}") from error
        assert time.perf_counter() - start < SECONDS, f"seed {seed}: {data[:300]!r}"


def test_the_mutator_reaches_far(good: dict[str, tuple[bytes, Reader]]) -> None:
    content = good["spec"][0]
    made = {mutate.mutated(content, random.Random(seed)) for seed in range(200)}
    assert len(made) > 150
    assert mutate.mutated(content, random.Random(1)) == mutate.mutated(content, random.Random(1))


SETTINGS = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@SETTINGS
@given(st.text(max_size=200))
def test_any_text_is_yaml_or_refused(text: str) -> None:
    expecting(lambda: parse(text, Path("f.yaml")))


@SETTINGS
@given(st.binary(max_size=200), st.sampled_from(KINDS))
@pytest.mark.usefixtures("bounded")
def test_any_bytes(good: dict[str, tuple[bytes, Reader]], tmp_path: Path, data: bytes, kind: str) -> None:
    good[kind][1](data, tmp_path)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


def places(document: Any) -> list[tuple[Any, Any]]:
    """Every container of a document with each of its keys or positions."""
    keys = document if isinstance(document, dict) else range(len(document)) if isinstance(document, list) else ()
    return [place for key in keys for place in ((document, key), *places(document[key]))]


@SETTINGS
@given(st.booleans(), st.integers(0, 999), VALUES)
def test_any_value_anywhere(tiny_spec: str, tmp_path: Path, varied: bool, place: int, value: object) -> None:
    import yaml

    document = yaml.safe_load(VARIED if varied else tiny_spec)
    every = places(document)
    container, key = every[place % len(every)]
    container[key] = value
    read_spec(yaml.safe_dump(document, allow_unicode=True).encode(errors="replace"), tmp_path)
