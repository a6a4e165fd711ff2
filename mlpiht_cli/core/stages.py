"""A network as a chain of small dense layers, in its own units or in those of a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from mlpiht_cli.core.facts import Facts
from mlpiht_cli.errors import InputError
from mlpiht_cli.linalg.sparse import SparseMatrix

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Stage:
    """One layer: ``weights x + bias``, then ReLU (hidden layers) or the factor ``1[gates x + gate_bias > 0]`` (gated).

    Attributes
    ----------
    weights
        Shape ``[out, in]``; neurons without weights are left out.
    rows
        int64 ``[out]``: the row of each neuron in the network's own layer.
    bias
        Shape ``[out]``; None for none.
    relu
        Whether ReLU follows.
    gates, gate_bias
        Shapes ``[out, in]`` and ``[out]``; None without gates.
    """

    weights: Tensor
    rows: Tensor
    bias: Tensor | None = None
    relu: bool = False
    gates: Tensor | None = None
    gate_bias: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Outputs ``[n, out]`` of inputs ``[n, in]``."""
        out = torch.nn.functional.linear(x, self.weights, self.bias)
        if self.gates is not None:
            return out * (torch.nn.functional.linear(x, self.gates, self.gate_bias) > 0)
        return out.relu() if self.relu else out

    def only(self, keep: Tensor) -> Stage:
        """The stage with the neurons ``keep`` alone, positions in its order."""
        parts = (self.bias, self.gates, self.gate_bias)
        bias, gates, gate_bias = (None if part is None else part[keep] for part in parts)
        return Stage(self.weights[keep], self.rows[keep], bias, self.relu, gates, gate_bias)

    def reading(self, keep: Tensor) -> Stage:
        """The stage with the inputs ``keep`` alone, positions in their order."""
        return replace(self, weights=self.weights[:, keep], gates=None if self.gates is None else self.gates[:, keep])


def chain(
    layers: Sequence[SparseMatrix],
    rows: Sequence[Tensor],
    readout: Tensor | None,
    gates: SparseMatrix | None,
    bias: Tensor | None,
) -> list[Stage]:
    """The parts of a :class:`~mlpiht_cli.core.model.SparseMLP` as stages; a readout is the last of them.

    ``rows`` names the neurons of each layer that are computed.
    """
    out: list[Stage] = []
    for i, (layer, computed) in enumerate(zip(layers, rows, strict=True)):
        ids = computed if len(computed) else computed.new_zeros(1)  # one neuron at least, which may lack weights
        weights = layer.dense_rows(ids)
        relu = gates is None and (i < len(layers) - 1 or readout is not None)
        out.append(
            Stage(
                weights[:, out[-1].rows] if out else weights,
                ids,
                bias[ids] if i == 0 and bias is not None else None,
                relu,
                None if gates is None else gates.dense_rows(ids),
            )
        )
    if readout is not None:
        last = out[-1]
        out.append(Stage(readout[last.rows].to(last.weights.dtype)[None], last.rows.new_zeros(1)))
    return out


def in_units(stages: Sequence[Stage], facts: Facts) -> list[Stage]:
    """The same network for inputs and predictions in the units of a table, in float64, with a bias in every stage.

    It takes the features ``[n, len(names)]`` before they are standardised, without the column of ones.

    Raises
    ------
    InputError
        A weight is too large in these units.
    """
    out = [_with_bias(stage) for stage in stages]
    first = out[0]
    weights, bias = _unscaled(first.weights, first.bias, facts)
    gates, gate_bias = (None, None) if first.gates is None else _unscaled(first.gates, first.gate_bias, facts)
    out[0] = replace(first, weights=weights, bias=bias, gates=gates, gate_bias=gate_bias)
    last = out[-1]
    assert last.bias is not None
    shift = 0.0 if last.gates is not None else facts.y_mean
    out[-1] = replace(last, weights=last.weights * facts.y_scale, bias=last.bias * facts.y_scale + shift)
    for stage in out:
        parts = (stage.weights, stage.bias, stage.gates, stage.gate_bias)
        if not all(bool(part.isfinite().all()) for part in parts if part is not None):
            raise InputError("its weights are too large in the units of its table; fit the model again")
    return out


def _with_bias(stage: Stage) -> Stage:
    bias = stage.weights.new_zeros(len(stage.weights)) if stage.bias is None else stage.bias
    gates = None if stage.gates is None else stage.gates.double()
    gate_bias = None if gates is None else gates.new_zeros(len(gates))
    return replace(stage, weights=stage.weights.double(), bias=bias.double(), gates=gates, gate_bias=gate_bias)


def _unscaled(weights: Tensor, bias: Tensor | None, facts: Facts) -> tuple[Tensor, Tensor]:
    """Weights and bias for inputs that are neither shifted nor scaled."""
    named = len(facts.names)
    raw = weights[:, :named] / weights.new_tensor(facts.scale)
    shift = -(raw @ weights.new_tensor(facts.mean))
    if facts.intercept:
        shift = shift + weights[:, named]
    return raw, shift if bias is None else bias + shift
