from __future__ import annotations

from pathlib import Path

import pytest

from mlpiht_cli.errors import InputError
from mlpiht_cli.records.rows import Row
from mlpiht_cli.records.store import Store
from mlpiht_cli.records.table import to_csv
from mlpiht_cli.system.files import check_writable, write_atomic


def row(cell: str = "aa11", **changes: object) -> Row:
    base = {
        "task": "t",
        "method": "m",
        "depth": 1,
        "m": 1,
        "s": 1,
        "seed": 0,
        "params": {},
        "status": "ok",
        "value": 1.0,
    }
    return Row.model_validate({"cell": cell, **base, **changes})


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "results")


def test_the_newest_attempt_counts_and_older_ones_stay(store: Store) -> None:
    store.write(row(value=1.0))
    store.write(row(value=2.0, attempt=2))
    assert store.records(["aa11", "bb"])["aa11"].value == 2.0
    assert len(list(store.root.rglob("*.json"))) == 2


def test_a_record_cut_at_any_byte_is_left_out_with_a_warning(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    store.write(row(value=1.0))
    (path,) = store.root.rglob("*.json")
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        caplog.clear()
        assert Store(store.root).records(["aa11"]) == {}, whole[:length]
        assert "truncated or damaged; the cell is computed again" in caplog.text
    path.write_bytes(whole)
    assert store.records(["aa11"])["aa11"] == row(value=1.0)


def test_a_damaged_attempt_gives_way_to_an_older_one(store: Store) -> None:
    store.write(row(value=1.0))
    store.write(row(value=2.0, attempt=2))
    newest = max(store.root.rglob("*.json"))
    newest.write_bytes(b"{")
    assert store.records(["aa11"])["aa11"].value == 1.0


def test_a_record_under_another_cells_name_is_left_out(store: Store) -> None:
    store.write(row())
    (path,) = store.root.rglob("*.json")
    path.rename(path.with_name("aa22.0001.json"))
    assert store.records(["aa22"]) == {}


@pytest.mark.parametrize("value", [None, float("nan")])
def test_a_finished_record_without_its_value_is_left_out(
    store: Store, caplog: pytest.LogCaptureFixture, value: float | None
) -> None:
    """A table with such a row could not be read again."""
    store.write(row(value=value))
    store.write(row("ab12", value=None, reason="r2 is undefined: the held-out target is constant"))
    assert [*store.records(["aa11", "ab12"])] == ["ab12"]
    assert "is left out: it is finished and has no value; the cell is computed again" in caplog.text
    assert store.brief(["aa11"], []) == {}


def test_a_committed_table_counts_and_records_outweigh_it(store: Store) -> None:
    store.root.mkdir()
    rows = [row("aa11", value=1.0), row("aa12", value=1.0), row("aa13", status="failed", value=None)]
    (store.root / "fig.csv").write_text(to_csv(rows))
    (store.root / "figure.csv").write_text(to_csv([row("aa14")]))
    (store.root / "fig-smoke.csv").write_text(to_csv([row("aa15", value=5.0)]))
    store.write(row("aa12", value=2.0))
    known = store.known(["aa11", "aa12", "aa13", "aa14", "aa15"], store.tabled(["fig"]))
    assert {key: r.value for key, r in known.items()} == {"aa11": 1.0, "aa12": 2.0, "aa13": None, "aa15": 5.0}


def test_the_latest_attempt_wins_wherever_it_stands(store: Store) -> None:
    store.write(row("aa11", status="failed"))
    store.root.joinpath("fig.csv").write_text(to_csv([row("aa11", value=2.0, attempt=2)]))
    assert store.known(["aa11"], store.tabled(["fig"]))["aa11"].value == 2.0
    store.write(row("aa11", value=3.0, attempt=3))
    assert store.known(["aa11"], store.tabled(["fig"]))["aa11"].value == 3.0


def test_a_cell_that_stands_twice_in_a_table_is_told(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    store.root.mkdir()
    rows = [row("aa11", panel="a"), row("aa11", panel="b"), row("aa12", panel="a")]
    table = store.root / "fig.csv"
    table.write_text(to_csv(rows))
    store.tabled(["fig"])
    assert not caplog.text, "panels may share a cell"
    table.write_text(to_csv([*rows, row("aa12", panel="a", value=9.0)]))
    assert store.known(["aa12"], store.tabled(["fig"]))["aa12"].value == 9.0
    assert "1 row(s) are there twice; the last one counts" in caplog.text


def test_a_final_row_outweighs_a_failure_of_the_same_attempt(store: Store) -> None:
    store.write(row("aa11", status="failed"))
    store.root.joinpath("fig.csv").write_text(to_csv([row("aa11", value=2.0)]))
    assert store.known(["aa11"], store.tabled(["fig"]))["aa11"].value == 2.0


def test_two_writers_of_one_attempt_both_stay(store: Store) -> None:
    store.write(row(value=1.0))
    store.write(row(value=1.0))
    assert len(list(store.root.rglob("*.json"))) == 2


def test_rows_that_leave_a_table_become_records(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    path = store.table("fig", "paper")
    store.write_table(path, [row("aa11", value=1.0), row("aa12", value=2.0)])
    store.write_table(path, [row("aa12", value=2.0)])
    assert "1 row(s) made with other settings left the table" in caplog.text
    assert store.records(["aa11"])["aa11"].value == 1.0


def test_table_names_follow_the_profile(store: Store) -> None:
    assert store.table("fig", "paper").name == "fig.csv"
    assert store.table("fig", "smoke").name == "fig-smoke.csv"


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "f"
    write_atomic(path, b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_atomic(path, b"new")
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["f"]


def test_a_file_in_the_way_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("a file")
    with pytest.raises(InputError, match=r"cannot write to .*results"):
        check_writable(tmp_path / "results" / ".records")
