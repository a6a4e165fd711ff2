"""Signals that come early: while modules are imported, whose errors somebody may swallow."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

START = """
import importlib.abc, os, signal, sys

class Sender(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == {module!r}:
            for number in {numbers!r}:
                os.kill(os.getpid(), number)

{before}
sys.meta_path.insert(0, Sender())
sys.argv = ["mlpiht", *{words!r}]
from mlpiht_cli.__main__ import main
sys.exit(main())
"""
FIT = ["fit", "--method", "iht", "--task", "planted", "--m", "3", "--s", "5", "--n", "80", "--d", "6"]
SWEEP = ["sweep", "smoke"]


def run(
    folder: Path, words: list[str], module: str, *numbers: int, before: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run a command that gets signals when it looks for a module."""
    code = START.format(module=module, numbers=[int(number) for number in numbers], words=words, before=before)
    paths = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), *sys.path])}
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=folder, env=paths, timeout=120
    )


@pytest.mark.parametrize(
    "module", ["mlpiht_cli.cli", "click", "numpy", "numpy.linalg", "yaml", "mlpiht_cli.engine.sweep"]
)
@pytest.mark.parametrize(
    ("number", "code", "name"),
    [(signal.SIGTERM, 75, "SIGTERM"), (signal.SIGINT, 130, "Ctrl-C")],
    ids=["SIGTERM", "SIGINT"],
)
def test_an_early_signal_ends_a_sweep_as_a_late_one_does(
    tmp_path: Path, module: str, number: int, code: int, name: str
) -> None:
    done = run(tmp_path, SWEEP, module, number)
    assert done.returncode == code, done.stderr
    assert done.stderr == f"stopped by {name}; every finished cell is recorded. To go on: mlpiht sweep smoke\n"
    assert done.stdout == ""
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "number", "code", "text"),
    [
        (SWEEP, signal.SIGHUP, 75, "stopped by SIGHUP"),
        (SWEEP, signal.SIGUSR1, 75, "stopped by SIGUSR1"),
        (["--color", "never", *SWEEP], signal.SIGTERM, 75, "stopped by SIGTERM"),
        (FIT, signal.SIGTERM, 143, "stopped by SIGTERM"),
        (FIT, signal.SIGHUP, 129, "stopped by SIGHUP"),
        (FIT, signal.SIGINT, 130, "interrupted"),
        (["plot", "sweep"], signal.SIGTERM, 143, "stopped by SIGTERM"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_every_command_ends_with_one_line_and_its_code(
    tmp_path: Path, words: list[str], number: int, code: int, text: str
) -> None:
    done = run(tmp_path, [*words, "--json"], "numpy", number)
    assert done.returncode == code, done.stderr
    answer = json.loads(done.stdout)
    assert answer["exit_code"] == code
    assert answer["error"].startswith(text)
    assert done.stderr.count("\n") == 1
    assert text in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_signal_between_imports_lets_the_command_clean_up(tmp_path: Path) -> None:
    """The table is written by way of a temporary file, which is gone afterwards."""
    before = "import pathlib; whole = pathlib.Path.replace\n"
    before += "pathlib.Path.replace = lambda *_: os.kill(os.getpid(), 15)"
    done = run(tmp_path, ["specs", "copy", "smoke"], "nothing", before=before)
    assert done.returncode == 143, done.stderr
    assert done.stderr == "error: stopped by SIGTERM\n"
    assert not list(tmp_path.iterdir())


def test_a_second_signal_ends_the_command_at_once(tmp_path: Path) -> None:
    done = run(tmp_path, SWEEP, "numpy", signal.SIGTERM, signal.SIGTERM, signal.SIGINT)
    assert done.returncode == 75
    assert done.stderr.count("stopped by") == 1


@pytest.mark.parametrize(("words", "number"), [(FIT, "SIGHUP"), (FIT, "SIGINT"), (FIT, "SIGTERM"), (SWEEP, "SIGHUP")])
def test_a_signal_that_the_shell_ignores_stays_ignored(tmp_path: Path, words: list[str], number: str) -> None:
    """``nohup`` ignores SIGHUP, and a shell ignores SIGINT for what it starts in the background."""
    before = f"signal.signal(signal.{number}, signal.SIG_IGN)"
    module = "mlpiht_cli.engine.executors.serial" if words == SWEEP else "numpy"  # a sweep has handlers of its own then
    done = run(tmp_path, [*words, "--json"], module, getattr(signal, number), before=before)
    assert done.returncode == 0, done.stderr


def test_the_installed_program_is_the_one_that_hears_signals() -> None:
    import tomllib

    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert project["scripts"] == {"mlpiht": "mlpiht_cli.__main__:main"}
