"""The contract of solvers and baselines."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import pairwise
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field

from mlpiht_cli.core.fit import Callback, Events, Fit, ignore
from mlpiht_cli.core.loop import fits
from mlpiht_cli.core.model import SparseMLP
from mlpiht_cli.core.problem import Loss, Problem
from mlpiht_cli.core.settings import Settings
from mlpiht_cli.core.starts import best_fits
from mlpiht_cli.linalg.gated import threads_for
from mlpiht_cli.rng import Streams
from mlpiht_cli.system.files import canonical

Precision = Literal["float32", "float64"]


@dataclass(frozen=True)
class Shape:
    """Shape of the fitted network: hidden width ``m`` and number of hidden layers ``depth``."""

    m: int
    depth: int = 1

    def widths(self, d: int, k: int) -> list[int]:
        """Return the widths of all layers, from the ``d`` inputs to the ``k`` outputs."""
        return [d, *[self.m] * self.depth, k]

    def weights(self, d: int, k: int) -> int:
        """Return the number of weights of all layers."""
        return sum(a * b for a, b in pairwise(self.widths(d, k)))


@dataclass(frozen=True)
class Needs:
    """Requirements of a method on the problem and the network; None means no requirement.

    Attributes
    ----------
    outputs
        Number of outputs.
    loss
        Name of the loss.
    depth
        Number of hidden layers.
    samples
        Least number of training samples.
    instead
        Method that the message names if the outputs or the loss do not fit.
    """

    outputs: int | None = None
    loss: Loss | None = None
    depth: int | None = None
    samples: int = 1
    instead: str = ""

    @property
    def text(self) -> str:
        """The needs in words; empty if there are none."""
        words = [_counted(self.outputs, "output")] if self.outputs is not None else []
        words += [f"the {self.loss} loss"] if self.loss is not None else []
        words += [_counted(self.depth, "hidden layer")] if self.depth is not None else []
        words += [f"{_counted(self.samples, 'sample')} or more"] if self.samples > 1 else []
        return ", ".join(words)

    def refusal(self, name: str, problem: Problem, shape: Shape) -> str | None:
        """Return why the method ``name`` cannot treat the problem or the network, or None if it can."""
        use = f"; use {self.instead}" if self.instead else ""
        if self.outputs is not None and problem.k != self.outputs:
            return f"{name} needs {_counted(self.outputs, 'output')}, the problem has {problem.k}{use}"
        if self.loss is not None and problem.loss != self.loss:
            return f"{name} needs the {self.loss} loss, the problem has {problem.loss}{use}"
        if self.depth is not None and shape.depth != self.depth:
            wanted = _counted(self.depth, "hidden layer")
            return f"{name} needs {wanted}, asked for {shape.depth}; set depth to {self.depth}"
        if problem.n < self.samples:
            return f"{name} needs {_counted(self.samples, 'sample')} or more, the problem has {problem.n}"
        return None


def _counted(number: int, noun: str) -> str:
    return f"one {noun}" if number == 1 else f"{number} {noun}s"


class Method(Settings, ABC):
    """A solver or baseline: its fields are its settings, and an instance never changes.

    A method knows the problem, the shape and the budgets. It knows no task and does not score itself. To write a
    method, give it settings as fields, a name, a version, its needs, the number of weights it counts, and a generator
    of steps. One line in ``plan/registry.py`` registers it for every command. A complete method:

    >>> from typing import ClassVar
    >>> import torch
    >>> from pydantic import Field
    >>> from mlpiht_cli.core.fit import Reached, Step
    >>> from mlpiht_cli.core.method import Method, Needs, Shape
    >>> from mlpiht_cli.core.model import SparseMLP
    >>> from mlpiht_cli.core.problem import Problem
    >>> from mlpiht_cli.linalg.sparse import SparseMatrix
    >>> from mlpiht_cli.linalg.threshold import top_s
    >>> from mlpiht_cli.rng import Streams
    >>> class PlainIHT(Method):
    ...     '''Iterative hard thresholding of one linear layer, with a fixed step.'''
    ...
    ...     name: ClassVar[str] = "plain_iht"
    ...     version: ClassVar[int] = 1
    ...     needs: ClassVar[Needs] = Needs(outputs=1, loss="squared")
    ...     is_random: ClassVar[bool] = False
    ...     steps: int = Field(100, ge=1, description="gradient steps")
    ...     lr: float = Field(0.5, gt=0, description="step length")
    ...
    ...     def weights(self, d, k, shape):
    ...         return d
    ...
    ...     def iterate(self, problem, shape, budgets, streams):
    ...         (budget,) = budgets
    ...         w = torch.zeros(problem.d)
    ...         for _ in range(self.steps):
    ...             residual = problem.x @ w - problem.y[:, 0]
    ...             moved = w - self.lr * problem.x.T @ residual / problem.n
    ...             kept = top_s(moved, budget)
    ...             w = torch.zeros_like(moved).index_copy(0, kept, moved[kept])
    ...             yield Step(float(residual.square().mean()), check=float(w.sum()))
    ...         yield Reached(SparseMLP((SparseMatrix.from_dense(w[None, :]),)))
    >>> x = torch.randn(200, 10, generator=torch.Generator().manual_seed(0))
    >>> y = 2.0 * x[:, [3]] - x[:, [7]]
    >>> fit = PlainIHT().fit(Problem(x, y, x, y, "psnr"), Shape(1), 2, Streams(0))
    >>> fit.model.layers[0].index.tolist(), fit.iterations, fit.history[-1] < 1e-9
    ([3, 7], 100, True)
    """

    name: ClassVar[str]
    """Name in specs and on the command line."""
    version: ClassVar[int]
    """Number that is raised by hand when results change; part of the key of every cell."""
    needs: ClassVar[Needs] = Needs()
    """Problems and networks that the method can treat."""
    is_random: ClassVar[bool] = True
    """Whether the method draws random numbers, so that its networks differ from seed to seed."""
    shares_trajectory: ClassVar[bool] = False
    """Whether one run reaches every budget; budgets of equal problems then run together."""
    keeps_budget: ClassVar[bool] = True
    """Whether a network has at most ``budget`` nonzeros; only a yardstick may have more."""
    is_network: ClassVar[bool] = True
    """Whether its models are networks, with weights to count, save and draw; other models only predict."""
    unhinted: ClassVar[frozenset[str]] = frozenset()
    """Settings that keep the method's own default even if the task suggests another value to all methods."""

    later: ClassVar[frozenset[str]] = frozenset({"starts"})

    dtype: Precision = "float32"
    starts: int = Field(
        1, ge=1, description="random starts, of which the network with the least training loss is kept (random methods)"
    )

    def __init_subclass__(cls, **options: Any) -> None:
        """Refuse a class that lists shared settings behind ``Method``, whose defaults would hide theirs."""
        super().__init_subclass__(**options)
        if Method in cls.__bases__[:-1]:
            raise TypeError(f"class {cls.__name__}: list Method last, after the settings that it shares with others")

    @cached_property
    def fingerprint(self) -> str:
        """The settings as JSON, for the cell's key."""
        return canonical(self.recorded())

    @property
    def in_kernels(self) -> bool:
        """Whether most of the work is in compiled kernels; the kernels then get the threads instead of torch."""
        return False

    @property
    def runs(self) -> int:
        """Number of runs for a budget: one for each random start."""
        return self.starts if self.is_random else 1

    @classmethod
    def merge(cls, settings: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
        """Return the settings of a spec, replaced by the overrides (profile, ``--set``) where both have a value."""
        return {**settings, **overrides}

    @abstractmethod
    def weights(self, d: int, k: int, shape: Shape) -> int:
        """Return the number of weights that the method counts; all of them are trainable."""

    def supports(self, problem: Problem, shape: Shape) -> str | None:
        """Return why the method cannot treat the problem, or None."""
        return self.needs.refusal(self.name, problem, shape)

    @abstractmethod
    def iterate(self, problem: Problem, shape: Shape, budgets: Sequence[int], streams: Streams) -> Events:
        """Run the method as a generator: yield a Step after each iteration, and a Reached for each budget.

        The problem comes in the method's ``dtype``. ``budgets`` has one entry or, if the method shares its trajectory,
        all budgets, largest first. The result of a budget must not depend on the other budgets.

        Raises
        ------
        Diverged
            The method has no finite result.
        """

    def fit_path(
        self,
        problem: Problem,
        shape: Shape,
        budgets: Sequence[int],
        streams: Streams,
        callback: Callback = ignore,
    ) -> Iterator[Fit]:
        """Yield one fit per budget, largest budget first; a fit does not depend on the other budgets."""
        device = problem.x.device
        problem = problem.to(device, torch_dtype(self.dtype))
        silent = SparseMLP.silent(shape.widths(problem.d, problem.k), problem.x)
        threads = partial(threads_for, device) if self.in_kernels else nullcontext
        wanted = sorted(set(budgets), reverse=True)
        for group in [wanted] if self.shares_trajectory else [[budget] for budget in wanted]:
            runs = (
                fits(self.iterate(problem, shape, group, streams.for_restart(i)), group, silent, callback, threads)
                for i in range(self.runs)
            )
            yield from best_fits(runs, problem, self.runs)

    def fit(self, problem: Problem, shape: Shape, budget: int, streams: Streams, callback: Callback = ignore) -> Fit:
        """Fit one budget."""
        (fit,) = self.fit_path(problem, shape, [budget], streams, callback)
        return fit


def torch_dtype(name: Precision) -> torch.dtype:
    """Return the torch dtype of that name."""
    found: torch.dtype = getattr(torch, name)
    return found
