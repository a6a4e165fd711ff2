"""The contract of tasks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Literal

from pydantic import Field

from mlpiht_cli.core.problem import Problem
from mlpiht_cli.core.settings import Settings
from mlpiht_cli.rng import Streams
from mlpiht_cli.system.files import canonical

Axis = Literal["m", "s", "depth", "seed"]


@dataclass(frozen=True)
class Axes:
    """The axes of a cell that a task may depend on: hidden width, budget, hidden layers."""

    m: int
    s: int
    depth: int = 1


@dataclass(frozen=True)
class Dims:
    """Size of a data set: training samples, features, outputs."""

    n: int
    d: int
    k: int


class Task(Settings, ABC):
    """A source of data to learn from: its fields are its settings, and an instance never changes.

    A task knows no method.
    """

    version: ClassVar[int]
    """Number that is raised by hand when the data change; part of the key of every cell."""
    depends_on: ClassVar[frozenset[Axis]]
    """Axes that change the data; cells that agree in these axes share one problem."""
    pictured: ClassVar[Literal["image", "weights", "layer"] | None] = None
    """Content of pictures: an image, the planted weights of one hidden layer, or the weights of a linear layer."""
    weight_names: ClassVar[tuple[Sequence[str], Sequence[str]]] = ((), ())
    """Names of the outputs and of the inputs, for pictures of a linear layer."""

    clip_budget: bool = Field(
        False,
        description="allow a budget s above the number of weights (it keeps all); the paper's grids have such budgets",
    )

    @property
    def hints(self) -> Mapping[str, object]:
        """Suggested values for settings of methods; they replace the methods' defaults.

        A name with a dot is for one method alone: ``imp.epochs`` for the epochs of ``imp``.
        """
        return {}

    @abstractmethod
    def dims(self) -> Dims:
        """Return the size of the data, if possible without reading them."""

    def budget_fault(self, axes: Axes) -> str | None:
        """Return why the data cannot be made with this budget, or None."""
        return None

    def picture_fault(self, depth: int, budgets: int) -> str | None:
        """Return why networks of this depth and number of budgets cannot be drawn, or None."""
        if self.pictured is None:
            return "the task has neither an image nor planted weights of one layer"
        if self.pictured == "weights" and (depth > 1 or self.dims().k > 1):
            return "planted weights are shown with depth 1 and one output (k = 1) alone"
        if "s" in self.depends_on and budgets > 1:
            return "the task's data depend on s: give one budget, and a picture for each"
        return None

    def check_data(self) -> None:
        """Check that the data are present before anything runs.

        Raises
        ------
        InputError
            The data are missing or unusable; the message says what to do.
        """

    @cached_property
    def identity(self) -> dict[str, object]:
        """Identity of the data for the cell's key: the fields that change the data, and checksums of files."""
        kept = {name: value for name, value in self.recorded().items() if name != "clip_budget"}
        return {**kept, **self.content()}

    @cached_property
    def fingerprint(self) -> str:
        """The identity as JSON."""
        return canonical(self.identity)

    def content(self) -> dict[str, object]:
        """Return checksums of data that are read from files and that the settings do not determine."""
        return {}

    @abstractmethod
    def build(self, axes: Axes, streams: Streams) -> Problem:
        """Make or read the data.

        Raises
        ------
        InputError
            The data are missing or unusable.
        CellSkipped
            The protocol excludes this cell; the message says why.
        """
