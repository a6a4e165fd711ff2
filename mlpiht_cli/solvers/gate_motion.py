"""How much the gates of IHT change from step to step, and with them the convex problem of each step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch

from mlpiht_cli.core.batches import Batches
from mlpiht_cli.core.fit import Events, Fact, Reached
from mlpiht_cli.core.method import Method, Needs, Shape
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.linalg.gated import gated_operator
from mlpiht_cli.linalg.gates import TILE, GateRule, WeightGates
from mlpiht_cli.rng import Streams
from mlpiht_cli.solvers.iht import IHT
from mlpiht_cli.solvers.iht_settings import IHTSettings
from mlpiht_cli.solvers.passes import Passes


class GateMotion(Passes, IHTSettings, Method):
    """Run ``iht`` with gates that follow the weights, and report how much the gates of its last step have changed.

    The network is that of ``iht``. ``gates_changed`` is a share of the ``m n`` entries of the masks ``1[X h_j > 0]``,
    of all neurons and training samples: those that differ between the gates of step k, the last, and the gates of step
    k - 1; ``steps`` says what k is. In full batch and at ``gate_period: 1``, steps 1 and 2 have the random gates, so
    that the share at k = 2 is 0, at k = 3 it compares the weights after step 2 with the random gates, and from k = 4 on
    the weights after step k - 1 with those after step k - 2. A neuron without weights is closed on all samples.
    ``gates_settled`` is the first step from which no entry changes to the end. It is absent if entries change at the
    last step or have not changed yet, as ``gates_changed`` is after a single step. Steps that a run leaves out because
    nothing can change any more count as steps.
    """

    name: ClassVar[str] = "gate_motion"
    version: ClassVar[int] = 1
    needs: ClassVar[Needs] = Needs(outputs=1, loss="squared", depth=1)

    def weights(self, d: int, k: int, shape: Shape) -> int:
        """Return the number of weights that ``iht`` counts."""
        return self._solver().weights(d, k, shape)

    @property
    def in_kernels(self) -> bool:
        """True: most of the work is in compiled kernels."""
        return True

    def iterate(self, problem: Problem, shape: Shape, budgets: Sequence[int], streams: Streams) -> Events:
        """Run IHT for one budget, and compare the masks of each step with those of the step before."""
        motion, model = _Motion(problem, shape.m), None
        for step, gates in self._solver().walk(problem, shape.m, budgets[0], streams):
            motion.take(gates)
            yield step
            model = step.network
        assert model is not None, "IHT takes a step and offers its network"
        network = model()
        steps = self.passes * Batches(problem, self.batch, streams.batch_order()).per_epoch
        if motion.steps < steps:
            motion.take(WeightGates(network.layers[0]))  # weights that are all zero close gates that are open still
        yield Reached(network, facts=motion.facts(steps))

    def _solver(self) -> IHT:
        """Return IHT with the settings of this method."""
        shared = (*Passes.model_fields, *IHTSettings.model_fields, "dtype")
        return IHT.model_validate({name: getattr(self, name) for name in shared})


class _Motion:
    """Compares the masks of gates that come one after the other.

    Masks are made a tile of neurons at a time, for both gates, so that memory does not grow with the width.
    """

    def __init__(self, problem: Problem, m: int) -> None:
        self._features, self._m = problem.columns, m
        self._gates: GateRule | None = None
        self._differ = 0
        self._last_change = 0
        self.steps = 0

    def take(self, gates: GateRule) -> None:
        """Take the gates of the next step."""
        before, self._gates = self._gates, gates
        self.steps += 1
        self._differ = 0 if before is None or before is gates else self._differing(before, gates)
        if self._differ:
            self._last_change = self.steps

    def facts(self, steps: int) -> dict[str, Fact]:
        """Return the facts of a run of ``steps``, of which those that were not taken change nothing."""
        found: dict[str, Fact] = {}
        if steps > 1:
            found["gates_changed"] = self._differ / (self._m * self._features.shape[1]) if steps == self.steps else 0.0
        if 0 < self._last_change < steps:
            found["gates_settled"] = self._last_change + 1
        return found

    def _differing(self, a: GateRule, b: GateRule) -> int:
        """Count the entries of the masks ``[m, n]`` that differ; neurons that are dead under both have none."""
        live = torch.unique(torch.cat([*a.tiles(TILE), *b.tiles(TILE), self._features.new_empty(0, dtype=torch.int64)]))
        first, second = (gated_operator(self._features, one, self._m) for one in (a, b))
        tiles = torch.split(live[live < self._m], TILE)
        return sum(int((first.masks(tile) != second.masks(tile)).sum()) for tile in tiles)
