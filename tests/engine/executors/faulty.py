"""``mlpiht`` with a task whose cells go wrong, as ``python tests/executors/faulty.py sweep ...``.

Workers find the task here too: a process of Python's multiprocessing inherits its parent's module path.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

from mlpiht_cli.baselines.imp import IMP
from mlpiht_cli.cli import main
from mlpiht_cli.core.fit import Fit
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.core.task import Axes, Axis
from mlpiht_cli.plan import registry
from mlpiht_cli.rng import Streams
from mlpiht_cli.tasks.planted import Planted


class Faulty(Planted):
    """Planted data; what a width is named for happens when its data are made."""

    version: ClassVar[int] = 1
    depends_on: ClassVar[frozenset[Axis]] = frozenset({"m", "s", "depth", "seed"})

    raises: int = 0
    dies: int = 0
    crashes: int = 0
    hangs: int = 0
    slow: float = 0.0
    once: str = ""
    """File that the first fault makes, and whose being there ends the faults."""

    def build(self, axes: Axes, streams: Streams) -> Problem:
        time.sleep(self.slow)
        if axes.m in (self.raises, self.dies, self.crashes, self.hangs) and not (
            self.once and Path(self.once).exists()
        ):
            if self.once:
                Path(self.once).touch()
            self.fail(axes.m)
        return super().build(axes, streams)

    def fail(self, m: int) -> None:
        if m == self.raises:
            raise RuntimeError("out of luck")
        if m == self.hangs:
            time.sleep(1000)
        signal.raise_signal(signal.SIGKILL if m == self.dies else signal.SIGSEGV)


class Dying(IMP):
    """IMP whose process dies after the first budget."""

    def fit_path(self, *args: Any) -> Iterator[Fit]:
        fits = super().fit_path(*args)
        yield next(fits)
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    from faulty import Faulty as Importable  # this module by its name: workers know it under no other

    registry.TASKS["faulty"] = Importable
    sys.exit(main())
