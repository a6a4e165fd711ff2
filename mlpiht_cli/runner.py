"""Run jobs: make the data, let the method fit, score it, and hand out one row per cell."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import torch

from mlpiht_cli.cells import Cell, Job
from mlpiht_cli.errors import CellSkipped, InputError
from mlpiht_cli.method import Callback, Fit, Status, finite, ignore
from mlpiht_cli.metrics import evaluate
from mlpiht_cli.problem import Problem
from mlpiht_cli.provenance import Meter, environment
from mlpiht_cli.rng import Streams
from mlpiht_cli.rows import Row

log = logging.getLogger("mlpiht")


def pick_device(name: str) -> torch.device:
    """Resolve ``auto``, ``cpu``, ``cuda`` or ``cuda:i``.

    Raises
    ------
    InputError
        The device is not there.
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
    """Runs jobs one after the other on one device, keeping the last problem for jobs that share its data."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._problem: tuple[str, Problem] | None = None

    def run(self, job: Job, callback: Callback = ignore) -> Iterator[tuple[Row, Fit | None]]:
        """Yield each cell's row as soon as it is known, and its fit unless it was skipped or failed.

        A cell that raises becomes a ``failed`` row, so that a sweep goes on; only the user's interrupt passes.
        """
        todo = {cell.point.s: cell for cell in job.cells}
        meter = Meter(self.device)
        try:
            problem = self.problem(job.first)
            reason = job.first.method.supports(problem, job.first.shape)
            if reason is not None:
                raise CellSkipped(reason)
            cell = job.first
            streams = Streams(cell.point.seed)
            meter.reset()
            for fit in cell.method.fit_path(problem, cell.shape, list(todo), streams, callback):
                spent = meter.read()
                cell = todo.pop(fit.budget)
                yield self._scored(cell, problem, fit, spent), fit
                if not cell.method.shares_trajectory:
                    meter.reset()
        except CellSkipped as skip:
            for cell in todo.values():
                yield self._row(cell, status="skipped", reason=str(skip), **meter.read()), None
        except Exception as error:
            log.debug("cell failed", exc_info=True)
            for cell in todo.values():
                reason = f"{type(error).__name__}: {error}"
                yield self._row(cell, status="failed", reason=reason, **meter.read()), None

    def problem(self, cell: Cell) -> Problem:
        """Data of a cell on the device, made anew only when they differ from the last ones."""
        if self._problem is None or self._problem[0] != cell.data_key:
            self._problem = None  # let the old data go before the new ones come
            problem = cell.task.build(cell.axes, Streams(cell.point.seed))
            self._problem = cell.data_key, problem.to(self.device, torch.float32)
        return self._problem[1]

    def _scored(self, cell: Cell, problem: Problem, fit: Fit, spent: dict[str, Any]) -> Row:
        columns: dict[str, Any] = {"status": fit.status.value, "reason": fit.reason}
        if fit.status is Status.OK:
            if fit.model.nnz > fit.budget:
                raise RuntimeError(f"the model has {fit.model.nnz} nonzeros, the budget is {fit.budget}")
            scores = evaluate(fit.model, problem.to(self.device, fit.model.layers[0].values.dtype))
            if not finite(scores.value, scores.final_loss) and not scores.exact:
                columns.update(status="diverged", reason="the network's predictions are not finite")
            columns.update(
                value=scores.value,
                psnr=scores.psnr,
                accuracy=scores.accuracy,
                support_f1=scores.support_f1,
                exact=scores.exact,
                final_loss=scores.final_loss,
                nnz=fit.model.nnz,
                nnz_by_layer=fit.model.nnz_by_layer,
            )
        size = {"n": problem.n, "d": problem.d, "k": problem.k, "metric": problem.metric}
        return self._row(cell, **size, **columns, **spent, iterations=fit.iterations, notes=dict(problem.notes))

    def _row(self, cell: Cell, notes: dict[str, Any] | None = None, **columns: Any) -> Row:
        p = cell.point
        params = {**cell.params, **({"data": notes} if notes else {})}
        return Row(
            spec=cell.spec,
            figure=cell.figure,
            panel=p.panel,
            profile=cell.profile,
            cell=cell.key,
            task=p.task,
            method=p.method,
            depth=p.depth,
            m=p.m,
            s=p.s,
            seed=p.seed,
            params=params,
            dtype=cell.method.dtype,
            **environment(self.device),
            **columns,
        )
