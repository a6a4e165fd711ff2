"""Full disks, read-only folders, damaged records, tables edited by hand, clocks set back: no crash, no wrong row."""

from __future__ import annotations

import csv
import errno
import io
import os
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from mlpiht_cli.engine import provenance
from mlpiht_cli.records.store import Store
from mlpiht_cli.records.table import to_csv

Run = Callable[..., Any]
TIMES = ("wall_s", "cpu_s", "peak_rss_mb", "peak_cuda_mb", "started_utc", "attempt")
ONE = ("--only", "method=iht")


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return [{k: v for k, v in row.items() if k not in TIMES} for row in csv.DictReader(file)]


@pytest.fixture
def swept(mlpiht: Run, tiny_spec: str) -> Run:
    Path("tiny.yaml").write_text(tiny_spec)
    assert mlpiht("sweep", "tiny", *ONE).code == 0
    return mlpiht


def litter(folder: Path) -> list[Path]:
    return [*folder.rglob("*.tmp"), *folder.rglob(".probe*")]


@pytest.mark.parametrize("call", ["fsync", "replace"])
@pytest.mark.parametrize("after", [0, 3, 8])
def test_a_disk_that_fills_up(
    mlpiht: Run, tiny_spec: str, monkeypatch: pytest.MonkeyPatch, call: str, after: int
) -> None:
    """``after`` records are written; of eight, the table is the ninth file."""
    Path("tiny.yaml").write_text(tiny_spec)
    done = []

    def full(*args: Any) -> Any:
        done.append(args)
        if len(done) > after:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(*args)

    with monkeypatch.context() as patch:
        if call == "fsync":
            real = os.fsync
            patch.setattr("os.fsync", full)
        else:
            real = Path.replace
            patch.setattr(Path, "replace", lambda self, target: full(self, target))
        result = mlpiht("sweep", "tiny", *ONE)
    assert result.code == 1
    assert "No space left on device" in result.err
    assert "results/" in result.err.splitlines()[-1]
    assert "To go on: mlpiht" in result.err
    assert len(list(Path("results/.records").rglob("*.json"))) == after
    assert litter(Path("results")) == []
    again = mlpiht("sweep", "tiny", *ONE, "--json")
    assert again.json["ran"] == 8 - after
    mlpiht("sweep", "tiny", *ONE, "--out", "other")
    assert table(Path("results/tiny.csv")) == table(Path("other/tiny.csv"))


def mounted(folder: Path, options: str) -> Callable[[str], None]:
    """Mount a small file system of its own; a function that changes its options."""
    folder.mkdir()

    def mount(words: str) -> None:
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", words, "tmpfs", str(folder)], capture_output=True)
        if done.returncode:
            pytest.skip("this test may not mount a file system")

    mount(options)
    return lambda words: mount(f"remount,{words}")


@pytest.fixture
def small(tmp_path: Path) -> Iterator[tuple[Path, Callable[[str], None]]]:
    folder = tmp_path / "small"
    try:
        yield folder, mounted(folder, "size=32k")
    finally:
        subprocess.run(["umount", str(folder)], capture_output=True)


@pytest.mark.slow
def test_a_real_disk_that_fills_up(mlpiht: Run, tiny_spec: str, small: tuple[Path, Callable[[str], None]]) -> None:
    Path("tiny.yaml").write_text(tiny_spec)
    folder, remount = small
    result = mlpiht("sweep", "tiny", "--out", folder)
    assert result.code == 1
    assert "No space left on device" in result.err
    assert litter(folder) == []
    full = mlpiht("sweep", "tiny", "--out", folder)
    assert full.code in (1, 2)
    assert "No space left on device" in full.err
    remount("size=8m")
    assert mlpiht("sweep", "tiny", "--out", folder).code == 0
    mlpiht("sweep", "tiny", "--out", "other")
    assert table(folder / "tiny.csv") == table(Path("other/tiny.csv"))
    remount("ro")
    refused_everywhere(mlpiht, folder)


def refused_everywhere(mlpiht: Run, folder: Path) -> None:
    """Nothing can be written to a folder with a whole sweep in it; reading goes on."""
    for words in (("sweep", "tiny", "--force"), ("sweep", "tiny"), ("plot", "tiny", "--format", "png")):
        result = mlpiht(*words, "--out", folder)
        assert result.code == 2
        assert f"cannot write to {folder}" in result.err
        assert "choose another place with --out DIR" in result.err
    assert "8 ok" in mlpiht("status", "tiny", "--why", "--out", folder).out
    assert mlpiht("sweep", "tiny", "--dry-run", "--out", folder).code == 0
    assert mlpiht("clean", "--out", folder).code == 0


def test_a_read_only_folder(mlpiht: Run, tiny_spec: str, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("tiny.yaml").write_text(tiny_spec)
    mlpiht("sweep", "tiny")
    folder = Path("results")

    def refuse(self: Path, *_: Any, **__: Any) -> None:
        raise OSError(errno.EROFS, "Read-only file system", str(self))

    monkeypatch.setattr(Path, "write_bytes", refuse)
    monkeypatch.setattr("mlpiht_cli.system.files.write_atomic", refuse)
    refused_everywhere(mlpiht, folder)


def test_a_record_cut_anywhere_is_no_row(swept: Run, caplog: pytest.LogCaptureFixture) -> None:
    store = Store(Path("results"))
    keys = [row.cell for row in store.tabled(["tiny"])]
    whole = store.known(keys, store.tabled(["tiny"]))
    path = min(Path("results/.records").glob("*/*.json"))
    victim = path.name.partition(".")[0]
    content = path.read_bytes()
    rest = {key: row for key, row in whole.items() if key != victim}
    for length in range(0, len(content)):
        path.write_bytes(content[:length])
        assert Store(Path("results")).known(keys, store.tabled(["tiny"])) == rest, content[:length]
    result = swept("sweep", "tiny", *ONE)
    assert "7 done, 1 to run" in result.err
    assert "computed again" in result.err
    assert Store(Path("results")).known(keys, store.tabled(["tiny"])).keys() == whole.keys()


def lines(edit: Callable[[list[list[str]]], Any]) -> Callable[[str], str]:
    """An edit of the table's fields."""

    def apply(text: str) -> str:
        rows = list(csv.reader(io.StringIO(text)))
        edited = edit(rows) or rows
        out = io.StringIO()
        csv.writer(out, lineterminator="\n").writerows(edited)
        return out.getvalue()

    return apply


def setting(column: str, value: str, row: int = 1) -> Callable[[str], str]:
    def edit(rows: list[list[str]]) -> None:
        rows[row][rows[0].index(column)] = value

    return lines(edit)


EDITS: dict[str, tuple[Callable[[str], str], str]] = {
    # What is the same table, or one with fewer rows, is read.
    "windows line ends": (lambda text: text.replace("\n", "\r\n"), ""),
    "byte order mark": (lambda text: "\ufeff" + text, ""),
    "columns in another order": (lines(lambda rows: [row[::-1] for row in rows]), ""),
    "rows in another order": (lines(lambda rows: [rows[0], *rows[:0:-1]]), ""),
    "a row twice": (lines(lambda rows: [*rows, rows[1]]), ""),
    "a row gone": (lines(lambda rows: rows[:-1]), ""),
    "all rows gone": (lines(lambda rows: rows[:1]), ""),
    "a blank line": (lambda text: text + "\n\n", ""),
    "truth in capitals": (lambda text: text.replace(",False,", ",FALSE,").replace(",True,", ",TRUE,"), ""),
    # What cannot be read is named with its line.
    "a word for a number": (setting("m", "two"), "row 2: m:"),
    "a number with a comma": (setting("psnr", "3,5", 2), "row 3: psnr:"),
    "an unknown status": (setting("status", "fine"), "row 2: status:"),
    "broken settings": (setting("params", "{"), "row 2: params:"),
    "a fraction of a seed": (setting("seed", "0.5"), "row 2: seed:"),
    "a negative budget": (setting("s", "-5"), "row 2: s:"),
    "a cell that is a path": (setting("cell", "../../x"), "row 2: cell:"),
    "a field too many": (lines(lambda rows: rows[1].append("more")), "row 2:"),
    "a column dropped": (lines(lambda rows: [row[:5] + row[6:] for row in rows]), "no column 'cell'"),
    "a column of one's own": (
        lines(lambda rows: [rows[0].append("mine"), *(r.append("1") for r in rows[1:])][:0]),
        "mine",
    ),
    "semicolons": (lambda text: text.replace(",", ";"), "no column 'cell'"),
    "cut in the middle": (lambda text: text[: len(text) // 2], "row"),
    "not text": (lambda text: "\x00" + text[:20], "results table"),
}


@pytest.mark.parametrize("name", EDITS)
def test_a_table_edited_by_hand(swept: Run, name: str) -> None:
    """With the records at hand the table is put right; without, its rows are taken or refused, never mistaken."""
    edit, message = EDITS[name]
    path = Path("results/tiny.csv")
    good, rows = path.read_text(), table(path)
    for records in (True, False):
        path.write_text(edit(good), newline="")
        if not records:
            Path("results/.records").rename("gone")
        result = swept("sweep", "tiny", *ONE)
        if message:
            assert result.code == 2
            assert message in result.err
            assert str(path) in result.err
        else:
            assert result.code == 0
            assert table(path) == rows


def test_values_edited_by_hand_give_way_to_records(swept: Run) -> None:
    path = Path("results/tiny.csv")
    good = path.read_text()
    path.write_text(setting("value", "999.0")(good))
    swept("sweep", "tiny", *ONE)
    assert path.read_text() == good


@pytest.mark.parametrize(("column", "value"), [("m", "17"), ("method", "imp"), ("seed", "9"), ("task", "mnist")])
def test_a_row_under_another_cells_name_is_left_out(swept: Run, column: str, value: str) -> None:
    path = Path("results/tiny.csv")
    rows = table(path)
    path.write_text(setting(column, value)(path.read_text()))
    Path("results/.records").rename("gone")
    result = swept("sweep", "tiny", *ONE)
    assert "which is another; left out" in result.err
    assert "7 done, 1 to run" in result.err
    assert table(path) == rows


def test_a_clock_set_back_changes_nothing(swept: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Attempts are counted, not dated; the age of a file decides nothing but litter."""

    class Past(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:  # type: ignore[override]
            return datetime(1999, 1, 1, tzinfo=UTC)

    rows = table(Path("results/tiny.csv"))
    monkeypatch.setattr(provenance, "datetime", Past)
    monkeypatch.setattr("time.time", lambda: 915148800.0)
    assert swept("sweep", "tiny", *ONE, "--json").json["ran"] == 0
    assert swept("sweep", "tiny", *ONE, "--force", "--json").json["ran"] == 8
    for path in Path("results/.records").rglob("*.0002.*.json"):
        os.utime(path, (915148800, 915148800))
    assert table(Path("results/tiny.csv")) == rows
    with Path("results/tiny.csv").open(newline="") as file:
        assert {(row["attempt"], row["started_utc"][:4]) for row in csv.DictReader(file)} == {("2", "1999")}
    assert swept("sweep", "tiny", *ONE, "--json").json["ran"] == 0
    assert swept("clean", "--json").json["temporary"] == 0


def test_an_empty_table_of_ours_is_a_table() -> None:
    assert to_csv([]).count("\n") == 1
