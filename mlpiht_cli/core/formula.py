"""A network read neuron by neuron, in the units of its table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mlpiht_cli.core.facts import Facts
from mlpiht_cli.core.stages import Stage, in_units

if TYPE_CHECKING:
    from torch import Tensor

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Sum:
    """``constant + sum of weight * source``, the heaviest source first.

    Attributes
    ----------
    name
        What the sum is (a neuron or an output).
    row
        Its row in the network's own layer.
    constant
        In the units of the sum.
    terms
        Sources (inputs or neurons of the layer before) and their weights.
    gate
        Condition ``gate > 0`` of a neuron of a gated network.
    """

    name: str
    row: int
    constant: float
    terms: list[tuple[str, float]]
    gate: Sum | None = None

    def document(self) -> dict[str, Any]:
        """JSON values."""
        gate = {} if self.gate is None else {"gate": _sum_document(self.gate)}
        return {"name": self.name, "row": self.row, **_sum_document(self), **gate}


def _sum_document(one: Sum) -> dict[str, Any]:
    terms = [{"source": source, "weight": weight} for source, weight in one.terms]
    return {"constant": one.constant, "terms": terms}


@dataclass(frozen=True)
class Formula:
    """A network whose inputs and predictions have the units of a table.

    Neurons that reach no output are left out; those that weigh most come first. A network of one output is written as
    a sum of neurons with signs: the size of an output weight is moved into its neuron, which a ReLU allows.

    Attributes
    ----------
    facts
        Names and units.
    stages
        The layers in float64; the last one is the output.
    spread
        Standard deviation that an input has on the training rows, ``[d]``: 1 where it is not known.
    """

    facts: Facts
    stages: tuple[Stage, ...]
    spread: Floats

    @classmethod
    def of(cls, stages: Sequence[Stage], facts: Facts) -> Formula:
        """Read a network on the CPU (:meth:`~mlpiht_cli.core.model.SparseMLP.stages`).

        Raises
        ------
        InputError
            A weight is too large in the units of the table.
        """
        chain, scale = _reaching(in_units(stages, facts)), np.abs(np.array(facts.scale))
        if len(chain) > 1 and len(chain[-1].weights) == 1:
            chain[-2:] = _signed(chain[-2], chain[-1])
        for i in range(len(chain) - 1):
            size = chain[i].weights * chain[i].weights.new_tensor(scale) if i == 0 else chain[i].weights
            effect = size.norm(dim=1) * chain[i + 1].weights.norm(dim=0)
            order = effect.argsort(descending=True, stable=True)
            chain[i : i + 2] = chain[i].only(order), chain[i + 1].reading(order)
        return cls(facts, tuple(chain), scale)

    def names(self, i: int) -> list[str]:
        """Names of what stage ``i`` computes: ``h1``, ``h2``, ... in one hidden layer, ``h1_1``, ... in several."""
        last = len(self.stages) - 1
        count = len(self.stages[i].weights)
        if i == last:
            return self.facts.outputs(count)
        layer = f"{i + 1}_" if last > 1 else ""
        return [f"h{layer}{j + 1}" for j in range(count)]

    def sums(self, i: int) -> Iterator[Sum]:
        """What stage ``i`` computes, before its ReLU."""
        stage, sources = self.stages[i], self.facts.names if i == 0 else self.names(i - 1)
        size = self.spread if i == 0 else np.ones(len(sources))
        for j, name in enumerate(self.names(i)):
            gate, row = None, int(stage.rows[j])
            if stage.gates is not None and stage.gate_bias is not None:
                gate = Sum(name, row, float(stage.gate_bias[j]), _terms(stage.gates[j], sources, size))
            assert stage.bias is not None, "every stage of a formula has a bias"
            yield Sum(name, row, float(stage.bias[j]), _terms(stage.weights[j], sources, size), gate)

    @property
    def used(self) -> list[bool]:
        """For each input, whether a neuron that reaches an output has a weight on it."""
        first: NDArray[np.bool_] = (self.stages[0].weights != 0).any(0).numpy()
        return [bool(one) for one in first]

    def document(self) -> dict[str, Any]:
        """JSON values of all that is computed, with every digit."""
        facts, last = self.facts, len(self.stages) - 1
        hidden = [
            {
                "activation": "gated" if self.stages[i].gates is not None else "relu",
                "neurons": [one.document() for one in self.sums(i)],
            }
            for i in range(last)
        ]
        return {
            "target": facts.target,
            "kind": facts.kind,
            "classes": facts.classes,
            "inputs": [name for name, used in zip(facts.names, self.used, strict=True) if used],
            "unused_inputs": [name for name, used in zip(facts.names, self.used, strict=True) if not used],
            "layers": hidden,
            "outputs": [one.document() for one in self.sums(last)],
        }

    def parts(self, x: Tensor) -> list[dict[str, Any]]:
        """What each part of the prediction does on rows ``x`` ``[n, d]`` in the units of the table (float64).

        A part is a neuron of the last hidden layer, or an input of a linear model. Each has ``name``; ``active``, the
        share of rows where it is not zero; ``mean``, its mean contribution to each output ``[k]``; and ``share``, its
        share of the variance of the outputs: covariance with the output over the output's variance, summed over the
        outputs. Shares sum to 1; one is negative where the part works against the others. They are None if the
        outputs do not vary.
        """
        for stage in self.stages[:-1]:
            x = stage.forward(x)
        weights = self.stages[-1].weights
        linear = len(self.stages) == 1
        names = self.facts.names if linear else self.names(len(self.stages) - 2)
        centred = (x - x.mean(0)) @ weights.T
        total = float(centred.square().sum())
        parts = []
        for j in range(len(names)):
            if not bool(weights[:, j].any()):
                continue
            column = x[:, j, None] * weights[:, j]
            share = float(((column - column.mean(0)) * centred).sum()) / total if total else None
            active = float((x[:, j] != 0).double().mean())
            parts.append({"name": names[j], "active": active, "mean": column.mean(0).tolist(), "share": share})
        return sorted(parts, key=lambda part: -(part["share"] or 0.0))


def _terms(weights: Tensor, sources: Sequence[str], size: Floats) -> list[tuple[str, float]]:
    values = weights.numpy()
    order = sorted(np.flatnonzero(values).tolist(), key=lambda i: (-abs(values[i]) * size[i], i))
    return [(sources[i], float(values[i])) for i in order]


def _reaching(stages: Sequence[Stage]) -> list[Stage]:
    """The chain without hidden neurons that are always zero or reach no output."""
    out = list(stages)
    for i in range(len(out) - 1):
        bias = out[i].bias
        assert bias is not None
        keep = ((out[i].weights != 0).any(1) | (bias > 0)).nonzero().flatten()
        out[i : i + 2] = out[i].only(keep), out[i + 1].reading(keep)
    for i in range(len(out) - 2, -1, -1):
        keep = (out[i + 1].weights != 0).any(0).nonzero().flatten()
        out[i : i + 2] = out[i].only(keep), out[i + 1].reading(keep)
    return out


def _signed(hidden: Stage, output: Stage) -> tuple[Stage, Stage]:
    """The last hidden layer with the sizes of its output weights, and an output with signs alone."""
    size = output.weights[0].abs()
    assert hidden.bias is not None
    scaled = replace(hidden, weights=hidden.weights * size[:, None], bias=hidden.bias * size)
    return scaled, replace(output, weights=output.weights.sign())
