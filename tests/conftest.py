"""Shared fixtures. No test may touch the network; global random states must survive every test."""

from __future__ import annotations

import json
import logging
import os
import random
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

# One thread: the tests are small, and threads that wait for each other on a busy machine cost more than they give.
os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import pytest
import torch
from hand import TINY
from hypothesis import settings

from mlpiht_cli.cli import main

# Examples are drawn afresh in local runs; in CI the same ones each time, so that a red run can be repeated.
settings.register_profile("ci", derandomize=True, deadline=None)
settings.register_profile("dev", deadline=None)
settings.load_profile("ci" if os.environ.get("CI") else "dev")


@pytest.fixture(scope="session", autouse=True)
def _signals_are_heard() -> None:
    """A suite that a shell starts in the background may ignore signals, and the commands it starts would too."""
    for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, handler)


@pytest.fixture(autouse=True)
def _warnings_are_heard() -> None:
    """A command line sets the level of the log for its process, and may leave it quiet."""
    logging.getLogger("mlpiht").setLevel(logging.WARNING)


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("the tests have no network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture(autouse=True)
def random_states_survive() -> Iterator[None]:
    before = random.getstate(), np.random.get_state(legacy=False), torch.random.get_rng_state()
    yield
    after = random.getstate(), np.random.get_state(legacy=False), torch.random.get_rng_state()
    assert before[0] == after[0], "the test changed Python's global random state"
    np.testing.assert_equal(before[1], after[1], err_msg="the test changed NumPy's global random state")
    assert torch.equal(before[2], after[2]), "the test changed torch's global random state"


class Result(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def mlpiht(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Result]:
    """Run a command line in an empty folder, without any data set."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLPIHT_DATA_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    # --offline sets a variable; make sure that it does not outlive the test.
    monkeypatch.setenv("MLPIHT_OFFLINE", "")

    def run(*args: object) -> Result:
        capsys.readouterr()
        code = main([str(arg) for arg in args])
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return Result(code, captured.out, captured.err)

    return run


def data_folder(*files: str) -> Path:
    folder = os.environ.get("MLPIHT_DATA_DIR")
    for file in files:
        if not folder or not list(Path(folder).glob(f"{file}*")):
            pytest.skip(f"MLPIHT_DATA_DIR does not point at a folder with {file}(.gz)")
    return Path(str(folder))


@pytest.fixture
def real_mnist() -> Path:
    """Folder with the real MNIST files, from MLPIHT_DATA_DIR."""
    return data_folder("mnist/train-images-idx3-ubyte")


@pytest.fixture
def real_cifar10() -> Path:
    """Folder with the first training file and the test file of CIFAR-10, from MLPIHT_DATA_DIR."""
    return data_folder("cifar-10-batches-bin/data_batch_1.bin", "cifar-10-batches-bin/test_batch.bin")


@pytest.fixture
def tiny_spec() -> str:
    """A spec that runs in a second."""
    return TINY
