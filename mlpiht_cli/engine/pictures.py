"""Fit the networks that ``pictures`` of a spec name, and draw their weights or images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mlpiht_cli.analysis.scores import least_first
from mlpiht_cli.baselines.imp import fused
from mlpiht_cli.core.metric import metric
from mlpiht_cli.core.model import SparseMLP
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.core.scoring import matched_rows
from mlpiht_cli.engine.runner import Runner
from mlpiht_cli.figures import pictures
from mlpiht_cli.figures.pictures import Shot
from mlpiht_cli.plan.cells import Cell, jobs
from mlpiht_cli.records.rows import Row
from mlpiht_cli.specs.figure import Picture
from mlpiht_cli.specs.schema import Spec


@dataclass(frozen=True)
class _Run:
    """A cell, its row, and its network; None if the fit failed, or its model is no network."""

    cell: Cell
    row: Row
    model: SparseMLP | None

    @property
    def absence(self) -> str:
        """Why there is no network."""
        return "no network" if self.row.status == "ok" else self.row.status


def picture(spec: Spec, wanted: Picture, cells: Sequence[Cell], runner: Runner) -> Figure | None:
    """Draw one picture of a validated spec; None if the profile holds none of its cells."""
    chosen = [cell for cell in cells if _shows(wanted, cell)]
    if not chosen:
        return None
    task, problem = chosen[0].task, runner.problem(chosen[0])
    rows: dict[str, list[Shot]] = {}
    for run in _runs(chosen, runner):
        shot = _layer_shot(run) if task.pictured == "layer" else _shot(problem, run)
        rows.setdefault(run.cell.point.label, []).append(shot)
    seed = "the best of all seeds" if wanted.seed == "best" else f"seed {wanted.seed}"
    width = "" if task.pictured == "layer" else f"m = {wanted.m}"
    title = f"{spec.title} ({', '.join(filter(None, [spec.profile_title(chosen[0].profile), width, seed]))})"
    if task.pictured == "layer":
        return pictures.layers(title, task.weight_names, list(rows.values()))
    draw = pictures.images if problem.image else pictures.weights
    return draw(title, Shot("target" if problem.image else "planted", _target(problem)), list(rows.values()))


def _shows(wanted: Picture, cell: Cell) -> bool:
    """Whether a picture shows a cell; it shows a method without a budget once."""
    point = cell.point
    budgets = wanted.s if cell.method.keeps_budget else wanted.s[:1]
    return (
        (point.panel, point.m) == (wanted.panel, wanted.m)
        and point.s in budgets
        and wanted.seed in ("best", point.seed)
    )


def _runs(chosen: Sequence[Cell], runner: Runner) -> list[_Run]:
    """Runs of the cells by label, small budgets first; of several seeds the one with the least training loss."""
    by_key = {cell.key: cell for cell in chosen}
    best: dict[tuple[str, int], _Run] = {}
    for job in jobs(list(chosen)):
        # All cells have the same data: if the data depend on s, a picture has one budget.
        for row, fit in runner.run(job):
            found = None if fit is None or row.status != "ok" else fit.predictor
            run = _Run(by_key[row.cell], row, found if isinstance(found, SparseMLP) else None)
            place = run.cell.point.label, row.s
            if place not in best or least_first(row, "final_loss") < least_first(best[place].row, "final_loss"):
                best[place] = run
    labels = list(dict.fromkeys(cell.point.label for cell in chosen))
    return sorted(best.values(), key=lambda run: (labels.index(run.cell.point.label), run.row.s))


def _layer_shot(run: _Run) -> Shot:
    """The weights of a network of one linear layer."""
    names, dims = run.cell.task.weight_names, run.cell.task.dims()
    head = f"{run.cell.point.label}, s = {run.row.s}" if run.cell.method.keeps_budget else run.cell.point.label
    zero = np.zeros((len(names[0]), len(names[1])))
    if run.model is None:
        return Shot(f"{head}: {run.absence}", zero)
    layer = run.model.layers[0]
    if len(run.model.layers) != 1 or (layer.rows, layer.cols) != (dims.k, dims.d):
        return Shot(f"{head}: has hidden neurons", zero)
    return Shot(f"{head}: loss {run.row.final_loss:.2g}", layer.dense().double().cpu().numpy())


def _target(problem: Problem) -> NDArray[np.float64]:
    if problem.image is not None:
        return np.asarray(problem.y.double().cpu().numpy().reshape(problem.image))
    assert problem.truth is not None, "a validated spec has no pictures of other tasks"
    return _fused(SparseMLP(problem.truth, problem.truth_readout))


def _shot(problem: Problem, run: _Run) -> Shot:
    target, row, model = _target(problem), run.row, run.model
    head = f"{run.cell.point.label}, s = {run.cell.point.s}"
    if model is None or row.value is None:
        return Shot(f"{head}: {run.absence}", np.zeros_like(target))
    unit = metric(row.metric).unit or f" {row.metric}"
    if problem.image:
        values = model.forward(problem.x.to(model.dtype)).double().cpu().numpy().reshape(target.shape)
    else:
        values = np.zeros_like(target)
        found = _fused(model)
        for i, j in matched_rows(found, target):
            values[j] = found[i]
    return Shot(f"{head}: {row.value:.1f}{unit}", values)


def _fused(model: SparseMLP) -> NDArray[np.float64]:
    """First-layer weights with the output weight of each neuron multiplied in, ``[m, d]``."""
    one = fused([layer.dense() for layer in model.layers]) if len(model.layers) == 2 else model
    hidden = one.layers[0].dense()
    signed = hidden if one.readout is None else hidden * one.readout[:, None]
    return np.asarray(signed.double().cpu().numpy())
