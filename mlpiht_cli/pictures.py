"""Fit the networks that a spec's ``pictures`` name once more, and lay out what is to be seen of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mlpiht_cli.baselines.imp import fused
from mlpiht_cli.cells import Cell, jobs
from mlpiht_cli.figures import pictures
from mlpiht_cli.figures.pictures import Shot
from mlpiht_cli.metrics import matched_rows
from mlpiht_cli.model import SparseMLP
from mlpiht_cli.problem import Problem
from mlpiht_cli.rows import Row
from mlpiht_cli.runner import Runner
from mlpiht_cli.specs.figure import Picture
from mlpiht_cli.specs.schema import Spec


def picture(spec: Spec, wanted: Picture, cells: Sequence[Cell], runner: Runner) -> Figure | None:
    """Draw one picture of a validated spec; None where the profile holds none of its cells."""
    chosen = [cell for cell in cells if _shows(wanted, cell)]
    if not chosen:
        return None
    problem = runner.problem(chosen[0])
    rows: dict[str, list[Shot]] = {}
    by_key = {cell.key: cell for cell in chosen}
    for job in jobs(chosen):
        # Small budgets first. The data are the same for all: where they depend on s, a picture has one budget.
        for row, fit in sorted(runner.run(job), key=lambda pair: pair[0].s):
            cell = by_key[row.cell]
            shot = _shot(problem, row, None if fit is None or row.status != "ok" else fit.model, cell)
            rows.setdefault(cell.point.label, []).append(shot)
    title = f"{spec.title} ({chosen[0].profile} profile, m = {wanted.m}, seed {wanted.seed})"
    draw = pictures.images if _image(problem) else pictures.weights
    return draw(title, Shot("target" if _image(problem) else "planted", _target(problem)), list(rows.values()))


def _shows(wanted: Picture, cell: Cell) -> bool:
    point = cell.point
    return (point.panel, point.m, point.seed) == (wanted.panel, wanted.m, wanted.seed) and point.s in wanted.s


def _image(problem: Problem) -> list[int] | None:
    shape = (problem.recipe or {}).get("image")
    return shape if isinstance(shape, list) else None


def _target(problem: Problem) -> NDArray[np.float64]:
    shape = _image(problem)
    if shape:
        return np.asarray(problem.y.double().cpu().numpy().reshape(shape))
    assert problem.truth is not None, "a validated spec has no pictures of other tasks"
    return np.asarray(problem.truth[0].dense().double().cpu().numpy())


def _shot(problem: Problem, row: Row, model: SparseMLP | None, cell: Cell) -> Shot:
    target = _target(problem)
    head = f"{cell.point.label}, s = {cell.point.s}"
    if model is None or row.value is None:
        return Shot(f"{head}: {row.status}", np.zeros_like(target))
    unit = " dB" if row.metric == "psnr" else f" {row.metric}"
    if _image(problem):
        values = model.forward(problem.x.to(model.layers[0].values.dtype)).double().cpu().numpy().reshape(target.shape)
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
