"""Compare a results table with a reference: another results table, or a plain CSV of values."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mlpiht_cli.analysis.scores import intact, recorded
from mlpiht_cli.analysis.variants import settings
from mlpiht_cli.checks.expected import KEYS, Expected, Key, Outcome, read_reference
from mlpiht_cli.core.metric import metric
from mlpiht_cli.errors import InputError
from mlpiht_cli.records.rows import Row

log = logging.getLogger("mlpiht")

STANDS_FOR = {"iht_vector": "iht"}
"""By method of ours: the reference's method that it is compared with where we have no row of that method."""

MOST_SEEDS = 5
"""Most seeds that are named."""

Mode = Literal["close", "exact", "stat"]


@dataclass(frozen=True)
class Difference:
    """A reference value that ours differs from, or that we have no row for (``ours`` is None)."""

    where: dict[str, Any]
    metric: str
    ours: Outcome | None
    reference: Outcome


@dataclass(frozen=True)
class Comparison:
    """Outcome of a comparison: values that differ, values that are missing, and counts."""

    mode: Mode
    keys: tuple[str, ...]
    equal: int
    different: list[Difference]
    missing: list[Difference]
    extra: int

    @property
    def ok(self) -> bool:
        """Whether every reference value has an equal one of ours."""
        return not self.different and not self.missing

    @property
    def json(self) -> dict[str, Any]:
        """As one JSON object."""
        return {**asdict(self), "ok": self.ok}


def compare(
    rows: Sequence[Row], path: Path, mode: Mode, tolerance: float | None = None, others: Sequence[Row] = ()
) -> Comparison:
    """Compare rows with the reference in ``path``; reference rows that only ``others`` have are left out.

    ``close`` compares row by row, by :meth:`mlpiht_cli.core.metric.Metric.close`, where ``tolerance`` may replace the
    size of the metric's own; ``exact`` row by row to 1e-9 relative; ``stat`` the means over the seeds of each cell,
    within the larger of the tolerance and three standard errors of the difference. A value of nan in a reference means
    divergence. A reference row of ``iht`` is compared with our row of ``iht_vector`` where we have none of ``iht``.

    Raises
    ------
    InputError
        The reference cannot be read, holds a place twice, or fits several of our rows at once.
    """
    keys, expected = read_reference(path)
    if mode != "stat" or "seed" in keys:
        _check_unique(expected, path)
    if mode == "stat":
        keys = tuple(name for name in keys if name != "seed")
    ours, left_out, equal = _Ours(rows, keys), _Ours(others, keys), 0
    used: set[int] = set()  # by id: panels may share a cell, so its key may be of several rows
    different, missing, made, alone = [], [], set[str](), set[int]()
    for group in _groups(expected, len(keys), together=mode == "stat"):
        key = group[0].key[: len(keys)]  # the seed comes last
        found = ours.find(key, group[0], many=mode == "stat")
        if not found and left_out.have(key):
            continue
        used.update(map(id, found))
        if found and len(group[0].key) > len(keys):  # the seeds of both sides
            alone |= {row.seed for row in found} ^ {one.key[-1] for one in group}
        made.update(name for row in found for name in _other_settings(row, group[0].params or {}))
        name = next((one.metric for one in group if one.metric), "")
        pair = _Pair(name, [_outcome(row, name) for row in found], [one.outcome for one in group])
        difference = Difference(dict(zip(keys, key, strict=True)), name, *pair.shown)
        if not found:
            missing.append(difference)
        elif pair.agree(mode, tolerance):
            equal += 1
        else:
            different.append(difference)
    _say_seeds(alone, path)
    if made:
        log.warning("%s: its rows were made with other settings than ours: %s", path, ", ".join(sorted(made)))
    return Comparison(mode, keys, equal, different, missing, sum(id(row) not in used for row in rows))


def _say_seeds(alone: set[int], path: Path) -> None:
    """Tell that means are over different seeds, some of which are on one side alone."""
    if alone:
        shown = ", ".join(map(str, sorted(alone)[:MOST_SEEDS])) + (", ..." if len(alone) > MOST_SEEDS else "")
        log.warning("%s: means of different seeds are compared: %s are on one side alone", path, shown)


def compare_rows(made: Sequence[Row], rows: Sequence[Row], mode: Mode) -> Comparison:
    """Compare rows that were computed again with the first ones, by ``mode`` as :func:`compare` does.

    ``stat`` takes the rows that differ only in their seeds together; the other modes compare row by row.
    """
    keys = tuple(name for name in KEYS if name != "seed") if mode == "stat" else KEYS
    groups: dict[Key, list[tuple[Row, Row]]] = {}
    for i, (ours, row) in enumerate(zip(made, rows, strict=True)):
        own = (row.metric, _settings(row.params)) if mode == "stat" else (i,)
        groups.setdefault((*(getattr(row, name) for name in keys), *own), []).append((ours, row))
    different, equal = [], 0
    for key, group in groups.items():
        name = group[0][1].metric
        pair = _Pair(name, *([_outcome(one, name) for one in side] for side in zip(*group, strict=True)))
        if pair.agree(mode, None):
            equal += 1
        else:
            different.append(Difference(dict(zip(keys, key, strict=False)), name, *pair.shown))
    return Comparison(mode, keys, equal, different, [], 0)


def _groups(expected: Sequence[Expected], length: int, together: bool) -> list[list[Expected]]:
    """Groups of one row each, or ``together`` of the rows of one metric that differ only in their seeds."""
    if not together:
        return [[one] for one in expected]
    places: dict[Key, list[Expected]] = {}
    for one in expected:
        places.setdefault((one.key[:length], _settings(one.params or {})), []).append(one)
    groups = []
    for place in places.values():  # a row without a metric diverged; it counts for every metric of its place
        names = dict.fromkeys(one.metric for one in place if one.metric) or {"": None}
        groups += [[one for one in place if one.metric in (name, "")] for name in names]
    return groups


def _other_settings(row: Row, params: dict[str, Any]) -> list[str]:
    """Settings that are known of the row and of a reference's row, and differ; versions do not count."""
    sides = [settings(one) for one in (row.params, params)]
    both = [name for name in sides[0].keys() & sides[1] if not name.endswith("version")]
    one = [name for name in sides[0].keys() ^ sides[1] if name.startswith("data.") and row.status == "ok"]
    return [*[name for name in both if sides[0][name] != sides[1][name]], *one] if params else []


class _Ours:
    """Our rows by the key columns."""

    def __init__(self, rows: Iterable[Row], keys: tuple[str, ...]) -> None:
        self._keys = keys
        self._rows: dict[Key, list[Row]] = {}
        for row in rows:
            self._rows.setdefault(self._key(row, row.method), []).append(row)
        for row in rows:
            if row.method in STANDS_FOR and "method" in keys:
                key = self._key(row, STANDS_FOR[row.method])
                if not any(other.method == STANDS_FOR[row.method] for other in self._rows.get(key, [])):
                    self._rows.setdefault(key, []).append(row)

    def _key(self, row: Row, method: str) -> Key:
        return tuple(method if name == "method" else getattr(row, name) for name in self._keys)

    def have(self, key: Key) -> bool:
        """Whether there is any row of the key."""
        return key in self._rows

    def find(self, key: Key, expected: Expected, many: bool) -> list[Row]:
        """Rows that a reference row is about; its settings choose among variants of a method."""
        found = self._rows.get(key, [])
        ambiguous = len({(row.panel, row.task, row.depth, _settings(row.params)) for row in found}) > 1
        if ambiguous and expected.params is not None:
            found = [row for row in found if _settings(row.params) == _settings(expected.params)]
            ambiguous = len({(row.panel, row.task, row.depth) for row in found}) > 1
        if ambiguous or (len(found) > 1 and not many):
            where = ", ".join(f"{name}={value}" for name, value in zip(self._keys, key, strict=True))
            panels = " or ".join(sorted({f"panel={row.panel}" for row in found}))
            hint = f"choose ours with --only, as {panels}" if ambiguous else "give it seeds, or use --mode stat"
            hint = "they are one cell; keep one of them" if len({(row.panel, row.cell) for row in found}) == 1 else hint
            raise InputError(f"the reference row {where} fits {len(found)} of our rows; {hint}")
        return found


def _settings(params: dict[str, Any]) -> str:
    return json.dumps([params.get("task"), params.get("method")], sort_keys=True)


@dataclass(frozen=True)
class _Pair:
    """Outcomes of ours and of the reference for one row, or for the seeds of one cell."""

    metric: str
    ours: list[Outcome]
    reference: list[Outcome]

    @property
    def shown(self) -> tuple[Outcome | None, Outcome]:
        """One value for each side; None for a side without rows."""
        return _one(self.ours) if self.ours else None, _one(self.reference)

    def agree(self, mode: Mode, tolerance: float | None) -> bool:
        """Whether both sides agree in the sense of the mode."""
        words = [{one for one in side if isinstance(one, str)} for side in (self.ours, self.reference)]
        a, b = ([one for one in side if not isinstance(one, str)] for side in (self.ours, self.reference))
        if words[0] != words[1] or bool(a) != bool(b):
            return False  # some seeds diverge on one side only
        if not a:
            return True
        if mode == "exact":
            return math.isclose(a[0], b[0], rel_tol=1e-9)
        facts = metric(self.metric)
        a, b = ([facts.countable(one) for one in side] for side in (a, b))
        noise = 3 * math.sqrt(_squared_error(a) + _squared_error(b)) if mode == "stat" else 0.0
        return facts.close(float(np.mean(a)), float(np.mean(b)), tolerance, noise)


def _one(side: list[Outcome]) -> Outcome:
    values = [one for one in side if not isinstance(one, str)]
    words = sorted({one for one in side if isinstance(one, str)})
    return ", ".join([*([f"{np.mean(values):.6g}"] if values else []), *words]) if words else float(np.mean(values))


def _squared_error(values: list[float]) -> float:
    """Squared standard error of a mean; 0 for one value, which has no spread, and for infinite ones."""
    return float(np.var(values, ddof=1)) / len(values) if len(values) > 1 and np.isfinite(values).all() else 0.0


def _outcome(row: Row, name: str) -> Outcome:
    if row.status != "ok":
        return row.status
    if not intact(row):
        return f"value is not its {row.metric or 'metric'}"
    value = recorded(row, name)
    return f"no {name}" if value is None else "diverged" if math.isnan(value) else value


def _check_unique(expected: Sequence[Expected], path: Path) -> None:
    """Refuse two rows of one place and one metric with the same settings or none."""
    seen: dict[Key, int] = {}
    for one in expected:
        key = (one.key, one.metric, None if one.params is None else _settings(one.params))
        first = seen.setdefault(key, one.row)
        if first != one.row:
            raise InputError(f"{path}: row {one.row}: the same place as row {first}; leave one of them out")
