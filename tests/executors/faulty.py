"""``mlpiht`` with a task whose cells go wrong, as ``python tests/executors/faulty.py sweep ...``.

Workers find the task here too: a process of Python's multiprocessing inherits its parent's module path.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import ClassVar

from mlpiht_cli import registry
from mlpiht_cli.cli import main
from mlpiht_cli.problem import Problem
from mlpiht_cli.rng import Streams
from mlpiht_cli.task import Axes, Axis
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
    until: str = ""
    """File that ends the faults once it is there, so that a cell may be tried again with success."""

    def build(self, axes: Axes, streams: Streams) -> Problem:
        if not self.until or not os.path.exists(self.until):
            if axes.m == self.raises:
                raise RuntimeError("out of luck")
            if axes.m == self.dies:
                os.kill(os.getpid(), signal.SIGKILL)
            if axes.m == self.crashes:
                os.kill(os.getpid(), signal.SIGSEGV)
            if axes.m == self.hangs:
                time.sleep(1000)
        time.sleep(self.slow)
        return super().build(axes, streams)


if __name__ == "__main__":
    from faulty import Faulty as Importable  # this module by its name: workers know it under no other

    registry.TASKS["faulty"] = Importable
    sys.exit(main())
