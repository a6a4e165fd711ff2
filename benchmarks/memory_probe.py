"""One measurement of memory, alone in a process: ``python -m benchmarks.memory_probe '{"method": "iht", ...}'``.

Prints one JSON object. What counts is the peak of the resident set (VmHWM) during the fit, beyond the resident set
right before it: imports, data and compiled kernels (a tiny fit comes first) are there by then.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import json
import resource
import sys
import time
from dataclasses import asdict, dataclass
from typing import Any

import click
import psutil

from benchmarks import common
from mlpiht_cli.baselines.imp import IMP
from mlpiht_cli.core.method import Method
from mlpiht_cli.solvers.iht import IHT

PLANTED = (10, 20)
"""Width and nonzeros of the planted network. The width of the fitted one may vary: the data stay the same."""
TINY = (4, 4)
"""Width and budget of the fit that comes first."""


@dataclass(frozen=True)
class Setting:
    """What is fitted: ``iht`` with ``m, s`` for 15 steps, or ``imp`` for one round of two epochs (``s`` is its own).

    IMP's peak comes in its first round, with all weights there; later rounds have fewer. The second epoch is there
    because Adam's moments stay from the first on.
    """

    method: str
    m: int
    s: int = 0
    n: int = 2000
    d: int = 100
    threads: int = 1

    @property
    def budget(self) -> int:
        """Budget of the fit: for IMP what one prune leaves."""
        weights = self.m * (self.d + 1)
        return self.s if self.method == "iht" else weights - max(1, round(0.1 * weights))

    def fitter(self) -> Method:
        """Our method."""
        return IHT(steps=common.STEPS) if self.method == "iht" else IMP(epochs=2)


def probe(setting: Setting) -> dict[str, Any]:
    """Fit, and tell the memory before and at the peak in KiB, and the seconds it took."""
    with common.threads(setting.threads):
        problem = common.planted(setting.n, setting.d, PLANTED)
        common.fit(setting.fitter(), common.planted(64, setting.d, TINY), TINY)
        _release()
        reset = _reset_peak()
        before = psutil.Process().memory_info().rss // 1024
        start = time.perf_counter()
        common.fit(setting.fitter(), problem, (setting.m, setting.budget))
        taken = time.perf_counter() - start
        peak = _peak()
    return {
        **asdict(setting),
        "s": setting.budget,
        "before_kib": before,
        "peak_kib": peak,
        "peak_was_reset": reset,
        "seconds": taken,
    }


def _release() -> None:
    """Hand freed memory back to the system, so that the fit cannot use it unseen."""
    gc.collect()
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL("libc.so.6").malloc_trim(0)


def _reset_peak() -> bool:
    """Set VmHWM back to the present; elsewhere than on Linux the peak is that of the whole process."""
    try:
        with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
            file.write("5")
    except OSError:
        return False
    return True


def _peak() -> int:
    """Peak resident set in KiB: VmHWM, or what ``getrusage`` says where there is no /proc."""
    with contextlib.suppress(OSError), open("/proc/self/status", encoding="ascii") as status:
        for line in status:
            if line.startswith("VmHWM:"):
                return int(line.split()[1])
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most // 1024 if sys.platform == "darwin" else most


@click.command()
@click.argument("setting")
def main(setting: str) -> None:
    """Measure one SETTING, a JSON object, and print what was found as another."""
    click.echo(json.dumps(probe(Setting(**json.loads(setting)))))


if __name__ == "__main__":
    main()
