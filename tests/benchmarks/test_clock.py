"""Wall time and processor time are what they say."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from benchmarks import clock
from benchmarks.clock import Seconds


def burn(seconds: float) -> None:
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


def test_a_wait_takes_wall_time_alone_and_work_takes_both() -> None:
    (waited,), _ = clock.timed(lambda: time.sleep(0.1), 1, warm_up=lambda: None)
    assert waited.wall >= 0.1
    assert waited.cpu < 0.05
    (worked,), _ = clock.timed(lambda: burn(0.1), 1, warm_up=lambda: None)
    assert 0.1 <= worked.cpu <= worked.wall + 0.02


def test_processor_time_has_that_of_ended_child_processes() -> None:
    start = clock.now()
    code = "import time\nwhile time.process_time() < 0.3: pass"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert clock.since(start).cpu >= 0.25  # the system counts that of children in hundredths


def test_timed_runs_warm_up_once_and_are_at_least_one() -> None:
    calls: list[str] = []
    taken, last = clock.timed(lambda: calls.append("run") or len(calls), 3)
    assert (len(taken), last, len(calls)) == (3, 4, 4)
    taken, _ = clock.timed(lambda: calls.append("run"), 0, warm_up=lambda: calls.append("warm"))
    assert len(taken) == 1
    assert calls[4:] == ["warm", "run"]


def test_spread_and_ratios() -> None:
    taken = [Seconds(4.0, 1.0), Seconds(2.0, 2.0), Seconds(9.0, 9.0)]
    assert clock.spread("a", taken) == {"a_s": 4.0, "a_s_min": 2.0, "a_s_max": 9.0, "a_cpu_s": 2.0}
    assert clock.median(taken).times(3) == (12.0, 6.0)
    assert taken[0].over(taken[1]) == pytest.approx((2.0, 0.5))
