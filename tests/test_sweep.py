"""Sweeps as users run them: interrupted, resumed, damaged, repeated."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]
TIMES = ("wall_s", "cpu_s", "peak_rss_mb", "peak_cuda_mb", "started_utc")


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return [{k: v for k, v in row.items() if k not in TIMES} for row in csv.DictReader(file)]


@pytest.fixture
def spec(tmp_path: Path, tiny_spec: str) -> Path:
    path = tmp_path / "tiny.yaml"
    path.write_text(tiny_spec)
    return path


def test_a_sweep_fills_the_table_and_resumes(mlpiht: Run, spec: Path) -> None:
    first = mlpiht("sweep", spec)
    assert first.code == 0
    assert "16 cells: 16 to run" in first.err
    rows = table(Path("results/tiny.csv"))
    assert len(rows) == 16
    assert {row["status"] for row in rows} == {"ok"}
    for name in ("git_sha", "torch", "numpy", "python", "device", "threads", "dtype", "mlpiht", "params", "cell"):
        assert name == "git_sha" or all(row[name] for row in rows), name
    before = Path("results/tiny.csv").read_bytes()
    again = mlpiht("sweep", spec)
    assert "16 cells: 16 done" in again.err
    assert Path("results/tiny.csv").read_bytes() == before


def test_two_runs_give_the_same_rows(mlpiht: Run, spec: Path) -> None:
    for out in ("a", "b"):
        assert mlpiht("sweep", spec, "--out", out).code == 0
    assert table(Path("a/tiny.csv")) == table(Path("b/tiny.csv"))


def test_a_committed_table_counts_as_done(mlpiht: Run, spec: Path) -> None:
    mlpiht("sweep", spec)
    records = Path("results/.records")
    records.rename("elsewhere")
    result = mlpiht("sweep", spec, "--json")
    assert result.json["ran"] == 0
    assert result.json["counts"] == {"ok": 16}
    assert len(table(Path("results/tiny.csv"))) == 16


def test_profiles_share_records(mlpiht: Run, spec: Path) -> None:
    mlpiht("sweep", spec, "--profile", "smoke", "--set", "task.n=60")
    result = mlpiht("sweep", spec, "--json")
    assert result.json["ran"] == 8
    rows = table(Path("results/tiny.csv"))
    assert {row["profile"] for row in rows} == {"paper"}, "a shared record takes the names of the table it is in"


def test_parts_add_up(mlpiht: Run, spec: Path) -> None:
    for only in ("method=iht", "method=imp,m=2", "m=3"):
        assert mlpiht("sweep", spec, "--only", only).code == 0
    whole = table(Path("results/tiny.csv"))
    mlpiht("sweep", spec, "--out", "other")
    assert whole == table(Path("other/tiny.csv"))


def test_a_dry_run_writes_nothing(mlpiht: Run, spec: Path) -> None:
    result = mlpiht("sweep", spec, "--dry-run")
    assert result.code == 0
    assert result.out == "16 cells: 16 to run\n"
    assert not Path("results").exists()


def test_force_adds_an_attempt(mlpiht: Run, spec: Path) -> None:
    mlpiht("sweep", spec)
    mlpiht("sweep", spec, "--force", "--only", "m=2,s=2,seed=0")
    attempts = [row["attempt"] for row in table(Path("results/tiny.csv"))]
    assert sorted(attempts) == ["1"] * 14 + ["2"] * 2
    assert len(list(Path("results/.records").rglob("*.json"))) == 18


def test_a_truncated_record_is_computed_anew(mlpiht: Run, spec: Path) -> None:
    mlpiht("sweep", spec)
    before = table(Path("results/tiny.csv"))
    Path("results/tiny.csv").unlink()
    victim = min(Path("results/.records").rglob("*.json"))
    victim.write_bytes(victim.read_bytes()[:100])
    result = mlpiht("sweep", spec)
    assert result.code == 0
    assert "truncated or damaged; the cell is computed anew" in result.err
    assert "15 done, 1 to run" in result.err
    assert table(Path("results/tiny.csv")) == before


def test_other_settings_lose_nothing(mlpiht: Run, spec: Path) -> None:
    mlpiht("sweep", spec)
    before = table(Path("results/tiny.csv"))
    changed = mlpiht("sweep", spec, "--set", "task.n=50")
    assert "made with other settings left the table" in changed.err
    assert {row["n"] for row in table(Path("results/tiny.csv"))} == {"50"}
    assert mlpiht("sweep", spec, "--json").json["ran"] == 0
    assert table(Path("results/tiny.csv")) == before


def test_a_diverging_cell_is_a_row_and_the_sweep_goes_on(mlpiht: Run, spec: Path) -> None:
    result = mlpiht("sweep", spec, "--set", "method.imp.lr=1e30")
    assert result.code == 1
    rows = table(Path("results/tiny.csv"))
    by_method = {name: [row for row in rows if row["method"] == name] for name in ("iht", "imp")}
    assert {row["status"] for row in by_method["iht"]} == {"ok"}
    assert {row["status"] for row in by_method["imp"]} == {"diverged"}
    assert all(row["value"] == "" and "training loss became" in row["reason"] for row in by_method["imp"])
    assert "diverged: imp a m=2" in result.err
    again = mlpiht("sweep", spec, "--set", "method.imp.lr=1e30")
    assert again.code == 1, "the same command has the same exit code"
    assert "8 done, 8 diverged" in again.err


def test_fail_fast_stops(mlpiht: Run, spec: Path) -> None:
    result = mlpiht("sweep", spec, "--set", "method.imp.lr=1e30", "--only", "method=imp", "--fail-fast", "--json")
    assert result.code == 1
    assert result.json["counts"] == {"diverged": 1, "todo": 7}


def test_a_raising_cell_is_failed_and_tried_again(mlpiht: Run, spec: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlpiht_cli.solvers.iht import IHT

    def broken(*_: object) -> None:
        raise MemoryError("no more")

    with monkeypatch.context() as patch:
        patch.setattr(IHT, "fit", broken)
        result = mlpiht("sweep", spec)
        assert result.code == 1
        assert "8 done, 8 failed" in result.out
    rows = [row for row in table(Path("results/tiny.csv")) if row["method"] == "iht"]
    assert {(row["status"], row["reason"]) for row in rows} == {("failed", "MemoryError: no more")}
    healed = mlpiht("sweep", spec)
    assert healed.code == 0
    assert {row["attempt"] for row in table(Path("results/tiny.csv")) if row["method"] == "iht"} == {"2"}


def test_skipped_cells_have_reasons(mlpiht: Run, spec: Path) -> None:
    spec.write_text(
        spec.read_text().replace("    m: [2, 3]", "    depth: 2\n    m: [2, 3]").replace("[2, 5]", "[8, 12]")
    )
    result = mlpiht("sweep", spec)
    assert result.code == 0
    rows = table(Path("results/tiny.csv"))
    reasons = {row["method"]: "" for row in rows}
    for row in rows:
        reasons[row["method"]] += row["reason"]
    assert "cannot hold its share" in reasons["imp"]
    assert "one hidden layer" in reasons["iht"]
    assert all(row["value"] == "" for row in rows if row["status"] == "skipped")


def command(spec: Path) -> list[str]:
    return [sys.executable, "-m", "mlpiht_cli", "sweep", str(spec), "--set", "method.imp.epochs=60", "--out", "killed"]


def records(folder: Path) -> int:
    return len(list(folder.rglob("*.json")))


@pytest.mark.parametrize("after", [1, 6, 11])
def test_kill_9_loses_nothing(mlpiht: Run, spec: Path, after: int) -> None:
    process = subprocess.Popen(command(spec), stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while records(Path("killed")) < after and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    done = records(Path("killed"))
    assert after <= done < 16, "the kill came in the middle"
    resumed = mlpiht("sweep", spec, "--set", "method.imp.epochs=60", "--out", "killed")
    assert resumed.code == 0
    assert f"{done} done, {16 - done} to run" in resumed.err
    mlpiht("sweep", spec, "--set", "method.imp.epochs=60", "--out", "undisturbed")
    assert table(Path("killed/tiny.csv")) == table(Path("undisturbed/tiny.csv"))


def test_ctrl_c_leaves_a_table_and_says_how_to_go_on(mlpiht: Run, spec: Path) -> None:
    process = subprocess.Popen(command(spec), stderr=subprocess.PIPE, text=True)
    while not records(Path("killed")) and process.poll() is None:
        time.sleep(0.002)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "To go on: mlpiht sweep" in err
    assert "Traceback" not in err
    assert 0 < len(table(Path("killed/tiny.csv"))) < 16
