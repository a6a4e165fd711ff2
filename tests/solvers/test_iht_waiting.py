"""A step of IHT in its torch form never makes the host wait for a GPU."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from mlpiht_cli.core.task import Axes
from mlpiht_cli.linalg.gated import TorchOperator
from mlpiht_cli.linalg.gates import RandomGates, WeightGates
from mlpiht_cli.linalg.sparse import SparseMatrix
from mlpiht_cli.linalg.stepsize import Refinement
from mlpiht_cli.rng import Streams
from mlpiht_cli.solvers.iht import iht_step
from mlpiht_cli.tasks.planted import Planted


class NoWaiting(TorchDispatchMode):
    """Refuses what makes the host wait for a GPU: reading a value, and shapes that depend on values."""

    WAITS = ("_local_scalar_dense", "nonzero", "unique", "masked_select", "equal.default", "is_nonzero")

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        assert not any(name in str(func) for name in self.WAITS), f"{func} waits for the device"
        if "index" in str(func):
            parts = [part for arg in args if isinstance(arg, list | tuple) for part in arg]
            assert not any(isinstance(p, torch.Tensor) and p.dtype == torch.bool for p in parts), "a mask waits"
        return func(*args, **(kwargs or {}))


def test_the_guard_against_waiting_sees_waiting() -> None:
    x = torch.arange(3.0)
    for waits in (lambda: float(x[0]), lambda: x[x > 0], lambda: torch.unique(x), lambda: bool((x > 1).any())):
        with NoWaiting(), pytest.raises(AssertionError, match="waits"):
            waits()


@pytest.mark.parametrize("start", ["random gates", "gates of weights"])
def test_a_step_of_the_torch_form_never_waits_for_a_gpu(start: str) -> None:
    """Run on tensors of the processor; a GPU would queue the same operations."""
    m, s, problem = 6, 9, Planted(n=300, d=8).build(Axes(6, 9), Streams(0))
    x, y = problem.x.T.contiguous(), problem.y[:, 0]
    weights, gates = SparseMatrix.zeros(m, 8, x), RandomGates(Streams(0).gates(8), m, x)
    operator = TorchOperator(x, gates, m)
    if start == "gates of weights":
        weights, _ = iht_step(operator, y, weights, s, Refinement())
        with NoWaiting():
            operator = TorchOperator(x, WeightGates(weights, static=True), m)
    with NoWaiting():
        iht_step(operator, y, weights, s, Refinement())
