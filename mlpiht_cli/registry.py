"""TASKS and METHODS by name. To add one: one file, one line here."""

from __future__ import annotations

from mlpiht_cli.baselines.imp import IMP
from mlpiht_cli.method import Method
from mlpiht_cli.solvers.iht import IHT
from mlpiht_cli.task import Task
from mlpiht_cli.tasks.mnist import MNISTBinary
from mlpiht_cli.tasks.planted import Planted
from mlpiht_cli.tasks.tabular import Tabular

TASKS: dict[str, type[Task]] = {
    "mnist_binary": MNISTBinary,
    "planted": Planted,
    "tabular": Tabular,
}

METHODS: dict[str, type[Method]] = {
    "iht": IHT,
    "imp": IMP,
}
