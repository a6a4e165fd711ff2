"""Checks as text for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from mlpiht_cli.checks.claims import Judged
from mlpiht_cli.checks.expected import Outcome
from mlpiht_cli.checks.reference import Comparison

MAX_DIFFERENCES = 20
"""Largest number of rows in a list of differences."""


def number_text(value: float | None) -> str:
    """Four digits; a rounding error becomes 0, and None an empty text."""
    return "" if value is None else f"{0.0 if abs(value) < 1e-12 else value:.4g}"


def claim_fields(one: Judged) -> tuple[str, str, str, str, str]:
    """Name, measured value and its uncertainty, threshold, verdict, places used of those of the claim."""
    spread = "" if one.se is None else f" ± {one.se:.2g}"
    spread += "" if one.interval is None else f" [{one.interval[0]:.4g}, {one.interval[1]:.4g}]"
    return (
        one.name,
        number_text(one.measured) + spread or "-",
        f"{'>=' if one.bound == 'at_least' else '<='} {one.threshold:g}",
        one.verdict + (", narrowly" if one.close and one.verdict in ("holds", "fails") else ""),
        f"{one.cells_used} of {one.cells}",
    )


def claims_text(claims: Sequence[Judged]) -> list[str]:
    """A table of claims, each with its sentence, and a line with the counts."""
    table = [("claim", "measured", "threshold", "verdict", "places"), *map(claim_fields, claims)]
    head, *lines = aligned(table)
    out = [head]
    for one, line in zip(claims, lines, strict=True):
        out += [line, f"  {one.says}", *([f"  note: {one.reason}"] if one.reason else [])]
    judged = [one for one in claims if one.verdict != "not judged"]
    rest = len(claims) - len(judged)
    summary = f"{sum(one.held for one in judged)} of {len(judged)} claims hold"
    return [*out, summary + (f", {rest} not judged in this profile" if rest else "")]


def comparison_text(found: Comparison) -> list[str]:
    """A table of values that differ or are missing, and a line with the counts."""
    out = []
    for what, listed in (("differ", found.different), ("missing", found.missing)):
        if listed:
            head = (*listed[0].where, "metric", "ours", "reference")
            lines = [
                (*map(str, one.where.values()), one.metric, _shown(one.ours), _shown(one.reference))
                for one in listed[:MAX_DIFFERENCES]
            ]
            more = [f"... and {len(listed) - MAX_DIFFERENCES} more"] if len(listed) > MAX_DIFFERENCES else []
            out += [f"{what}:", *aligned([head, *lines]), *more]
    counts = f"{found.equal} equal, {len(found.different)} different, {len(found.missing)} missing"
    unit = "cells" if found.mode == "stat" else "rows"
    return [*out, f"{found.mode}: {counts} of the reference's {unit}; {found.extra} rows of ours have no reference"]


def aligned(table: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a table with padded columns."""
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in table]


def _shown(outcome: Outcome | None) -> str:
    return "-" if outcome is None else outcome if isinstance(outcome, str) else f"{outcome:.6g}"
