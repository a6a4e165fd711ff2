"""One measurement of memory, alone in a process: ``python -m benchmarks.memory_probe '{"method": "iht", ...}'``.

It prints one JSON object. The measured value is the peak of the resident set (VmHWM) during the fit minus the resident
set right before it. Imports, data and compiled kernels (tiny fits run first) are in memory before the fit.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import json
import resource
import sys
from dataclasses import asdict, dataclass, replace
from typing import Any

import click
import psutil

from benchmarks import clock, common
from mlpiht_cli.baselines.imp import IMP, dropped
from mlpiht_cli.core.fit import Status
from mlpiht_cli.core.method import Method
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.solvers.iht import IHT
from mlpiht_cli.solvers.iht_vector import IHTVector

PLANTED = (10, 20)
"""Width and nonzeros of the planted network. The width of the fitted one may vary: the data stay the same."""
OUTPUTS, PLANTED_VECTOR = 10, (20, 20)
"""Outputs, and the planted network of ``iht_vector``, whose fixed step diverges with larger targets."""
EPOCHS, BATCHES = 4, 4
"""Epochs of ``iht_vector``, in each of which empty blocks of neurons restart, and minibatches of an epoch."""
TINY = (4, 4), (100, 300)
"""Widths and budgets of the tiny fits that run first: small networks and wide ones have different kernels."""


@dataclass(frozen=True)
class Setting:
    """The fit: ``iht`` with ``m, s`` for 15 steps, ``iht_vector`` on minibatches, or ``imp`` for one round.

    The peak of IMP comes in its first round, which has all weights; later rounds have fewer. The round has two epochs,
    because Adam keeps its moments from the first epoch on. IMP sets its own ``s``.
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
        return weights - dropped(weights, weights, 0.1) if self.method == "imp" else self.s

    @property
    def k(self) -> int:
        """Outputs of the network."""
        return OUTPUTS if self.method == "iht_vector" else 1

    def fitter(self) -> Method:
        """Return the method that is measured."""
        if self.method == "iht_vector":
            return IHTVector(epochs=EPOCHS, batch=self.n // BATCHES)
        return IHT(steps=common.STEPS) if self.method == "iht" else IMP(epochs=2)

    def data(self) -> Problem:
        """Make the data."""
        return common.planted(self.n, self.d, PLANTED if self.k == 1 else PLANTED_VECTOR, k=self.k)


def probe(setting: Setting) -> dict[str, Any]:
    """Fit, and return the memory before the fit and at its peak in KiB, and its seconds."""
    with common.threads(setting.threads):
        problem, tiny = setting.data(), replace(setting, n=64)
        for shape in TINY:
            common.fit(tiny.fitter(), tiny.data(), shape)
        _release()
        reset = _reset_peak()
        before = psutil.Process().memory_info().rss // 1024
        start = clock.now()
        found = common.fit(setting.fitter(), problem, (setting.m, setting.budget))
        taken = clock.since(start)
        peak = _peak()
    if found.status is not Status.OK:
        raise RuntimeError(f"{setting}: the fit ended with status {found.status.value}, so its memory says nothing")
    return {
        **asdict(setting),
        "s": setting.budget,
        "before_kib": before,
        "peak_kib": peak,
        "peak_was_reset": reset,
        "seconds": taken.wall,
        "cpu_seconds": taken.cpu,
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
