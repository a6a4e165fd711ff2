"""Sweeps that are stopped, politely or not, and go on afterwards as if nothing had been."""

from __future__ import annotations

import fcntl
import json
import os
import random
import signal
import subprocess
import termios
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from sweeping import Table, family, gone, records, sets, table, wait_until, workers

Run = Callable[..., Any]


def logs(out: str) -> list[Path]:
    return list(Path(out, ".records", "logs").glob("*.log"))


def in_terminal(start: Run, *args: object) -> tuple[subprocess.Popen[str], int]:
    """Start a command in a terminal of its own; return it and our end of the terminal."""
    ours, theirs = os.openpty()

    def own_terminal() -> None:
        os.setsid()
        fcntl.ioctl(theirs, termios.TIOCSCTTY, 0)

    process = start(*args, stdin=theirs, stdout=theirs, stderr=theirs, preexec_fn=own_terminal)
    os.close(theirs)
    os.set_blocking(ours, False)
    return process, ours


def read(ours: int, so_far: list[bytes]) -> str:
    """All that a terminal has shown."""
    try:
        while block := os.read(ours, 4096):
            so_far.append(block)
    except OSError:  # nothing at the moment, or the other end is closed
        pass
    return b"".join(so_far).decode(errors="replace")


def interrupted(process: subprocess.Popen[str], ours: int, shown: list[bytes]) -> str:
    """Wait for the end of a sweep that Ctrl-C stopped, and return what it showed."""
    wait_until(lambda: read(ours, shown) is not None and process.poll() is not None, "the end")
    text = read(ours, shown)
    os.close(ours)
    assert process.returncode == 130, text
    assert "To go on: mlpiht sweep" in text
    assert "Traceback" not in text
    return text


def test_ctrl_c_lets_running_cells_finish(mlpiht: Run, start: Run, faulty_spec: Path) -> None:
    process, ours = in_terminal(start, "sweep", faulty_spec, "--jobs", 2, *sets(slow=0.3))
    shown: list[bytes] = []
    wait_until(lambda: read(ours, shown) and records("results"), "the first record")
    began = len(logs("results"))
    os.write(ours, b"\x03")
    wait_until(lambda: "Ctrl-C again stops at once" in read(ours, shown), "the answer to Ctrl-C")
    interrupted(process, ours, shown)
    rows = table(Path("results/faulty.csv"))
    assert {row["status"] for row in rows} == {"ok"}, "the workers did not hear the terminal's signal"
    assert 0 < len(rows) == len(records("results")) < 8
    assert began <= len(rows), "the cells under way were finished"
    assert not logs("results")
    resumed = mlpiht("sweep", faulty_spec, *sets(slow=0.3))
    assert f"{len(rows)} done, {8 - len(rows)} to run" in resumed.err


@pytest.mark.parametrize("jobs", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_ctrl_c_twice_stops_at_once(start: Run, faulty_spec: Path, jobs: int) -> None:
    process, ours = in_terminal(start, "sweep", faulty_spec, "--jobs", jobs, *sets(hangs=9, once="hung"))
    shown: list[bytes] = []
    wait_until(lambda: read(ours, shown) and Path("hung").exists(), "the cell that hangs")
    wait_until(lambda: read(ours, shown) and len(records("results")) == 7, "all cells but that one")
    ours_too = family(process.pid)
    os.write(ours, b"\x03")
    wait_until(lambda: "Ctrl-C again stops at once" in read(ours, shown), "the answer to Ctrl-C")
    assert process.poll() is None
    os.write(ours, b"\x03")
    text = interrupted(process, ours, shown)
    wait_until(lambda: gone(ours_too), "the workers' end")
    assert len(table(Path("results/faulty.csv"))) == 7, text


@pytest.mark.parametrize(
    ("number", "jobs"),
    [
        (signal.SIGTERM, 1),
        pytest.param(signal.SIGUSR1, 1, marks=pytest.mark.slow),
        pytest.param(signal.SIGTERM, 2, marks=pytest.mark.slow),
        pytest.param(signal.SIGUSR1, 2, marks=pytest.mark.slow),
        (signal.SIGHUP, 2),
    ],
)
def test_polite_signals_stop_a_sweep_with_work_left(
    start: Run, faulty_spec: Path, number: signal.Signals, jobs: int
) -> None:
    """A batch system may send it to every process: the workers finish their cells all the same."""
    process = start("sweep", faulty_spec, "--json", "--jobs", jobs, *sets(slow=0.3), start_new_session=True)
    wait_until(lambda: records("results") or process.poll() is not None, "the first record")
    os.killpg(process.pid, number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 75, err
    facts = json.loads(out)
    assert facts["stopped"] == number.name
    assert facts["counts"].keys() == {"ok", "todo"}
    assert facts["counts"]["ok"] == facts["ran"] == len(records("results")) > 0
    assert "To go on: mlpiht sweep" in err
    assert "resource_tracker" not in err, "Python's helper does not hear them either"


def test_max_time_stops_a_sweep(mlpiht: Run, faulty_spec: Path) -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    result = mlpiht("sweep", faulty_spec, "--max-time", "0.1s", *sets(slow=0.2), "--json")
    assert result.code == 75
    assert result.json["stopped"] == "--max-time"
    assert result.json["counts"]["todo"] >= 7
    assert "cells left" in result.err
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
    done = mlpiht("sweep", faulty_spec, "--max-time", "1h", *sets(slow=0.2), "--json")
    assert done.code == 0, "time that is not up stops nothing"
    assert done.json["stopped"] == ""


def test_failed_cells_are_tried_again_in_this_process_too(mlpiht: Run, faulty_spec: Path) -> None:
    result = mlpiht("sweep", faulty_spec, "--retries", 1, *sets(raises=3, once="fault"), "--json")
    assert result.code == 0
    assert result.json["counts"] == {"ok": 8}
    assert "to be tried again" in result.err
    assert [row["attempt"] for row in table(Path("results/faulty.csv"))] == ["1", "2", *"111111"]
    assert [path.read_text().count("out of luck") for path in logs("results")] == [2]


@pytest.mark.slow
def test_fail_fast_stops_the_workers_too(mlpiht: Run, faulty_spec: Path) -> None:
    wrong = sets(raises=2, hangs=3)
    result = mlpiht("sweep", faulty_spec, "--jobs", 2, "--fail-fast", *wrong, "--json")
    assert result.code == 1
    assert result.json["counts"] == {"failed": 1, "todo": 7}
    assert not workers(os.getpid())
    assert len(logs("results")) == 1, "that of the cell that raised"


@pytest.mark.slow
def test_a_worker_that_dies_while_it_is_replaced_is_replaced_again(start: Run, faulty_spec: Path) -> None:
    process = start("sweep", faulty_spec, "--devices", "cpu", *sets(slow=1))
    wait_until(lambda: records("results"), "the first record")
    for _ in range(3):  # one worker: nothing goes on until there is another
        (old,) = workers(process.pid)
        old.kill()
        wait_until(lambda old=old: old not in workers(process.pid) and workers(process.pid), "a new worker")
    out, err = process.communicate(timeout=120)
    assert process.returncode in (0, 1), err
    statuses = Counter(row["status"] for row in table(Path("results/faulty.csv")))
    assert statuses.total() == 8, out
    assert statuses["failed"] <= 1, "only the first death can have been in a cell"


class Round:
    """A sweep that is killed, or a worker of it, at a random moment, then run again until it is done."""

    def __init__(self, start: Run, mlpiht: Run, seed: int) -> None:
        self.start, self.mlpiht, self.random = start, mlpiht, random.Random(seed)
        self.out = f"round{seed}"
        self.victim, self.jobs = (("parent", 2), ("worker", 2), ("parent", 1))[seed % 3]

    def command(self, spec: Path) -> list[object]:
        return ["sweep", spec, "--set", "method.imp.epochs=20", "--out", self.out]

    def run(self, spec: Path) -> Table:
        process = self.start(
            *self.command(spec), "--jobs", self.jobs, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self.kill(process)
        before = {path: path.read_bytes() for path in records(self.out)}
        for _ in range(5):
            result = self.mlpiht(*self.command(spec))
            if result.code == 0:
                break
        assert result.code == 0, result.err
        after = {path: path.read_bytes() for path in records(self.out)}
        assert before.items() <= after.items(), "a record was lost or changed"
        attempts = Counter(path.name[: path.name.rindex(".", 0, -5)] for path in after)
        assert set(attempts.values()) == {1}, "a record is there twice"
        strays = [path for path in Path(self.out).rglob("*") if path.is_file() and path not in after]
        assert all(path.suffix in (".tmp", ".log", ".csv") for path in strays)
        assert len([path for path in strays if path.suffix == ".tmp"]) <= 2, "at most one for each that was killed"
        return table(Path(self.out, "tiny.csv"), "attempt", "threads")

    def kill(self, process: subprocess.Popen[str]) -> None:
        """Wait for a random number of records and a little more, and kill."""
        count = self.random.randrange(15)
        wait_until(lambda: len(records(self.out)) >= count or process.poll() is not None, f"{count} records")
        time.sleep(self.random.random() * (0.02 if count else 3))
        everyone = family(process.pid)
        if self.victim == "worker" and (victims := workers(process.pid)):
            try:
                self.random.choice(victims).kill()
            except psutil.NoSuchProcess:
                assert process.poll() is not None, "workers end with the sweep alone"
            assert process.wait(timeout=120) in (0, 1)
        else:
            process.kill()
            process.wait()
        wait_until(lambda: gone(everyone), "the workers' end")


@pytest.fixture
def undisturbed(mlpiht: Run, spec: Path) -> Table:
    assert mlpiht("sweep", spec, "--set", "method.imp.epochs=20").code == 0
    return table(Path("results/tiny.csv"), "attempt", "threads")


@pytest.mark.parametrize("seed", range(3))
def test_a_killed_sweep_loses_nothing(start: Run, mlpiht: Run, spec: Path, undisturbed: Table, seed: int) -> None:
    assert Round(start, mlpiht, seed).run(spec) == undisturbed


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("tens", range(10, 20))
def test_100_killed_sweeps_lose_nothing(start: Run, mlpiht: Run, spec: Path, undisturbed: Table, tens: int) -> None:
    for seed in range(10 * tens, 10 * tens + 10):
        assert Round(start, mlpiht, seed).run(spec) == undisturbed, f"round {seed}"
