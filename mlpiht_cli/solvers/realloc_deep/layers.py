"""Two hidden layers: the best of IHT layer by layer, one layer written as two, and the search end to end."""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace

from mlpiht_cli.core.fit import Diverged, Events, Known, Move, Reached, Step
from mlpiht_cli.core.method import Shape
from mlpiht_cli.core.model import SparseMLP
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.core.starts import training_loss
from mlpiht_cli.linalg.gated import threads_for
from mlpiht_cli.rng import Streams
from mlpiht_cli.solvers.layerwise import Layerwise, OneLayer
from mlpiht_cli.solvers.realloc.limits import Limits
from mlpiht_cli.solvers.realloc.search import SAMPLES_PER_INPUT
from mlpiht_cli.solvers.realloc_deep.embed import embedded, one_layer_limits
from mlpiht_cli.solvers.realloc_deep.network import Deep
from mlpiht_cli.solvers.realloc_deep.problem import TwoLayerProblem
from mlpiht_cli.solvers.realloc_deep.search import EXACT

ATTEMPTS = 2
"""Attempts end to end, each from several dense starts."""


@dataclass(frozen=True)
class TwoLayers:
    """Fits two hidden layers and one output, the cheapest way first, until a network is exact.

    A second-layer neuron whose weights are all positive is a sum of neurons of the first layer, and one whose weights
    are all negative is 0. So a network without second-layer neurons of both signs has one layer, and is searched for as
    such.

    Attributes
    ----------
    plain
        The solver that fits layer by layer; the answer is never worse.
    single
        The solver that finds networks with one hidden layer.
    attempts
        Largest number of attempts of the search end to end.
    """

    plain: OneLayer
    single: OneLayer
    attempts: int

    def iterate(self, problem: Problem, m: int, budget: int, streams: Streams) -> Events:
        """Fit one budget with ``m`` neurons a layer; see :meth:`~mlpiht_cli.core.method.Method.iterate`."""
        best = Best(problem)
        with threads_for(problem.x.device):
            path = Layerwise(self.plain).iterate(problem, Shape(m, 2), budget, streams)
            reached = yield from best.followed(path)
        best.offer(reached)
        neurons, weights = one_layer_limits(m, budget)
        reached = yield from best.followed(self.single.layer(problem, neurons, weights, streams))
        best.offer(reached and replace(reached, predictor=embedded(reached.model, m)))
        if self.attempts and not best.is_exact and problem.n >= SAMPLES_PER_INPUT * problem.d and m > 1:
            reached = yield from best.followed(self._deep(problem, Limits(m, budget), streams))
            best.offer(reached)
        if best.is_exact:
            with threads_for(problem.x.device):
                best.offer_sparser(TwoLayerProblem.of(problem).sparsest(best.answer.model, Limits(m, budget)))
        yield best.answer

    def _deep(self, problem: Problem, limits: Limits, streams: Streams) -> Events:
        """Search for both layers at once; its random numbers are those of the second layer's search."""
        two = TwoLayerProblem.of(problem)
        search = two.search(limits, streams.for_layer(1).moves())
        steps = 0
        with threads_for(problem.x.device):
            for loss in search.rounds(self.attempts):
                steps += 1
                yield Step(loss * two.unit**2, moved=False, share=two.samples.tally.since() / problem.n)
        moves = tuple(Move(max(1, min(steps, turn)), name, count) for turn, name, count in search.moves)
        found = search.best[0] if search.best is not None else Deep.empty(problem.d, problem.x)
        yield Reached(two.model(found, limits.m), moves=moves, passes=two.samples.tally.samples / problem.n)


class Best:
    """The best network so far by training loss, and the moves of every attempt."""

    def __init__(self, problem: Problem) -> None:
        self._problem, self._steps = problem, 0
        self._exact = EXACT * float(problem.y.double().square().mean())
        self._found: tuple[float, SparseMLP] | None = None
        self._moves: tuple[Move, ...] = ()
        self._passes = 0.0

    @property
    def is_exact(self) -> bool:
        """Whether the best network fits the targets exactly."""
        return self._found is not None and self._found[0] < self._exact

    @property
    def answer(self) -> Reached:
        """The best network.

        Raises
        ------
        Diverged
            No attempt ended in a network.
        """
        if self._found is None:
            raise Diverged("every attempt left the finite numbers")
        facts = totals(self._moves)
        return Reached(self._found[1], facts=facts, moves=self._moves, followed=False, passes=self._passes)

    def followed(self, path: Events) -> Generator[Step | Known, None, Reached | None]:
        """Pass on the steps of an attempt and return its network, with moves counted from the first attempt's steps.

        None: the attempt diverged.
        """
        before, passes = self._steps, self._passes
        for event in path:
            if isinstance(event, Reached):
                self._passes = self._passes if event.passes is None else passes + event.passes
                moves = tuple(replace(move, iteration=before + move.iteration) for move in event.moves)
                return replace(event, moves=moves)
            if isinstance(event, Step):
                if not event.finite:
                    return None
                self._steps += 1
                self._passes += event.share
            yield event
        return None

    def offer(self, reached: Reached | None) -> None:
        """Keep the moves of an attempt, and its network if it is the best."""
        if reached is None:
            return
        self._moves += reached.moves
        loss = training_loss(reached.model, self._problem)
        if self._found is None or loss < self._found[0]:
            self._found = loss, reached.model

    def offer_sparser(self, model: SparseMLP) -> None:
        """Keep an exact network that has fewer weights than the best, or as many and a lower loss."""
        loss, (least, best) = training_loss(model, self._problem), self._found or (math.inf, model)
        if loss < self._exact and (model.nnz, loss) < (best.nnz, least):
            self._found = loss, model


def totals(moves: Sequence[Move]) -> dict[str, int]:
    """Count the neurons that were proposed and merged, and the networks that were accepted."""
    found = {name: sum(move.count for move in moves if move.name == name) for name in ("proposed", "merged")}
    return found | {"accepted": sum(move.name == "accepted" for move in moves)}
