"""Sweeps as users run them: interrupted, resumed, damaged, repeated."""

from __future__ import annotations

import csv
import json
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
    for name in (
        "torch",
        "numpy",
        "blas",
        "python",
        "device",
        "threads",
        "dtype",
        "mlpiht",
        "params",
        "cell",
        "iterations",
    ):
        assert all(row[name] for row in rows), name
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


def test_a_shared_record_takes_the_settings_that_do_not_change_it(mlpiht: Run, spec: Path) -> None:
    """Budgets within the weights are the same cells clipped or not, yet each table tells its own spec's settings."""
    mlpiht("sweep", spec)
    renamed = spec.read_text().replace("name: tiny", "name: other")
    spec.write_text(renamed.replace("{name: planted,", "{name: planted, clip_budget: true,"))
    assert mlpiht("sweep", spec, "--json").json["ran"] == 0
    clipped = {json.loads(row["params"])["task"]["clip_budget"] for row in table(Path("results/other.csv"))}
    assert clipped == {True}


def test_parts_add_up(mlpiht: Run, spec: Path) -> None:
    for only in ("method=iht", "method=imp,m=2", "m=3"):
        assert mlpiht("sweep", spec, "--only", only).code == 0
    whole = table(Path("results/tiny.csv"))
    mlpiht("sweep", spec, "--out", "other")
    assert whole == table(Path("other/tiny.csv"))


def test_a_dry_run_writes_nothing(mlpiht: Run, spec: Path) -> None:
    result = mlpiht("sweep", spec, "--dry-run")
    assert result.code == 0
    assert result.out == "16 cells: 16 to run, time unknown\n"
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
    victim = min(Path("results/.records").rglob("*.json"))
    victim.write_bytes(victim.read_bytes()[:100])
    result = mlpiht("sweep", spec)
    assert result.code == 0
    assert "truncated or damaged; the cell is computed again" in result.err
    assert "15 done, 1 to run" in result.err
    assert table(Path("results/tiny.csv")) == before
    assert "damaged" not in mlpiht("sweep", spec).err, "the damaged record is replaced"


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
    assert all(row["value"] == "" and "left the finite numbers" in row["reason"] for row in by_method["imp"])
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
        patch.setattr(IHT, "iterate", broken)
        result = mlpiht("sweep", spec)
        assert result.code == 1
        assert "8 done, 8 failed" in result.out
    rows = [row for row in table(Path("results/tiny.csv")) if row["method"] == "iht"]
    assert {(row["status"], row["reason"]) for row in rows} == {("failed", "MemoryError: no more")}
    healed = mlpiht("sweep", spec)
    assert healed.code == 0
    assert {row["attempt"] for row in table(Path("results/tiny.csv")) if row["method"] == "iht"} == {"2"}


@pytest.mark.parametrize("fault", ["raises", "over budget"])
def test_a_cell_that_cannot_be_scored_is_a_failed_row(
    mlpiht: Run, spec: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    from mlpiht_cli.core.model import SparseMLP
    from mlpiht_cli.engine import runner

    def broken(*_: object) -> None:
        raise MemoryError("no room to score")

    if fault == "raises":
        monkeypatch.setattr(runner, "evaluate", broken)
    else:
        monkeypatch.setattr(SparseMLP, "nnz", 99)
    result = mlpiht("sweep", spec)
    assert result.code == 1
    rows = table(Path("results/tiny.csv"))
    assert [row["status"] for row in rows] == ["failed"] * 16
    words = "no room to score" if fault == "raises" else "the model has 99 nonzeros, the budget is"
    assert all(words in row["reason"] for row in rows)
    assert all(row["value"] == row["nnz"] == "" for row in rows)


def test_times_are_of_the_fit_alone(mlpiht: Run, tiny_spec: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One IMP run passes all budgets; scoring and recording the earlier ones is not on the later ones' bill."""
    from mlpiht_cli.core.scoring import Scores
    from mlpiht_cli.engine import runner

    def slow(*_: object) -> Scores:
        time.sleep(0.3)
        return Scores(1.0, 0.0)

    monkeypatch.setattr(runner, "evaluate", slow)
    Path("t.csv").write_text("a,y\n" + "".join(f"{i},{i % 5}\n" for i in range(30)))
    Path("tiny.yaml").write_text(
        tiny_spec.replace("{name: planted, n: 60, d: 6}", "{name: tabular, path: t.csv}")
        .replace("s: [2, 5]", "s: [1, 2, 3, 4]")
        .replace(", set: {task.n: 40}", "")
    )
    assert mlpiht("sweep", "tiny", "--only", "method=imp,m=2,seed=0").code == 0
    with Path("results/tiny.csv").open(newline="") as file:
        walls = [float(row["wall_s"]) for row in sorted(csv.DictReader(file), key=lambda row: -int(row["s"]))]
    assert walls == sorted(walls), "a smaller budget is reached later on the same run"
    assert 0 < walls[-1] < 0.3


def test_rows_say_whether_the_sources_were_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlpiht_cli.engine import provenance

    def git(*args: str) -> None:
        identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
        subprocess.run(["git", *identity, *args], cwd=tmp_path, check=True, capture_output=True)

    module = tmp_path / "mlpiht_cli" / "engine" / "provenance.py"
    module.parent.mkdir(parents=True)
    module.write_text("# as committed")
    git("init")
    git("add", ".")
    git("commit", "-m", "start")
    monkeypatch.setattr(provenance, "__file__", str(module))
    found = []
    for change in ("# as committed", "# changed"):
        module.write_text(change)
        (tmp_path / "results.csv").write_text("a sweep's own output")
        provenance.git_state.cache_clear()
        found.append(provenance.git_state())
    provenance.git_state.cache_clear()
    assert [dirty for _, dirty in found] == [False, True]
    assert len(found[0][0]) == 40


def test_two_sweeps_in_one_folder_make_one_table(mlpiht: Run, spec: Path) -> None:
    base = [sys.executable, "-m", "mlpiht_cli", "sweep", str(spec), "--out", "shared", "--only"]
    processes = [subprocess.Popen([*base, f"seed={seed}"], stderr=subprocess.DEVNULL) for seed in (0, 1)]
    assert [process.wait(timeout=120) for process in processes] == [0, 0]
    mlpiht("sweep", spec, "--out", "alone")
    assert table(Path("shared/tiny.csv")) == table(Path("alone/tiny.csv"))


def test_a_table_written_meanwhile_is_merged(mlpiht: Run, spec: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another sweep's record that comes between reading the records and writing the table is not lost."""
    from mlpiht_cli.records.store import Store

    mlpiht("sweep", spec, "--only", "seed=1", "--out", "other")
    write, moved = Store.write_table, []

    def late(store: Store, path: Path, rows: Any, current: Any = ()) -> None:
        if not moved:
            moved.extend(Path("other/.records").rglob("*.json"))
            for record in moved:
                target = store.root / record.relative_to("other")
                target.parent.mkdir(parents=True, exist_ok=True)
                record.rename(target)
        write(store, path, rows, current)

    monkeypatch.setattr(Store, "write_table", late)
    mlpiht("sweep", spec, "--only", "seed=0")
    assert len(moved) == 8
    assert len(table(Path("results/tiny.csv"))) == 16


def test_failed_rows_of_other_cells_stay_in_the_table(mlpiht: Run, spec: Path) -> None:
    mlpiht("sweep", spec)
    path = Path("results/tiny.csv")
    path.write_text(path.read_text().replace(",ok,", ",failed,"))
    for record in Path("results/.records").rglob("*.json"):
        record.unlink()
    result = mlpiht("sweep", spec, "--only", "m=3")
    assert "left the table" not in result.err
    statuses = [(row["m"], row["status"], row["attempt"]) for row in table(path)]
    assert sorted(set(statuses)) == [("2", "failed", "1"), ("3", "ok", "2")]
    assert len(statuses) == 16


def test_panels_may_share_cells(mlpiht: Run, spec: Path) -> None:
    text = spec.read_text()
    panel = text[text.index("  - name: a") : text.index("figure:")]
    spec.write_text(text.replace(panel, panel + panel.replace("name: a", "name: b")))
    assert mlpiht("sweep", spec, "--json").json["counts"] == {"ok": 32}
    assert len(table(Path("results/tiny.csv"))) == 32
    assert "32 cells: 32 done" in mlpiht("sweep", spec).err


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
    assert "cannot hold a share" in reasons["imp"]
    assert "cannot hold a share" in reasons["iht"]
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
