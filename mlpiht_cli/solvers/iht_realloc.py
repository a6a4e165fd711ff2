"""IHT with reallocation: exact recovery of sparse two-layer ReLU networks where IHT alone stalls."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Literal

from pydantic import Field

from mlpiht_cli.core.fit import Events, Move, Reached, Status, Step, finite
from mlpiht_cli.core.method import Method, Needs, Shape
from mlpiht_cli.core.model import SparseMLP
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.core.starts import training_loss
from mlpiht_cli.linalg.gated import threads_for
from mlpiht_cli.rng import Streams
from mlpiht_cli.solvers.iht import IHT
from mlpiht_cli.solvers.iht_vector import IHTVector
from mlpiht_cli.solvers.layerwise import Layerwise
from mlpiht_cli.solvers.passes import Passes
from mlpiht_cli.solvers.realloc.limits import Limits
from mlpiht_cli.solvers.realloc.problem import OneOutput
from mlpiht_cli.solvers.realloc.search import Search
from mlpiht_cli.solvers.realloc_deep.layers import ATTEMPTS, TwoLayers, totals
from mlpiht_cli.solvers.realloc_vector.problem import SeveralOutputs
from mlpiht_cli.solvers.realloc_vector.search import VectorSearch

TRIAL = 2
"""Rounds without progress after which a search for one layer ends where there may be two."""


class IHTRealloc(Passes, Method):
    """IHT, then a search that moves weights between neurons; the result is never worse than that of IHT.

    IHT gets stuck if one neuron represents two planted neurons, or two represent one. The search starts from the data
    instead: it reads neurons off the Hermite moments of the residual, fits all weights together with a free linear part
    by Gauss-Newton steps, removes weights that are not significant, and repeats on the remaining residual. The method
    comes from this project, not from a paper; its log (docs/recovery.md) says what was tried.

    With several outputs it starts after ``iht_vector`` with safeguarded steps, and the budget counts hidden and output
    weights; output weights have any sign, so that ``signs`` means nothing.

    With two hidden layers, one output and positive signs it looks for a network with one layer, and then fits both
    layers at once (:mod:`mlpiht_cli.solvers.realloc_deep`). Other deep networks are fitted layer by layer.
    """

    name: ClassVar[str] = "iht_realloc"
    version: ClassVar[int] = 3
    needs: ClassVar[Needs] = Needs(loss="squared", instead="iht_vector")
    later: ClassVar[frozenset[str]] = Method.later | {"signs"}

    rounds: int = Field(30, ge=0, description="largest number of search rounds; the search stops once it is exact")
    patience: int = Field(5, ge=1, description="rounds without progress after which the search stops")

    signs: Literal["positive", "both"] = Field(
        "positive", description="output signs: all +1, or +1 or -1 per neuron as fits best, which can fit any target"
    )

    def weights(self, d: int, k: int, shape: Shape) -> int:
        """Return the number of weights that IHT counts."""
        return self._start(k).weights(d, k, shape)

    def supports(self, problem: Problem, shape: Shape) -> str | None:
        """Require the squared loss, and what IHT for several outputs requires."""
        return super().supports(problem, shape) or self._start(problem.k).supports(problem, shape)

    def iterate(self, problem: Problem, shape: Shape, budgets: Sequence[int], streams: Streams) -> Events:
        """Fit one budget; a deeper network is the better of the search layer by layer and of IHT, by training loss.

        IHT can be better because a first layer that fits the targets better need not give the second layer better
        features. Two hidden layers and one output that is a sum: see
        :class:`~mlpiht_cli.solvers.realloc_deep.layers.TwoLayers`.
        """
        if shape.depth == 2 and problem.k == 1 and self.signs == "positive":
            both = TwoLayers(self._start(1), _Trial(self), min(self.rounds, ATTEMPTS))
            yield from both.iterate(problem, shape.m, budgets[0], streams)
            return
        path = Layerwise(self).iterate(problem, shape, budgets[0], streams)
        if shape.depth == 1:
            yield from path
            return
        for last in path:
            if isinstance(last, Reached) or (isinstance(last, Step) and not last.finite):
                break
            yield last
        found = last.model if isinstance(last, Reached) else None
        plain = self._start(problem.k).fit(problem, shape, budgets[0], streams)
        other = plain.model if plain.status is Status.OK else None
        keeps = training_loss(found, problem) <= training_loss(other, problem)
        yield last if keeps else Reached(plain.model, history=plain.history)

    def layer(self, problem: Problem, m: int, budget: int, streams: Streams) -> Events:
        """Run IHT with one hidden layer, then the search."""
        return self.searched(problem, Limits(m, budget), streams)

    def searched(self, problem: Problem, limits: Limits, streams: Streams, trial: bool = False) -> Events:
        """Run IHT with one hidden layer, then the search; in a ``trial``, only rounds that are likely to be exact."""
        steps, before, start = 0, 0.0, None
        with threads_for(problem.x.device):  # the search is most of the work and uses torch products
            for event in self._start(problem.k).layer(problem, limits.m, limits.s, streams):
                if isinstance(event, Reached):
                    start = event
                else:
                    steps += isinstance(event, Step)
                    before += event.share if isinstance(event, Step) else 0.0
                    yield event
        assert start is not None, "IHT ends with its network"
        search, answer = self._search(problem, start.model, limits, streams)
        for loss in self._losses(search, trial):
            yield Step(loss, moved=False, share=search.samples.tally.since() / problem.n)
        moves = tuple(Move(steps + turn, name, count) for turn, name, count in search.moves)
        facts = totals(moves)
        model = answer() if facts["accepted"] else start.model
        passes = before + search.samples.tally.samples / problem.n
        yield Reached(model, facts=facts, moves=moves, followed=not facts["accepted"], passes=passes)

    def _search(
        self, problem: Problem, start: SparseMLP, limits: Limits, streams: Streams
    ) -> tuple[Search | VectorSearch, Callable[[], SparseMLP]]:
        """Return the search from a network, and what gives its answer."""
        if problem.k == 1:
            one = OneOutput.of(problem, self.signs == "both")
            search = one.search(start, limits, streams.moves())
            return search, lambda: one.model(search.best[0], start)
        several = SeveralOutputs.of(problem)
        joint = several.search(start, limits)
        loss = partial(training_loss, problem=problem)  # rounding to the dtype can undo a gain
        return joint, lambda: min((start, several.model(joint.best[0], start))[joint.is_exact :], key=loss)

    def _losses(self, search: Search | VectorSearch, trial: bool) -> Iterator[float]:
        """Run the search; yield the best loss after each round."""
        if not self.rounds or not finite(search.best[1]):
            return
        search.polish()
        possible = search.is_possible
        if isinstance(search, Search) and possible:
            yield from search.begin()
        for _ in range(self.rounds if possible else 0):
            if search.is_exact or not finite(search.best[1]) or self._ends(search, trial):
                break
            search.round()
            yield search.best[1]
        if isinstance(search, Search) and search.is_wanting and not trial:
            yield from search.exchange()
        search.tidy()

    def _ends(self, search: Search | VectorSearch, trial: bool) -> bool:
        """Whether rounds end for lack of progress; with one output they may go on with rounds of another kind."""
        if trial or not isinstance(search, Search):
            return search.stalled > (min(TRIAL, self.patience) if trial else self.patience)
        return search.is_vain or (search.stalled > self.patience and not search.turns_to_gates())

    def _start(self, k: int) -> IHT | IHTVector:
        """Return the solver that the search for ``k`` outputs starts after."""
        if k > 1:
            passes = {"batch": self.batch, "epochs" if self.batch else "steps": self.passes}
            return IHTVector.model_validate({"dtype": self.dtype, "step": "safeguarded", **passes})
        return IHT(dtype=self.dtype, batch=self.batch, steps=self.steps, epochs=self.epochs, signs=self.signs)


@dataclass(frozen=True)
class _Trial:
    """The search for one layer where there may be two: most such targets have no exact network of one layer."""

    method: IHTRealloc

    def layer(self, problem: Problem, m: int, budget: int, streams: Streams) -> Events:
        """Run IHT with one hidden layer, then a short search."""
        return self.method.searched(problem, Limits(m, budget), streams, trial=True)
