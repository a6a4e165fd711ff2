"""Score against budget: the rows of a path, as a table and as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields


@dataclass(frozen=True)
class PathRow:
    """Mean score over the folds of one method at one budget.

    Attributes
    ----------
    method, m, s
        Method, hidden width and budget; the width of a line is 1 and has no effect.
    score, standard_error
        Mean of the metric over the rows held out of each fold, and its standard error.
    error
        Mean of what the choice compares: the share of wrong classes, or the mean loss.
    chosen
        Whether it is the choice.
    """

    method: str
    m: int
    s: int
    score: float
    standard_error: float
    error: float
    chosen: bool

    def __str__(self) -> str:
        return f"{self.method}, s = {self.s}"


COLUMNS = tuple(field.name for field in fields(PathRow))


def path_csv(rows: Sequence[PathRow]) -> str:
    """Return the rows as CSV."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerows([COLUMNS, *(astuple(row) for row in rows)])
    return out.getvalue()


def path_text(rows: Sequence[PathRow], digits: int) -> str:
    """Return a table with a line for each budget and a column for each method; a star marks the choice."""
    methods = list(dict.fromkeys(row.method for row in rows))
    at = {(row.method, row.s): row for row in rows}
    lines = [["s", *methods]]
    for s in sorted({row.s for row in rows}):
        lines.append([str(s), *(_cell(at.get((method, s)), digits) for method in methods)])
    widths = [max(len(line[i]) for line in lines) for i in range(len(methods) + 1)]
    text = ("  ".join([line[0].rjust(widths[0]), *map(str.ljust, line[1:], widths[1:])]) for line in lines)
    return "\n".join(line.rstrip() for line in text)


def _cell(row: PathRow | None, digits: int) -> str:
    if row is None:
        return "-"
    return f"{row.score:.{digits}f} ± {row.standard_error:.{digits}f}{' *' if row.chosen else ''}"
