"""Cost of cells: a guess from their size alone, and seconds learned from finished rows."""

from __future__ import annotations

import heapq
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpiht_cli.plan.cells import Cell, Job
from mlpiht_cli.records.rows import Row

EVIDENCE = 3
"""Number of finished rows needed to learn the cost of a method."""
_EFFORT = ("epochs", "steps")
# Prior exponents of effort, n, d, m, depth and s: the product of data and weights dominates a step, and the budget
# hardly matters. Rows move them; the exponent of a size that never varies stays.
_PRIOR = np.array([1.0, 1.0, 1.0, 1.0, 1.0, 0.0])
_RIDGE = 1.0  # weight of the prior, in rows that differ by a factor e in one size
_FASTEST = 1e-4  # seconds; rows resolve nothing shorter

LogSizes = NDArray[np.float64]


def work(cell: Cell) -> float:
    """Size of a cell, about proportional to its time among cells of one method; the same on every machine."""
    return float(np.exp(_features_of(cell) @ _PRIOR))


def job_total(job: Job, costs: Sequence[float]) -> float:
    """Cost of a job from the costs of its cells; a cell's cost covers the whole trajectory up to its budget."""
    return max(costs) if job.first.method.shares_trajectory else sum(costs)


@dataclass(frozen=True)
class _Fitted:
    """Log-linear cost of one kind of cell; the factor ``spread`` turns a median into a mean."""

    centre: LogSizes
    level: float
    slopes: LogSizes
    spread: float

    def seconds(self, features: LogSizes) -> float:
        return self.spread * math.exp(min(self.level + float((features - self.centre) @ self.slopes), 50.0))


class CostModel:
    """Predicts the seconds of a cell by least squares on the logarithms of its sizes, for each method.

    The fit uses rows of the same method and settings (steps and epochs may differ); if they are too few, it uses all
    rows of the method.

    Parameters
    ----------
    rows
        Known rows. Rows that did not finish, or that another kind of device made, are left out.
    device
        ``cpu`` or ``cuda``.
    """

    def __init__(self, rows: Sequence[Row], device: str = "cpu") -> None:
        self._rows, self._device = rows, device

    def more(self, rows: Sequence[Row]) -> CostModel:
        """Return a model that knows further rows; the same one if there are none."""
        return CostModel([*self._rows, *rows], self._device) if rows else self

    @cached_property
    def _fitted(self) -> dict[str, _Fitted]:
        """Cost by kind of cell; the fit runs at the first use."""
        grouped: dict[str, list[Row]] = {}
        for row in {row.cell: row for row in self._rows}.values():
            if (
                row.status == "ok"
                and row.wall_s is not None
                and row.n
                and row.d
                and row.device.startswith(self._device)
            ):
                for kind in _kinds(row.method, row.params.get("method")):
                    grouped.setdefault(kind, []).append(row)
        return {kind: _fit(found) for kind, found in grouped.items() if len(found) >= EVIDENCE}

    def seconds(self, cell: Cell) -> float | None:
        """Expected seconds of a fit; None if there are too few rows."""
        for kind in _kinds(cell.point.method, cell.method.recorded()):
            if kind in self._fitted:
                return self._fitted[kind].seconds(_features_of(cell))
        return None

    def job_seconds(self, job: Job) -> float | None:
        """Expected seconds of a job; None if one of its cells is unknown."""
        costs = [seconds for cell in job.cells if (seconds := self.seconds(cell)) is not None]
        return job_total(job, costs) if len(costs) == len(job.cells) else None

    def total(self, jobs: Iterable[Job], workers: int = 1) -> float | None:
        """Expected seconds of jobs on a number of workers, longest job first; None if a job is unknown."""
        costs = [self.job_seconds(job) for job in jobs]
        known = [cost for cost in costs if cost is not None]
        if len(known) < len(costs):
            return None
        busy = [0.0] * max(1, workers)
        for cost in sorted(known, reverse=True):
            heapq.heapreplace(busy, busy[0] + cost)
        return max(busy)

    def longest_first(self, jobs: Iterable[Job]) -> list[Job]:
        """Jobs by falling cost: unknown ones first, in their order, and jobs on the same data together.

        Of equal or unknown costs, jobs of one task and seed follow each other, so that they can share inputs.
        """
        groups: dict[str, list[tuple[float, Job]]] = {}
        sources: dict[str, int] = {}
        for job in jobs:
            seconds = self.job_seconds(job)
            sources.setdefault(job.first.source_key, len(sources))
            groups.setdefault(job.first.data_key, []).append((math.inf if seconds is None else seconds, job))

        def place(group: list[tuple[float, Job]]) -> tuple[float, int]:
            return -max(cost for cost, _ in group), sources[group[0][1].first.source_key]

        ordered = sorted(groups.values(), key=place)
        return [job for group in ordered for _, job in sorted(group, key=lambda pair: -pair[0])]

    def shares(self, jobs: Iterable[Job]) -> dict[str, float]:
        """Expected seconds by cell, a job's divided among its cells; empty if a job is unknown."""
        out: dict[str, float] = {}
        for job in jobs:
            seconds = self.job_seconds(job)
            if seconds is None:
                return {}
            out |= dict.fromkeys((cell.key for cell in job.cells), seconds / len(job.cells))
        return out


def duration_text(seconds: float | None, workers: int = 1) -> str:
    """An expected time as text: ``about 1 h 20 min on 2 workers``."""
    if seconds is None:
        return "time unknown"
    minutes = round(seconds / 60)
    hours, rest = divmod(minutes, 60)
    text = f"{hours} h {rest} min" if hours else f"{minutes} min" if minutes >= 2 else f"{math.ceil(seconds)} s"
    return f"about {text}" + (f" on {workers} workers" if workers > 1 else "")


def _kinds(method: str, settings: object) -> tuple[str, str]:
    """Kinds of row from which a cell's cost is learned, the nearest first."""
    kept: Mapping[str, Any] = settings if isinstance(settings, dict) else {}
    variant = {name: value for name, value in kept.items() if name not in (*_EFFORT, "version")}
    return f"{method} {json.dumps(variant, sort_keys=True)}", method


def _effort(settings: object) -> float:
    """Epochs or else steps of a method; 1 if it has neither."""
    given = [settings.get(name) for name in _EFFORT] if isinstance(settings, dict) else []
    return next((float(value) for value in given if isinstance(value, int | float) and value >= 1), 1.0)


def _features(effort: float, *sizes: int) -> LogSizes:
    return np.log([max(effort, 1.0), *(float(max(size, 1)) for size in sizes)])


def _features_of(cell: Cell) -> LogSizes:
    dims, p = cell.task.dims(), cell.point
    return _features(_effort(cell.method.recorded()), dims.n, dims.d, p.m, p.depth, p.s)


def _fit(rows: Sequence[Row]) -> _Fitted:
    """Ridge regression of log seconds towards the prior exponents, without outliers: a machine may stall."""
    x = np.array([_features(_effort(r.params.get("method")), r.n or 1, r.d or 1, r.m, r.depth, r.s) for r in rows])
    y = np.log([max(row.wall_s or 0.0, _FASTEST) for row in rows])
    first = _regressed(x, y)
    off = np.abs(y - first.level - (x - first.centre) @ first.slopes)
    near = off <= 4.5 * np.median(off) + 1e-9  # three standard deviations, from the median
    return _regressed(x[near], y[near])


def _regressed(x: LogSizes, y: LogSizes) -> _Fitted:
    centre, level = x.mean(axis=0), float(y.mean())
    about = x - centre
    rest = (y - level) - about @ _PRIOR
    slopes = _PRIOR + np.linalg.solve(about.T @ about + _RIDGE * np.eye(x.shape[1]), about.T @ rest)
    predicted = np.exp(about @ slopes)
    return _Fitted(centre, level, slopes, float(np.exp(y - level).mean() / predicted.mean()))
