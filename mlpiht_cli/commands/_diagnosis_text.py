"""A diagnosis in words and columns."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

WIDTH = 100
SHORT = 24
"""Largest support that is printed in the text."""
_SUPPORTS = ("k", "alpha certain", "alpha found", "random", "beta random", "found", "certain", "kappa found", "certain")
_VALUES = (
    "k",
    "alpha_certified",
    "alpha_found",
    "alpha_random",
    "beta_random",
    "beta_found",
    "beta_certified",
    "kappa_found",
    "kappa_certified",
)


def diagnosis_text(found: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of a report of :func:`mlpiht_cli.theory.diagnosis.report`."""
    yield f"{found['gates']} gates, n = {found['n']}, d = {found['d']}, s = {found['s']}"
    yield from _section("patterns", _patterns(found["patterns"]))
    yield from _section("columns of A", _columns(found["columns"]))
    yield from _section("own support", _own(found))
    yield ""
    yield "all supports of k columns (found: some support has it; certain: every support keeps it)"
    yield from _table(found["supports"])
    yield from _found(found["supports"])
    yield ""
    yield from textwrap.wrap(f"verdict: {found['verdict']}: {found['because']}", WIDTH, subsequent_indent="  ")


def _section(title: str, words: Iterator[str]) -> Iterator[str]:
    """A title, and sentences that are wrapped."""
    text = "; ".join(words)
    if text:
        yield from textwrap.wrap(f"{title}: {text}", WIDTH, subsequent_indent="  ")


def _patterns(found: Mapping[str, Any]) -> Iterator[str]:
    yield f"{found['live']} live neurons of {found['neurons']}, {found['distinct']} distinct patterns"
    yield f"{found['dead']} dead, {found['always_on']} always on"
    yield f"{found['duplicate_pairs']} duplicate pairs, {found['antipodal_pairs']} antipodal pairs"
    yield f"eps = {_number(found['eps'])} (least share of samples that opens a live neuron)"
    merged = _number(found["gamma_distinct"])
    yield f"gamma = {_number(found['gamma'])} (least share on which two differ; {merged} with duplicates merged)"


def _columns(found: Mapping[str, Any]) -> Iterator[str]:
    yield f"{found['count']}, and {found['zero']} that are zero and left out"
    yield f"norms {_number(found['least_norm'])} to {_number(found['largest_norm'])}, scaled to 1"
    yield f"coherence {_number(found['coherence'])}"
    if found["rank"] is not None:
        yield f"rank {found['rank']}"
    if found["examined"] != "all":
        yield "too many for one Gram matrix: supports are searched among near patterns and among shared features"


def _own(found: Mapping[str, Any]) -> Iterator[str]:
    for name, words in (("own_support", "as it is"), ("own_support_merged", "duplicate neurons merged")):
        if (own := found[name]) is not None:
            bounds = f"alpha {_number(own['alpha'])}, beta {_number(own['beta'])}"
            yield f"{words}: rank {own['rank']} of {own['size']}, {bounds}"


def _table(brackets: list[Mapping[str, Any]]) -> Iterator[str]:
    rows = [[_number(one[name]) for name in _VALUES] for one in brackets]
    widths = [max(len(cell) for cell in column) for column in zip(_SUPPORTS, *rows, strict=True)]
    for row in (_SUPPORTS, *rows):
        yield "  " + "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))


def _found(brackets: list[Mapping[str, Any]]) -> Iterator[str]:
    """The supports themselves, where they are short."""
    yield f"supports found, as neuron.feature from 0 (of more than {SHORT} columns: see --json)"
    for one in brackets:
        for name in ("alpha", "beta"):
            support = one[f"{name}_support"]
            if len(support) <= SHORT:
                text = f"{name}_{one['k']}: " + " ".join(f"{neuron}.{feature}" for neuron, feature in support)
                yield from textwrap.wrap(text, WIDTH - 2, initial_indent="  ", subsequent_indent="    ")


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    if isinstance(value, int):
        return str(value)
    return "infinite" if math.isinf(value) else f"{value:.4g}"
