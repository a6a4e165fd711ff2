"""Sweeps with worker processes: the network they need is the loopback interface, and nothing else is allowed."""

from __future__ import annotations

import random
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import faulty
import pytest
from sweeping import family

from mlpiht_cli.plan import registry


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    connect = socket.socket.connect

    def local(self: socket.socket, address: Any) -> None:
        assert self.family == socket.AF_UNIX or address[0] == "127.0.0.1", f"connects to {address}"
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", local)


@pytest.fixture(autouse=True)
def random_states_survive() -> Iterator[None]:
    """Dask draws from Python's global random state in this process; no cell is run here, and none draws from it."""
    before = random.getstate()
    yield
    random.setstate(before)


@pytest.fixture(autouse=True)
def faulty_task(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry.TASKS, "faulty", faulty.Faulty)


@pytest.fixture
def spec(tmp_path: Path, tiny_spec: str) -> Path:
    """16 cells of two methods, one of which runs its budgets in one job."""
    path = tmp_path / "tiny.yaml"
    path.write_text(tiny_spec)
    return path


@pytest.fixture
def faulty_spec(tmp_path: Path, tiny_spec: str) -> Path:
    """Eight cells, a job each, whose widths go wrong on demand."""
    path = tmp_path / "faulty.yaml"
    path.write_text(
        tiny_spec.replace("name: tiny", "name: faulty")
        .replace("  - {name: imp, epochs: 2}\n", "")
        .replace("seeds: [0, 1]", "seeds: [0]")
        .replace("name: planted", "name: faulty")
        .replace("m: [2, 3]", "m: [2, 3, 4, 5, 6, 7, 8, 9]")
        .replace("s: [2, 5]", "s: [2]")
    )
    return path


Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Start ``mlpiht`` with the faulty task as a process; whatever is left of it ends with the test."""
    monkeypatch.chdir(tmp_path)
    started: list[subprocess.Popen[str]] = []

    def run(*args: object, **options: Any) -> subprocess.Popen[str]:
        command = [sys.executable, faulty.__file__, *map(str, args)]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        started.append(subprocess.Popen(command, **{**pipes, **options}))
        return started[-1]

    yield run
    for process in started:
        for one in family(process.pid):
            one.kill()
        process.kill()
        process.communicate()
