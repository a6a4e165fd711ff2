"""Cells in worker processes: what each sees, and what a cell that goes wrong costs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import faulty
import psutil
import pytest
import torch
from sweeping import family, records, sets, table, wait_until, workers

from mlpiht_cli.plan import registry

Run = Callable[..., Any]


def test_workers_give_the_same_table_and_listen_to_this_machine_alone(
    mlpiht: Run, spec: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlpiht_cli.engine.executors.pool import Pool

    heard: set[str] = set()
    variables: set[str] = set()
    end = Pool.__exit__

    def listen(pool: Pool, *args: Any) -> None:
        variables.update(*(process.environ() for process in workers(os.getpid())))
        for process in (psutil.Process(), *workers(os.getpid())):
            heard.update(c.laddr.ip for c in process.net_connections() if c.status == psutil.CONN_LISTEN)
        end(pool, *args)

    monkeypatch.setattr(Pool, "__exit__", listen)
    monkeypatch.delenv("MALLOC_TRIM_THRESHOLD_", raising=False)
    result = mlpiht("sweep", spec, "--devices", "cpu,cpu", "--json")
    assert result.code == 0
    assert result.json["counts"] == {"ok": 16}
    assert result.json["stopped"] == ""
    assert result.err == ""
    assert heard == {"127.0.0.1"}
    assert "OMP_NUM_THREADS" in variables
    assert "MALLOC_TRIM_THRESHOLD_" not in variables, "Dask's default for its workers costs up to a third of the time"
    assert not workers(os.getpid())
    mlpiht("sweep", spec, "--out", "serial")
    assert table(Path("results/tiny.csv")) == table(Path("serial/tiny.csv"))
    assert {row["threads"] for row in table(Path("results/tiny.csv"))} == {"1"}
    assert len(records("results")) == 16
    assert not list(Path("results/.records/logs").iterdir())


def test_a_cell_that_goes_wrong_costs_itself_alone(mlpiht: Run, faulty_spec: Path) -> None:
    wrong = sets(raises=3, dies=4)
    result = mlpiht("sweep", faulty_spec, "--jobs", 2, *wrong, "--json")
    assert result.code == 1
    assert result.json["counts"] == {"ok": 6, "failed": 2}
    rows = {row["m"]: row for row in table(Path("results/faulty.csv"))}
    reasons = {m: row["reason"] for m, row in rows.items() if row["status"] == "failed"}
    assert reasons == {
        "3": "RuntimeError: out of luck",
        "4": "the worker process died: killed, perhaps by the system for lack of memory",
    }
    assert {(row["threads"], row["attempt"], row["device"][:4]) for row in rows.values()} == {("1", "1", "cpu:")}
    assert len(records("results")) == 8
    told = {item["reason"]: item["logs"] for item in mlpiht("status", faulty_spec, *wrong, "--json").json["reasons"]}
    logs = {reason: Path(*paths).read_text() for reason, paths in told.items()}
    assert len(list(Path("results/.records/logs").iterdir())) == len(logs) == 2
    assert "in fail" in logs[reasons["3"]], "the log says where it happened"
    assert "killed" in logs[reasons["4"]]
    assert "; log: results/.records/logs/" in mlpiht("status", faulty_spec, *wrong).out


def test_a_cell_that_hangs_is_given_up(mlpiht: Run, faulty_spec: Path) -> None:
    """One worker does it, with the threads that this process has."""
    result = mlpiht("sweep", faulty_spec, "--cell-timeout", "1s", *sets(hangs=6), "--only", "m=6")
    assert result.code == 1
    (row,) = table(Path("results/faulty.csv"))
    assert (row["status"], row["reason"]) == ("timeout", "no result after 1 s (--cell-timeout)")
    assert row["threads"] == str(torch.get_num_threads())
    (log,) = Path("results/.records/logs").iterdir()
    assert "in fail" in log.read_text(), "the log says where it hung"


@pytest.mark.slow
def test_hung_and_crashed_workers_are_replaced_and_cells_tried_again(mlpiht: Run, faulty_spec: Path) -> None:
    wrong = sets(dies=3, hangs=4, crashes=5)
    result = mlpiht("sweep", faulty_spec, "--jobs", 2, "--cell-timeout", "20s", "--retries", 1, *wrong)
    assert result.code == 1
    assert "8 cells: 5 done, 2 failed, 1 timeout" in result.out
    rows = {row["m"]: row for row in table(Path("results/faulty.csv"))}
    assert [rows[m]["attempt"] for m in "23456789"] == [*"12221111"]
    assert rows["5"]["reason"] == "the worker process died: Segmentation fault"
    assert len(records("results")) == 11, "failed attempts are kept"
    once = mlpiht("sweep", faulty_spec, "--devices", "cpu", "--retries", 2, *sets(dies=3, once="fault"), "--out", "b")
    assert once.code == 0
    assert "to be tried again" in once.err


@pytest.mark.slow
def test_a_job_that_dies_half_way_keeps_the_cells_it_recorded(
    mlpiht: Run, spec: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(registry.METHODS, "dying", faulty.Dying)
    Path("t.csv").write_text("a,y\n" + "".join(f"{i},{i % 5}\n" for i in range(30)))
    spec.write_text(
        spec.read_text()
        .replace("  - {name: iht, steps: 4}\n", "")
        .replace("name: imp", "name: dying")
        .replace("{name: planted, n: 60, d: 6}", "{name: tabular, path: t.csv}")
        .replace("s: [2, 5]", "s: [1, 2, 3]")
        .replace(", set: {task.n: 40}", "")
    )
    result = mlpiht("sweep", spec, "--only", "m=2,seed=0", "--jobs", "2")
    assert result.code == 1
    assert [(row["s"], row["status"]) for row in table(Path("results/tiny.csv"))] == [
        ("1", "failed"),
        ("2", "failed"),
        ("3", "ok"),
    ], "the run passes the largest budget first"
    assert len(records("results")) == 3


@contextmanager
def cluster(count: int, protocol: str = "tcp", threads: int = 1, **config: str) -> Iterator[str]:
    """A Dask scheduler and workers in processes of their own; yields its address."""
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])  # where the faulty task is
    env = {**os.environ, "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "0", "PYTHONPATH": path, **config}
    pipes: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "env": env}
    start = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0"]
    start += ["--protocol", protocol]
    start += ["--scheduler-file", "scheduler.json", "--no-dashboard", "--dashboard-address", "127.0.0.1:0"]
    processes = [subprocess.Popen(start, **pipes)]
    try:
        wait_until(lambda: Path("scheduler.json").exists() and Path("scheduler.json").read_text(), "the scheduler")
        address: str = json.loads(Path("scheduler.json").read_text())["address"]
        worker = [sys.executable, "-m", "distributed.cli.dask_worker", address, "--no-dashboard"]
        worker += ["--nthreads", str(threads)]
        processes += [subprocess.Popen([*worker, "--host", "127.0.0.1"], **pipes) for _ in range(count)]
        yield address
    finally:
        for process in reversed(processes):  # by force: a worker that is being replaced does not listen
            for one in family(process.pid):
                one.kill()
            process.kill()
            process.wait()


def test_two_workers_of_a_cluster_over_tcp(mlpiht: Run, spec: Path) -> None:
    with cluster(2) as address:
        assert address.startswith("tcp://127.0.0.1:")
        result = mlpiht("sweep", spec, "--scheduler", address, "--json")
    assert result.json["counts"] == {"ok": 16}
    mlpiht("sweep", spec, "--out", "serial")
    assert table(Path("results/tiny.csv")) == table(Path("serial/tiny.csv"))


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("openssl"), reason="openssl makes the certificate")
def test_a_cluster_over_tls(mlpiht: Run, spec: Path, start: Run) -> None:
    """Both ends show the certificate; who has none is not let in."""
    words = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=mlpiht -keyout key.pem -out cert.pem"
    subprocess.run(["openssl", *words.split()], check=True, capture_output=True)
    tls = "DASK_DISTRIBUTED__COMM__TLS__"
    config = {f"{tls}CA_FILE": "cert.pem"}
    for role in ("SCHEDULER", "WORKER", "CLIENT"):
        config |= {f"{tls}{role}__CERT": "cert.pem", f"{tls}{role}__KEY": "key.pem"}
    with cluster(1, "tls", **config) as address:
        assert address.startswith("tls://127.0.0.1:")
        refused = mlpiht("sweep", spec, "--scheduler", address, "--json")
        process = start("sweep", spec, "--scheduler", address, "--json", env={**os.environ, **config})
        out, err = process.communicate(timeout=120)
    assert refused.code == 2
    assert "TLS configuration" in refused.json["error"]
    assert process.returncode == 0, err
    assert json.loads(out)["counts"] == {"ok": 16}


@pytest.mark.slow
def test_cells_that_go_wrong_on_a_cluster(mlpiht: Run, faulty_spec: Path) -> None:
    with cluster(2) as address:
        wrong = sets(dies=3, raises=4)
        result = mlpiht("sweep", faulty_spec, "--scheduler", address, *wrong, "--only", "m<=5")
    assert result.code == 1
    assert "4 cells: 2 done, 2 failed" in result.out, result.err
    reasons = [row["reason"] for row in table(Path("results/faulty.csv")) if row["reason"]]
    assert [reason.partition(":")[0] for reason in reasons] == ["the worker process died", "RuntimeError"]


@pytest.mark.slow
def test_no_scheduler_is_an_error_and_a_lost_one_too(mlpiht: Run, faulty_spec: Path, start: Run) -> None:
    began = time.monotonic()
    result = mlpiht("sweep", faulty_spec, "--scheduler", "tcp://127.0.0.1:9", "--json")
    assert result.code == 2
    assert "no scheduler answers there" in result.json["error"]
    assert time.monotonic() - began < 60
    with cluster(1) as address:
        process = start("sweep", faulty_spec, "--scheduler", address, *sets(slow=2))
        wait_until(lambda: records("results"), "the first record")
    out, err = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "To go on: mlpiht sweep" in err
    assert out == ""


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--jobs", "0"), "neither a number of processes nor auto"),
        (("--jobs", "two"), "neither a number of processes nor auto"),
        (("--cell-timeout", "soon"), "not a duration; write 90, 90s, 5m or 2h"),
        (("--max-time", "0"), "not a duration"),
        (("--max-time", "1" * 30), "not a duration"),
        (("--jobs", "2", "--devices", "cpu"), "give one of them"),
        (("--jobs", "2", "--scheduler", "tcp://127.0.0.1:1"), "give one of them"),
        (("--device", "cpu", "--devices", "cpu"), "give one of them"),
        (("--devices", "cpu,"), "write a list such as"),
        (("--devices", "cpu,tpu"), "--device tpu"),
        (("--devices", "cuda:77"), "CUDA device(s) found"),
        (("--scheduler", "nonsense://x"), "no scheduler answers there"),
    ],
)
def test_wrong_options_are_refused_before_anything_runs(
    mlpiht: Run, spec: Path, words: tuple[str, ...], told: str
) -> None:
    result = mlpiht("sweep", spec, *words, "--json")
    assert result.code == 2
    assert told in result.json["error"]
    assert not records("results")
