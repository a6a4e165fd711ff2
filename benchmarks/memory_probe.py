"""One measurement of memory, alone in a process: ``python -m benchmarks.memory_probe '{"method": "iht", ...}'``.

It prints one JSON object. The measured value is the peak of the resident set (VmHWM) during the fit minus the resident
set right before it. Imports, data and compiled kernels (a tiny fit runs first) are in memory before the fit.
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
"""Width and budget of the tiny fit that runs first."""


@dataclass(frozen=True)
class Setting:
    """The fit: ``iht`` with ``m, s`` for 15 steps, or ``imp`` for one round of two epochs (it sets its own ``s``).

    The peak of IMP comes in its first round, which has all weights; later rounds have fewer. The second epoch is needed
    because Adam keeps its moments from the first epoch on.
    """

    method: str
    m: int
    s: int = 0
    n: int = 2000
    d: int = 100
    threads: int = 1

    @property
    def budget(self) -> int:
        """Budget of the fit; for IMP the number of weights after one prune."""
        weights = self.m * (self.d + 1)
        return self.s if self.method == "iht" else weights - max(1, round(0.1 * weights))

    def fitter(self) -> Method:
        """Return the method that is measured."""
        return IHT(steps=common.STEPS) if self.method == "iht" else IMP(epochs=2)


def probe(setting: Setting) -> dict[str, Any]:
    """Fit, and return the memory before the fit and at its peak in KiB, and its seconds."""
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
    """Return freed memory to the system; the fit could reuse it without a rise of the resident set."""
    gc.collect()
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL("libc.so.6").malloc_trim(0)


def _reset_peak() -> bool:
    """Reset VmHWM to the present value, on Linux only; elsewhere the peak is that of the whole process."""
    try:
        with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
            file.write("5")
    except OSError:
        return False
    return True


def _peak() -> int:
    """Return the peak resident set in KiB: VmHWM, or the value of ``getrusage`` if there is no /proc."""
    with contextlib.suppress(OSError), open("/proc/self/status", encoding="ascii") as status:
        for line in status:
            if line.startswith("VmHWM:"):
                return int(line.split()[1])
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most // 1024 if sys.platform == "darwin" else most


@click.command()
@click.argument("setting")
def main(setting: str) -> None:
    """Measure one SETTING, a JSON object, and print the result as a JSON object."""
    click.echo(json.dumps(probe(Setting(**json.loads(setting)))))


if __name__ == "__main__":
    main()
