"""A network as lines of text: outputs, neurons, and what each does on rows of data."""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlpiht_cli.core.formula import Formula, Sum

WIDTH = 100
LEAST_WIDTH = 20
"""Characters of a formula on a line, however long the name before it is."""
MOST_NAMED = 12
"""Most unused inputs that are named."""


@dataclass(frozen=True)
class _Digits:
    """Digits of the numbers in a sum, so many that rounding hides nothing of its value.

    A weight on an input far from zero (a year) and the constant that offsets it have more digits than others.

    Attributes
    ----------
    least
        Digits of a number that offsets nothing.
    mean, spread
        Mean and standard deviation of an input by name; empty for sums of neurons.
    """

    least: int
    mean: Mapping[str, float]
    spread: Mapping[str, float]

    @classmethod
    def of(cls, formula: Formula, stage: int, least: int) -> _Digits:
        """Digits of the sums of a stage."""
        facts, named = formula.facts, stage == 0
        mean = dict(zip(facts.names, facts.mean, strict=True)) if named else {}
        return cls(least, mean, dict(zip(facts.names, formula.spread, strict=True)) if named else {})

    def weight(self, source: str, size: float) -> str:
        """A weight without its sign."""
        far = abs(self.mean.get(source, 0.0)) / self.spread.get(source, 1.0)
        return self._rounded(size, self.least + _magnitude(min(max(far, 1.0), 1e17)))

    def constant(self, one: Sum) -> str:
        """The constant of a sum without its sign; empty if it is nothing next to the heaviest term."""
        size = abs(one.constant)
        largest = max([abs(weight) * self.spread.get(source, 0.0) for source, weight in one.terms], default=0.0)
        if size <= largest * 0.1**self.least / 2:
            return ""
        more = _magnitude(size) - _magnitude(largest) if largest else 0
        return self._rounded(size, self.least + max(more, 0))

    @staticmethod
    def _rounded(size: float, digits: int) -> str:
        return f"{size:.{min(digits, 17)}g}"


def _magnitude(size: float) -> int:
    return math.floor(math.log10(size)) if size > 0 else 0


def formula_lines(formula: Formula, digits: int) -> Iterator[str]:
    """The outputs first, then the neurons of each hidden layer, the last layer first."""
    last = len(formula.stages) - 1
    for i in range(last, -1, -1):
        sums, write = list(formula.sums(i)), _Digits.of(formula, i, digits)
        if i < last and sums:
            yield ""
        if i < last and last > 1 and sums:
            yield f"layer {i + 1}"
        width = max((len(shown(one.name)) for one in sums), default=0)
        for one in sums:
            yield from _equation(one, width, write, hidden=i < last)
    if formula.facts.kind not in (None, "regression"):
        yield ""
        yield _decision(formula)


def _equation(one: Sum, width: int, write: _Digits, hidden: bool) -> list[str]:
    terms = _sum_text(one, write)
    text = terms
    if one.gate is not None:
        text = f"({terms}) where its gate is above 0 (a fixed gate of {len(one.gate.terms)} weights: see --json)"
    elif hidden:
        text = f"relu({terms})"
    return _wrapped(f"{shown(one.name):<{width}} = ", text)


def _sum_text(one: Sum, write: _Digits) -> str:
    parts = []
    for source, weight in one.terms:
        size, name = write.weight(source, abs(weight)), _token(source)
        parts.append((weight < 0, name if size == "1" else f"{size}*{name}"))
    constant = write.constant(one)
    if constant or not parts:
        parts.insert(0, (one.constant < 0, constant or "0"))
    first = f"{'-' if parts[0][0] else ''}{parts[0][1]}"
    # A term and its sign stay on one line.
    rest = [f"{'-' if negative else '+'}\N{NO-BREAK SPACE}{text}" for negative, text in parts[1:]]
    return " ".join([first, *rest])


def _wrapped(head: str, text: str) -> list[str]:
    lines = textwrap.wrap(
        text, max(WIDTH - len(head), LEAST_WIDTH), break_long_words=False, break_on_hyphens=False
    ) or [""]
    lines = [line.replace("\N{NO-BREAK SPACE}", " ") for line in lines]
    return [head + lines[0], *(" " * len(head) + line for line in lines[1:])]


def _token(name: str) -> str:
    """A name in a formula: in brackets unless it is one word."""
    plain = shown(name)
    kept = plain if re.fullmatch(r"[^\W\d]\w*", plain) else f"[{plain}]"
    return kept.replace(" ", "\N{NO-BREAK SPACE}")


def shown(name: str) -> str:
    """A name from a file, without characters that could steer a terminal."""
    return "".join(letter if letter.isprintable() else "?" for letter in name)


def _decision(formula: Formula) -> str:
    classes, target = [shown(name) for name in formula.facts.classes], shown(formula.facts.target)
    if len(formula.stages[-1].weights) == 1 and len(classes) == 2:
        return f"{target} is {classes[1]} where score > 0.5, else {classes[0]}"
    return f"{target} is the class whose value above is largest; their softmax gives probabilities"


def head_lines(model: str, row: object, counts: Sequence[int], formula: Formula) -> Iterator[str]:
    """What the network is: the method and its score, the weights, the neurons, the inputs."""
    if isinstance(row, Mapping) and isinstance(row.get("method"), str) and isinstance(row.get("value"), float):
        yield f"{model}: {shown(row['method'])}, {shown(str(row.get('metric')))} {row['value']:.4g}"
    else:
        yield model
    neurons = [len(stage.weights) for stage in formula.stages[:-1]]
    layers = f" ({' + '.join(map(str, counts))} by layer)" if len(counts) > 1 else ""
    kind = " + ".join(map(str, neurons)) + f" neuron{'s' if neurons != [1] else ''}" if neurons else "a linear model"
    kind = kind if all(neurons) else "no neuron reaches an output"
    yield f"{sum(counts)} weight{'s' if sum(counts) != 1 else ''}{layers}, {kind}"
    names = [shown(name) for name, used in zip(formula.facts.names, formula.used, strict=True) if not used]
    more = f", and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    unused = f"; unused: {', '.join(names[:MOST_NAMED])}{more}" if names else ""
    text = f"{sum(formula.used)} of {len(formula.used)} inputs used{unused}"
    yield from textwrap.wrap(text, WIDTH, subsequent_indent="  ", break_on_hyphens=False)


def parts_lines(parts: Sequence[Mapping[str, Any]], outputs: Sequence[str], rows: str) -> Iterator[str]:
    """What each part of the prediction does on the rows of a file."""
    yield ""
    yield f"on {rows}:"
    heads = ["mean contribution"] if len(outputs) == 1 else [f"to {shown(name)}" for name in outputs]
    table = [["", "active", *heads, "share of variance"]]
    for part in parts:
        share = "" if part["share"] is None else f"{part['share']:.1%}"
        table.append([shown(part["name"]), f"{part['active']:.0%}", *(f"{mean:+.4g}" for mean in part["mean"]), share])
    widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
    for row in table:
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        yield "  ".join(cells).rstrip()
