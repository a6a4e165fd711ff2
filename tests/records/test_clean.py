"""Why rows are stale, and what may go."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlpiht_cli.records.clean import look
from mlpiht_cli.records.store import Store
from mlpiht_cli.records.table import read_csv, to_csv

Run = Callable[..., Any]
TAIL = "0123456789abcdef" * 2


@pytest.fixture
def swept(mlpiht: Run, tiny_spec: str) -> Run:
    Path("tiny.yaml").write_text(tiny_spec)
    assert mlpiht("sweep", "tiny").code == 0
    return mlpiht


def records() -> set[Path]:
    return set(Path("results/.records").glob("*/*.json"))


def why(mlpiht: Run, *words: str) -> list[dict[str, Any]]:
    return sorted(mlpiht("status", "tiny", "--why", "--json", *words).json["why"], key=lambda one: one["label"])


def test_changed_settings_are_named(swept: Run) -> None:
    assert why(swept) == []
    found = why(swept, "--set", "method.iht.steps=9")
    assert found == [{"panel": "a", "label": "iht", "changes": ["method.steps 4 (now 9)"], "cells": 8}]
    text = swept("status", "tiny", "--why", "--set", "task.n=50", "--set", "method.imp.epochs=1").out
    assert "todo x8 (a, iht): rows were made with task.n 60 (now 50)\n" in text
    assert "todo x8 (a, imp): rows were made with method.epochs 2 (now 1), task.n 60 (now 50)\n" in text or (
        "task.n 60 (now 50), method.epochs 2 (now 1)" in text
    )


def test_rows_that_left_the_table_still_explain(swept: Run) -> None:
    swept("sweep", "tiny", "--set", "method.iht.steps=9", "--only", "seed=0")
    Path("results/tiny.csv").unlink()
    found = why(swept, "--set", "method.iht.steps=8")
    assert sum(one["cells"] for one in found) == 8
    assert {one["changes"][0] for one in found} <= {"method.steps 4 (now 8)", "method.steps 9 (now 8)"}


def test_a_raised_version_is_named(swept: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlpiht_cli.solvers.iht import IHT

    before = IHT.version
    monkeypatch.setattr(IHT, "version", 77)
    (found,) = why(swept)
    assert found["changes"] == [f"method.version {before} (now 77)"]


def test_cells_never_run_are_not_stale(mlpiht: Run, tiny_spec: str) -> None:
    Path("tiny.yaml").write_text(tiny_spec)
    assert [(one["changes"], one["cells"]) for one in why(mlpiht)] == [([], 8), ([], 8)]
    assert "no row of this panel" in mlpiht("status", "tiny", "--why").out


def test_other_data_are_named(mlpiht: Run, tiny_spec: str) -> None:
    Path("t.csv").write_text("a,y\n" + "".join(f"{i},{i % 5}\n" for i in range(30)))
    text = tiny_spec.replace("{name: planted, n: 60, d: 6}", "{name: tabular, path: t.csv}")
    Path("tiny.yaml").write_text(text.replace("s: [2, 5]", "s: [1, 2]").replace(", set: {task.n: 40}", ""))
    mlpiht("sweep", "tiny")
    Path("t.csv").write_text("a,y\n" + "".join(f"{i},{i % 6}\n" for i in range(30)))
    assert {one["changes"][0] for one in why(mlpiht)} == {
        "other data: the content of its files has changed, or the row was edited"
    }


def test_unofficial_data_that_are_not_here_are_named(mlpiht: Run, tiny_spec: str) -> None:
    Path("tiny.yaml").write_text(tiny_spec)
    mlpiht("sweep", "tiny")
    table = Path("results/tiny.csv")
    rows = [row.model_copy(update={"cell": row.cell[::-1]}) for row in read_csv(table)]
    used = {"data": {"unofficial_images.bin": "ab"}}
    table.write_text(to_csv([row.model_copy(update={"params": row.params | used}) for row in rows]))
    shutil.rmtree("results/.records")
    told = "other data: an unofficial images.bin is not on this machine, or the row was edited"
    assert {tuple(one["changes"]) for one in why(mlpiht)} == {(told,)}


def test_clean_removes_what_failed_and_its_log(swept: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlpiht_cli.solvers.iht import IHT

    good = records()

    def broken(*_: object) -> None:
        raise MemoryError("no more")

    with monkeypatch.context() as patch:
        patch.setattr(IHT, "iterate", broken)
        swept("sweep", "tiny", "--force", "--only", "method=iht")
    failed = records() - good
    assert len(failed) == 8
    logs = Path("results/.records/logs")
    logs.mkdir(exist_ok=True)
    for path in failed:
        (logs / f"{'.'.join(path.name.split('.')[:2])}.log").write_text("a log")
    other = logs / f"{min(good).name.split('.')[0]}.0001.log"
    other.write_text("the log of an attempt that stays")
    table = Path("results/tiny.csv").read_bytes()
    told = swept("clean", "tiny", "--failed", "--dry-run")
    assert told.out == "results: would remove 8 records, 8 logs, 0 temporary files\n"
    assert records() == good | failed
    assert swept("clean", "tiny", "--failed").out == "results: removed 8 records, 8 logs, 0 temporary files\n"
    assert records() == good
    assert [path for path in logs.iterdir() if path.stat().st_size > 5] == [other]
    assert Path("results/tiny.csv").read_bytes() == table, "tables are left alone"


def test_a_dry_run_of_a_spec_counts_each_kind_of_record(swept: Run) -> None:
    swept("sweep", "tiny", "--set", "method.imp.lr=1e30", "--set", "method.iht.steps=9")
    assert len(records()) == 32
    told = swept("clean", "tiny", "--dry-run")
    assert (told.code, told.err) == (0, "")
    assert told.out == (
        "results: would remove 0 records, 0 logs, 0 temporary files\n"
        "  with --failed 0 records, 0 logs of tiny\n"
        "  with --stale  16 records, 0 logs of tiny\n"
        "  with --all    32 records, 0 logs of tiny\n"
    )
    kinds = swept("clean", "tiny", "--dry-run", "--json").json["kinds"]
    for kind, counts in kinds.items():
        found = swept("clean", "tiny", f"--{kind}", "--dry-run", "--json").json
        assert counts == {name: found[name] for name in ("records", "logs")}
        assert "kinds" not in found
    assert "with --" not in swept("clean", "--dry-run").out
    assert len(records()) == 32


def test_clean_removes_what_no_cell_owns(swept: Run, tiny_spec: str) -> None:
    current = records()
    swept("sweep", "tiny", "--set", "method.iht.steps=9")
    swept("sweep", "tiny")
    Path("other.yaml").write_text(tiny_spec.replace("name: tiny", "name: other").replace("n: 60", "n: 70"))
    swept("sweep", "other")
    Path("other.yaml").unlink()
    others = {path for path in records() if '"other"' in path.read_text()}
    assert len(others) == 16
    result = swept("clean", "--stale", "--json").json
    assert (result["records"], result["kept"]) == (8, {"other": 16})
    assert records() == current | others
    min(current).write_text("{")
    assert swept("clean", "tiny", "--stale", "--json").json["records"] == 1, "a damaged record is of no use"
    assert "15 done, 1 to run" not in swept("sweep", "tiny", "--dry-run").out, "the table has its row"


def test_clean_all_leaves_tables_and_strangers(swept: Run, tiny_spec: str) -> None:
    Path("other.yaml").write_text(tiny_spec.replace("name: tiny", "name: other").replace("n: 60", "n: 70"))
    swept("sweep", "other")
    Path("results/.records/notes.txt").write_text("mine")
    assert swept("clean", "tiny", "--all", "--json").json["records"] == 16
    assert len(records()) == 16
    assert swept("clean", "--all", "--json").json["records"] == 16
    assert records() == set()
    assert Path("results/.records/notes.txt").exists()
    assert len(read_csv(Path("results/tiny.csv"))) == 16
    assert "16 done" in swept("sweep", "tiny").err


def test_litter_of_gone_writers_goes_and_that_of_others_stays(tmp_path: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    here = socket.gethostname()
    folder = tmp_path / ".records" / "aa"
    folder.mkdir(parents=True)

    def made(name: str, age: float = 0.0, where: Path = folder) -> Path:
        path = where / name
        path.write_bytes(b"x")
        os.utime(path, (time.time() - age,) * 2)
        return path

    litter = {
        made(f".aa11.0001.x.json.{here}.{gone.pid}.{TAIL}.tmp"),
        made(f".tiny.csv.{here}.{gone.pid}.{TAIL}.tmp", where=tmp_path),
        made(f".aa12.0001.x.json.{here}.{os.getpid()}.{TAIL}.tmp", age=900),
        made(f".aa13.0001.x.json.elsewhere.{gone.pid}.{TAIL}.tmp", age=900),
        made(f".probe.{TAIL}", age=900),
    }
    made(f".aa14.0001.x.json.{here}.{os.getpid()}.{TAIL}.tmp")
    made(f".aa15.0001.x.json.elsewhere.{gone.pid}.{TAIL}.tmp")
    made(f".aa15.0001.x.json.elsewhere.{gone.pid}.{TAIL}.tmp2", age=9000)
    made(".gitignore", age=9000)
    made(f".probe.{TAIL[:-1]}1", age=-9000)
    scope: Any = None
    assert set(look(Store(tmp_path), None, scope).paths) == litter


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--failed", "--all"), "--failed and --all: choose one"),
        (("tiny",), "tiny: choose the records to remove with --failed, --stale or --all; --dry-run counts them"),
        (("tinny", "--all"), "no spec 'tinny'"),
    ],
)
def test_unclear_orders_are_refused(swept: Run, words: tuple[str, ...], message: str) -> None:
    result = swept("clean", *words)
    assert result.code == 2
    assert message in result.err
    assert len(records()) == 16


def test_clean_of_nothing(mlpiht: Run) -> None:
    assert mlpiht("clean", "--all").out == "results: removed 0 records, 0 logs, 0 temporary files\n"
    assert not Path("results").exists()
