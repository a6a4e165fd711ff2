"""The line that fit and doctor show on a terminal, seen through a pseudo-terminal."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from mlpiht_cli.commands import _status_line as line

FIT = ("fit", "--task", "planted", "--method", "iht", "--m", 3, "--s", 5, "--n", 80, "--d", 6, "--json")
# The whole of mlpiht with a first frame after nothing, and each iteration longer than a frame.
SLOW = """
import sys, time
from mlpiht_cli.cli import main
from mlpiht_cli.commands import _status_line as line
from mlpiht_cli.solvers import iht
line.SECONDS_UNTIL_SHOWN, line.SECONDS_PER_FRAME = 0.0, 0.01
step = iht.iht_step
def slow(*args, **options):
    time.sleep(0.1)
    return step(*args, **options)
iht.iht_step = slow
sys.exit(main())
"""


def on_a_terminal(*words: object, code: str = SLOW) -> tuple[int, str, str]:
    """Exit code, stdout and what a terminal receives on stderr."""
    pty = pytest.importorskip("pty")
    termios = pytest.importorskip("termios")
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(ours, (24, 100))
    command = [sys.executable, "-c", code, *map(str, words)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=theirs, text=True)
    os.close(theirs)
    seen = b""
    while True:
        try:
            part = os.read(ours, 4096)
        except OSError:  # the last process that had the terminal has ended
            break
        if not part:
            break
        seen += part
    os.close(ours)
    out, _ = process.communicate(timeout=60)
    return process.returncode, out, seen.decode()


def test_a_long_fit_tells_its_iteration_and_loss_and_cleans_up() -> None:
    code, out, seen = on_a_terminal(*FIT)
    assert code == 0
    losses = dict(re.findall(r"iteration (\d+), loss ([\d.e+-]+), 00:\d\d", seen))
    assert {int(number) for number in losses} > {1, 8}, "frames follow the iterations"
    assert all(float(loss) >= 0 for loss in losses.values())
    assert json.loads(out)["iterations"] >= max(map(int, losses)), "stdout is the row alone"
    last = seen.rsplit("\r", 2)
    assert last[-1] == ""
    assert not last[-2].strip(), "blanks are written over the line at the end"


def test_nothing_is_drawn_when_quiet_or_quick() -> None:
    assert on_a_terminal("-q", *FIT)[2] == ""
    quick = "import sys; from mlpiht_cli.cli import main; sys.exit(main())"
    assert on_a_terminal(*FIT, code=quick)[2] == "", "a fit of milliseconds says nothing"


def test_nothing_is_drawn_where_stderr_is_no_terminal() -> None:
    done = subprocess.run([sys.executable, "-c", SLOW, *map(str, FIT)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    assert done.stderr == ""


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_line_ends_when_an_error_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setattr(line, "SECONDS_UNTIL_SHOWN", 0.0)

    def interrupted() -> None:
        with line.StatusLine(False, lambda: "at work"):
            while "at work, 00:00" not in screen.getvalue():
                time.sleep(0.01)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    seen = screen.getvalue()
    assert not seen.rsplit("\r", 2)[-2].strip()


def test_doctor_names_the_kernel_that_it_compiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The compilation itself takes a minute, so a kernel of this test stands for those of the methods."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    code = """
import sys, time
from mlpiht_cli.cli import main
from mlpiht_cli.commands import _status_line as line
from mlpiht_cli.solvers.iht import IHT
from mlpiht_cli.baselines.imp import IMP
line.SECONDS_UNTIL_SHOWN, line.SECONDS_PER_FRAME = 0.0, 0.01
def own(x):
    return x + 1
own.__module__ = "mlpiht_cli.linalg.own"
import numba
own = numba.njit(own)
def fit_path(self, *args):
    own(1)
    time.sleep(0.1)
    return iter(())
IHT.fit_path = IMP.fit_path = fit_path
sys.exit(main())
"""
    code_, out, seen = on_a_terminal("doctor", "--json", "--out", tmp_path, code=code)
    assert code_ in (0, 1)
    facts: dict[str, Any] = json.loads(out)
    assert "ready after" in facts["kernels"]
    assert "kernels, part 1 of 4 (iht): compiling own, 00:0" in seen
