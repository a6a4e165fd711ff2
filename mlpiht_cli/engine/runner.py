"""Run jobs: make the data, fit, score, and yield one row for each cell."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

import torch

from mlpiht_cli.core.columns import COLUMNS
from mlpiht_cli.core.fit import Callback, Fit, Status, ignore
from mlpiht_cli.core.method import torch_dtype
from mlpiht_cli.core.metric import METRICS
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.core.scoring import evaluate
from mlpiht_cli.engine.provenance import Meter, environment
from mlpiht_cli.errors import CellSkipped, InputError
from mlpiht_cli.linalg.threads import threads_of
from mlpiht_cli.plan.cells import Cell, Job
from mlpiht_cli.records.rows import Row
from mlpiht_cli.rng import Streams
from mlpiht_cli.system.memory import check_room

log = logging.getLogger("mlpiht")


def pick_device(name: str) -> torch.device:
    """Resolve ``auto``, ``cpu``, ``cuda`` or ``cuda:i``.

    Raises
    ------
    InputError
        This machine has no such device.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise InputError(f"--device {name}: not a device; use auto, cpu, cuda or cuda:i") from error
    if device.type not in ("cpu", "cuda"):
        raise InputError(f"--device {name}: use auto, cpu, cuda or cuda:i")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise InputError(f"--device {name}: {torch.cuda.device_count()} CUDA device(s) found; see `mlpiht doctor`")
    return device


class Runner:
    """Runs jobs one after the other on one device; it keeps the last problem for jobs with the same data.

    Jobs whose data differ share what they can: inputs that the seed alone determines (its streams keep them), and the
    inputs feature by feature, between fits of one method. At most one of each is in memory, and none that a job would
    not have made itself.

    Parameters
    ----------
    threads
        Threads of one cell; as many as torch has if None.
    """

    def __init__(self, device: torch.device, threads: int | None = None) -> None:
        self.device = device
        COLUMNS.shared = True
        self.traceback = ""
        """Traceback of the last cell that failed."""
        self._problem: tuple[str, Problem] | None = None
        self._streams: tuple[str, Streams] | None = None
        self._method = ""
        self._threads = threads or torch.get_num_threads()

    def run(self, job: Job, callback: Callback = ignore) -> Iterator[tuple[Row, Fit | None]]:
        """Yield each cell's row as soon as it is known, with its fit; None if the cell was skipped or failed.

        A cell that raises gives a ``failed`` row, so that a sweep goes on; only the user's interrupt passes.
        """
        todo = {cell.point.s: cell for cell in job.cells}
        try:
            problem = self.problem(job.first)
            reason = job.first.method.supports(problem, job.first.shape)
            if reason is not None:
                raise CellSkipped(reason)
            for fit, spent in self._fits(job, problem, callback):
                row = self._scored(todo[fit.budget], problem, fit, spent)
                del todo[fit.budget]
                yield row, fit
        except CellSkipped as skip:
            for cell in todo.values():
                yield self._row(cell, {"status": "skipped", "reason": str(skip)}), None
        except Exception as error:
            reason = self._failed(error)
            for cell in todo.values():
                yield self._row(cell, {"status": "failed", "reason": reason}), None

    def _fits(self, job: Job, problem: Problem, callback: Callback) -> Iterator[tuple[Fit, dict[str, Any]]]:
        """Fits of a job with the cost of each: the trajectory up to it, or its own run if none is shared."""
        cell = job.first
        torch.set_num_threads(threads_of(problem.n * problem.d * cell.shape.m, self._threads))
        budgets = [one.point.s for one in job.cells]
        method = f"{cell.point.method} {cell.method.fingerprint}"
        if method != self._method:
            COLUMNS.free()  # this method may not need them
            self._method = method
        path = cell.method.fit_path(problem, cell.shape, budgets, Streams(cell.point.seed), callback)
        meter = Meter(self.device)
        while True:
            meter.resume()
            fit = next(path, None)
            spent = meter.pause()
            if fit is None:
                return
            yield fit, spent
            if not cell.method.shares_trajectory and fit.budget > min(budgets):
                meter.reset()

    def problem(self, cell: Cell) -> Problem:
        """Data of a cell on the device, made only if they differ from the last ones."""
        if self._problem is None or self._problem[0] != cell.data_key:
            self._problem = None  # free the old data before the new ones are made
            if self._streams is None or self._streams[0] != cell.source_key:
                self._streams = None
                dims = cell.task.dims()
                check_room(dims.n * (12 * dims.d + 16 * dims.k), f"data of {dims.n} samples with {dims.d} features")
                self._streams = cell.source_key, Streams(cell.point.seed)
            problem = cell.task.build(cell.axes, self._streams[1])
            self._problem = cell.data_key, problem.to(self.device, torch.float32)
        return self._problem[1]

    def _scored(self, cell: Cell, problem: Problem, fit: Fit, spent: dict[str, Any]) -> Row:
        """Row of a fit; an error while it is scored gives a ``failed`` row of this cell alone."""
        columns = {"n": problem.n, "d": problem.d, "k": problem.k, "metric": problem.metric, **spent}
        columns |= {"iterations": fit.iterations, "settled": fit.settled}
        try:
            columns |= self._scores(cell, problem, fit)
        except Exception as error:
            columns |= {"status": "failed", "reason": self._failed(error)}
        return self._row(cell, columns, problem.notes)

    def _failed(self, error: Exception) -> str:
        """Keep the traceback of the error that is being handled, and return the error as one line."""
        self.traceback = traceback.format_exc()
        log.debug("cell failed", exc_info=True)
        return f"{type(error).__name__}: {error}"

    def _scores(self, cell: Cell, problem: Problem, fit: Fit) -> dict[str, Any]:
        facts = {**fit.facts, "passes": fit.passes}
        if fit.status is not Status.OK:
            return {"status": fit.status.value, "reason": fit.reason, "measures": facts}
        if cell.method.keeps_budget and (fit.predictor.nnz or 0) > fit.budget:
            raise RuntimeError(f"the model has {fit.predictor.nnz} nonzeros, the budget is {fit.budget}")
        scores = evaluate(fit.predictor, problem.to(self.device, torch_dtype(cell.method.dtype)))
        if scores is None:
            reason = "the network's predictions are not finite"
            return {"status": "diverged", "reason": reason, "measures": facts}
        columns = asdict(scores)
        more = columns.pop("more")
        if both := more.keys() & facts.keys():
            raise RuntimeError(f"the method tells of {', '.join(sorted(both))}, which are scores")
        metric = METRICS[problem.metric]
        undefined = f"{problem.metric} is undefined: {metric.undefined}" if scores.value is None else ""
        return {
            "status": "ok",
            "reason": undefined or metric.trivial(problem) or "",
            "nnz": fit.predictor.nnz,
            "nnz_by_layer": fit.predictor.nnz_by_layer,
            "measures": {**more, **facts},
            **columns,
        }

    def _row(self, cell: Cell, columns: dict[str, Any], notes: Mapping[str, object] | None = None) -> Row:
        return row_of(cell, {**environment(self.device), **columns}, notes)


def row_of(cell: Cell, columns: dict[str, Any], notes: Mapping[str, object] | None = None) -> Row:
    """Row of a cell: its names and settings, and the given columns with the outcome."""
    p = cell.point
    place = {"spec": cell.spec, "figure": cell.figure, "panel": p.panel, "profile": cell.profile}
    axes = {"depth": p.depth, "m": p.m, "s": p.s, "seed": p.seed}
    params = {**cell.params, **({"data": dict(notes)} if notes else {})}
    names = {"cell": cell.key, "task": p.task, "method": p.method, "dtype": cell.method.dtype}
    return Row(**place, **names, **axes, params=params, **{**cell.size, **columns})
