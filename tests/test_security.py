"""Hostile files: refused with one message, before memory or time is spent on what they promise."""

from __future__ import annotations

import ast
import gzip
import io
import os
import resource
import struct
import tarfile
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from mlpiht_cli.core.model import FORMAT, SparseMLP
from mlpiht_cli.errors import InputError, did_you_mean
from mlpiht_cli.specs.load import parse
from mlpiht_cli.system import memory
from mlpiht_cli.system.npz import NotAnArchive, unpack
from mlpiht_cli.tasks import datasets
from mlpiht_cli.tasks.datasets import payload

Run = Callable[..., Any]
PACKAGE = Path(__file__).resolve().parents[1] / "mlpiht_cli"
FIT = ("fit", "--method", "iht", "--m", 2, "--s", 3, "--data")


@pytest.fixture(autouse=True)
def frugal() -> Iterator[None]:
    """Nothing here may take more than 300 MB or twenty seconds."""
    import matplotlib.pyplot  # noqa: F401  # what commands import is not on the files' bill
    import pandas  # noqa: F401

    from mlpiht_cli import plan  # noqa: F401
    from mlpiht_cli.engine import runner  # noqa: F401

    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (psutil.Process().memory_info().vms + 300 * 10**6, hard))
    start = time.monotonic()
    yield
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
    assert time.monotonic() - start < 20


def refused(result: Any, *parts: str) -> None:
    assert result.code == 2, result.err
    assert result.out == ""
    assert result.err.count("error:") == 1
    for part in parts:
        assert part in result.err
    assert len(result.err) < 10_000


def member(shape: tuple[int, ...], dtype: str = "<f8", content: bytes = b"") -> bytes:
    out = io.BytesIO()
    np.lib.format.write_array_header_1_0(out, {"shape": shape, "fortran_order": False, "descr": dtype})
    return out.getvalue() + content


def archive(path: Path, members: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return path


GOOD = member((2, 2), content=bytes(32))


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"x.npy": member((10**6, 10**6))}, "not of the size in its header"),
        ({"x.npy": member((2**62, 4))}, "not of the size in its header"),
        ({"x.npy": member((10**9,), "<U0")}, "not of the size in its header"),
        ({"x.npy": member((2,), "<f8", bytes(17))}, "not of the size in its header"),
        ({"x.npy": member((1,), "|O", b"cos\nsystem\n")}, "pickled objects"),
        ({"x.npy": GOOD[:6] + b"\x09\x00" + GOOD[8:]}, "magic|format"),
        (
            {"x.npy": b"\x93NUMPY\x01\x00" + struct.pack("<H", 4000) + b"(" * 4000},
            "array 'x' is damaged",
        ),
        ({"x.txt": b"hello"}, "is no array"),
        ({f"x{i}.npy": b"" for i in range(10_001)}, "10001 members"),
    ],
)
def test_archives_that_promise_too_much(tmp_path: Path, members: dict[str, bytes], message: str) -> None:
    with pytest.raises(NotAnArchive, match=message):
        unpack(archive(tmp_path / "f.npz", members))


def test_other_compressions_passwords_and_bare_arrays_are_refused(tmp_path: Path) -> None:
    path = archive(tmp_path / "f.npz", {"x.npy": GOOD}, zipfile.ZIP_LZMA)
    with pytest.raises(NotAnArchive, match="is no array"):
        unpack(path)
    data = bytearray(archive(path, {"x.npy": GOOD}).read_bytes())
    for magic, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(magic) + offset] |= 1
    path.write_bytes(data)
    with pytest.raises(NotAnArchive, match="encrypted"):
        unpack(path)
    np.save(tmp_path / "a.npy", np.zeros(3))
    with pytest.raises(NotAnArchive, match="zip"):
        unpack(tmp_path / "a.npy")


def test_names_in_archives_are_names_only(tmp_path: Path) -> None:
    path = archive(tmp_path / "f.npz", {"../../evil.npy": GOOD, "/tmp/evil.npy": GOOD})
    assert sorted(unpack(path)) == ["../../evil", "/tmp/evil"]
    assert [one.name for one in tmp_path.iterdir()] == ["f.npz"]


def test_bombs_are_weighed_before_they_go_off(mlpiht: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available", lambda: 2**25)
    archive(Path("f.npz"), {"x.npy": member((5, 10**6), content=bytes(40 * 10**6))})
    assert Path("f.npz").stat().st_size < 10**5
    refused(mlpiht(*FIT, "f.npz"), "unpacking it would take about 0.0 GiB")
    archive(Path("g.npz"), {"x.npy": member((10**6, 10), "|u1", bytes(10**7)), "y.npy": member((1,), content=bytes(8))})
    refused(mlpiht(*FIT, "g.npz"), "a matrix of 1000000 x 10 would take")


def test_sizes_are_looked_at_before_files(mlpiht: Run) -> None:
    for name in ("huge.csv", "huge.npz", "huge.png"):
        with open(name, "wb") as file:
            file.truncate(2**43)
    refused(mlpiht(*FIT, "huge.csv"), "huge.csv: reading it would take about 16,384.0 GiB")
    refused(mlpiht("plot", "huge.csv"), "huge.csv: its rows would take")
    refused(mlpiht("check", "huge.csv", "--reference", "huge.csv"), "would take")
    words = ("--task", "inr_mnist", "--set", "task.image=huge.png", "--m", 2, "--s", 3)
    refused(mlpiht("fit", "--method", "iht", *words), "would take")


@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
def test_what_is_no_file_is_not_opened(mlpiht: Run, kind: str) -> None:
    for name in ("x.csv", "x.npz"):
        if kind == "pipe":
            os.mkfifo(name)
        elif kind == "device":
            Path(name).symlink_to("/dev/zero")
        else:
            Path(name).mkdir()
    Path("ours.csv").write_text("cell\n")
    words = "Is a directory" if kind == "folder" else "not a regular file"
    refused(mlpiht(*FIT, "x.csv"), words)
    refused(mlpiht(*FIT, "x.npz"), words)
    refused(mlpiht("predict", "x.npz", "x.csv"), words)
    refused(mlpiht("plot", "x.csv"), words)
    refused(mlpiht("check", "ours.csv", "--reference", "x.csv"), words)


def test_tables_of_absurd_shape(mlpiht: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("wide.csv").write_text(",".join(f"c{i}" for i in range(100_001)) + "\n1")
    refused(mlpiht(*FIT, "wide.csv"), "its header names 100001 columns")
    archive(Path("none.npz"), {"x.npy": member((0, 10**12)), "y.npy": member((0,))})
    refused(mlpiht(*FIT, "none.npz"), "holds no data")
    archive(Path("wide.npz"), {"x.npy": member((1, 10**6), content=bytes(8 * 10**6)), "y.npy": member((0,))})
    refused(mlpiht(*FIT, "wide.npz"), "1000000 columns")
    Path("name.csv").write_text("n" * 10**6 + ",z\n1,2\n")
    refused(mlpiht(*FIT, "name.csv"), "no column 'y'")
    Path("dense.csv").write_text("a,y\n" + "1,2\n" * 10**6)
    monkeypatch.setattr(memory, "available", lambda: 2**26)
    refused(mlpiht(*FIT, "dense.csv"), "a table of 2000003 values would take")


def test_data_that_could_never_be_made(mlpiht: Run) -> None:
    refused(mlpiht("fit", "--method", "iht", "--task", "planted", "--m", 2, "--s", 3, "--n", 10**12), "GiB of memory")


def model(path: Path, **changes: Any) -> Path:
    arrays = {"format": np.array(FORMAT), "meta": np.array("{}"), "layer0_index": np.array([0])}
    arrays |= {"layer0_values": np.array([1.0]), "layer0_shape": np.array([2, 2]), "readout": np.ones(2)}
    np.savez(path, **{**arrays, **changes})
    return path


@pytest.mark.parametrize(
    "changes",
    [
        {"layer0_shape": np.array([2**40, 2])},
        {"layer0_shape": np.array([0, 2])},
        {"layer0_shape": np.array([-2, -2])},
        {"layer0_shape": np.array([np.inf, 2])},
        {"meta": np.array("[" * 100_000)},
        {"meta": np.array('{"a": ' * 100_000)},
    ],
)
def test_forged_models(tmp_path: Path, changes: dict[str, Any]) -> None:
    SparseMLP.load(model(tmp_path / "m.npz"))
    with pytest.raises(InputError, match="not a model file of mlpiht"):
        SparseMLP.load(model(tmp_path / "m.npz", **changes))


def test_a_model_whose_layers_have_no_room(tmp_path: Path) -> None:
    one = np.array([1.0])
    deep = {"layer0_index": np.array([0]), "layer0_values": one, "layer0_shape": np.array([2**31, 2])}
    deep |= {"layer1_index": np.array([5]), "layer1_values": one, "layer1_shape": np.array([2**20, 2**31])}
    path = tmp_path / "m.npz"
    np.savez(path, format=np.array(FORMAT), meta=np.array("{}"), **deep)
    with pytest.raises(InputError, match="its layers would take"):
        SparseMLP.load(path)


def laughs(depth: int) -> str:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, depth)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (laughs(12), "too many values"),
        ("a: &a [*a]", "nested too deeply|unconstructable|alias"),
        ("a: " + "[" * 20_000, "nested too deeply"),
        ("a: " + "{b: " * 20_000, "nested too deeply"),
        ("- " * 5000, "nested too deeply"),
        ("!!python/object/apply:os.system ['true']", "not allowed"),
        ("a: !!python/name:os.system", "a tag .* is not known"),
        ("a: !!binary aGk=", "not allowed|constructor"),
        ("a: " + "9" * 5000, "malformed|Exceeds"),
    ],
)
def test_yaml_is_plain_and_bounded(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse(text, Path("f.yaml"))


def test_specs_too_large_to_run(mlpiht: Run, tiny_spec: str) -> None:
    many = ", ".join(map(str, range(1, 701)))
    Path("big.yaml").write_text(tiny_spec.replace("m: [2, 3]", f"m: [{many}]").replace("s: [2, 5]", f"s: [{many}]"))
    refused(mlpiht("validate", "big.yaml"), "1960000 cells are more than 200000")
    Path("long.yaml").write_text(tiny_spec + "# " + "x" * 600_000)
    refused(mlpiht("validate", "long.yaml"), "too many for a spec")
    fields = "".join(f"field{i}: {i}\n" for i in range(3000))
    Path("odd.yaml").write_text(tiny_spec + fields)
    refused(mlpiht("validate", "odd.yaml"), "unknown field", "more")


def test_results_tables_that_would_span_a_world(mlpiht: Run, tiny_spec: str) -> None:
    Path("tiny.yaml").write_text(tiny_spec)
    mlpiht("sweep", "tiny", "--only", "m=2,s=2,seed=0,method=iht")
    header, line = Path("results/tiny.csv").read_text().splitlines()
    cell = line.split(",")[5]
    assert ",2,2,0," in line
    rows = [line.replace(cell, f"{i:020d}").replace(",2,2,0,", f",{i},{i},{i},") for i in range(1, 300)]
    Path("f.csv").write_text("\n".join([header, *rows]))
    refused(mlpiht("plot", "f.csv"), "299 x 299 x 299 places for 299 rows")
    Path("g.csv").write_text("\n".join([header, line.replace('"{""method', '"' + "[" * 50_000 + '{""method')]))
    refused(mlpiht("plot", "g.csv"), "row 2: params: ", "nested too deeply")


def test_tar_bombs_end_early(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets, "MAX_UNPACKED", 10**6)
    path = tmp_path / "f.tar.gz"
    with tarfile.open(path, "w:gz") as file:
        info = tarfile.TarInfo("filler")
        info.size = 5 * 10**6
        file.addfile(info, io.BytesIO(bytes(info.size)))
        info = tarfile.TarInfo("folder/name")
        file.addfile(info, io.BytesIO(b""))
    with pytest.raises(InputError, match="unpacks to more than 1000000 bytes"):
        payload(path, 100, "folder/name")
    header = tarfile.TarInfo("pax")
    header.type, header.size = tarfile.XHDTYPE, 2**40
    path.write_bytes(gzip.compress(header.tobuf(tarfile.GNU_FORMAT) + bytes(5 * 10**6)))
    with pytest.raises(InputError, match="cannot be read"):
        payload(path, 100, "folder/name")


def test_data_come_over_https_with_checksums() -> None:
    good = datasets.FILES["mnist"][0]
    for change in ({"url": "http://example.org/f.gz"}, {"container_sha256": ""}, {"payload_sha256": "0" * 63}):
        with pytest.raises(ValueError, match="https"):
            replace(good, **change)


def test_the_free_memory_is_that_of_the_container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_CGROUP", tmp_path)
    whole = memory.available()
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "memory.current").write_text("1000\n")
    assert memory.available() > whole / 2
    (tmp_path / "memory.max").write_text("50001000\n")
    assert memory.available() == 50_000_000
    with pytest.raises(InputError, match="this would take"):
        memory.check_room(60_000_000, "this")


def test_suggestions_do_not_drown() -> None:
    assert len(did_you_mean("zzz", [f"name{i}" * 100 for i in range(10**4)])) < 5000


FORBIDDEN = {"pickle", "shelve", "marshal", "dill", "joblib", "cloudpickle"}


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_nothing_read_is_run(path: Path) -> None:
    """No pickle, no unsafe YAML, no eval, no shell, no extraction by an archive's own names."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names] + [getattr(node, "module", "") or ""]
            assert not FORBIDDEN & {name.split(".")[0] for name in names}
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            assert name not in ("eval", "exec", "yaml.load", "yaml.unsafe_load", "torch.load", "np.load", "os.system")
            assert not name.endswith((".extractall", ".extract", ".read_pickle"))
            given = {word.arg: ast.unparse(word.value) for word in node.keywords}
            assert given.get("allow_pickle", "False") == "False"
            assert given.get("shell", "False") == "False"
