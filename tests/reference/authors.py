"""IHT with the gates of the authors' code, whose numbers it then has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from mlpiht_cli.core.method import Shape
from mlpiht_cli.core.scoring import evaluate
from mlpiht_cli.core.task import Axes, Task
from mlpiht_cli.rng import Streams
from mlpiht_cli.solvers.iht import IHT
from tests.reference.trajectories import Rows


@dataclass(frozen=True)
class AuthorsGates(Streams):
    """Gates of the authors' code: neuron ``j`` draws from ``RandomState(j + o)`` with an offset ``o`` of the seed."""

    m: int = 1

    def gates(self, dim: int) -> Any:
        offset = 0 if self.seed == 0 else np.random.RandomState(self.seed).randint(0, self.m * dim)
        return Rows(np.stack([np.random.RandomState(j + offset).normal(size=dim) for j in range(self.m)]))


def with_their_gates(task: Task, m: int, s: int, seed: int, steps: int) -> float:
    """PSNR of IHT in float64 with the authors' gates."""
    problem = task.build(Axes(m, s), Streams(seed)).to(torch.device("cpu"), torch.float64)
    fit = IHT(steps=steps, dtype="float64").fit(problem, Shape(m), s, AuthorsGates(seed, m=m))
    scores = evaluate(fit.model, problem)
    assert scores.value is not None
    return scores.value
