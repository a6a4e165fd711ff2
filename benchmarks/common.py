"""Shared parts of the measurements: their extent, data, fits, scores, and the columns about the machine."""

from __future__ import annotations

import importlib.metadata
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatch
from typing import Any

import numpy as np
import psutil
import torch

from mlpiht_cli.core.fit import Callback, Fit, Status, ignore
from mlpiht_cli.core.method import Method, Shape
from mlpiht_cli.core.metric import EXACT_DB
from mlpiht_cli.core.model import SparseMLP
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.core.scoring import evaluate
from mlpiht_cli.core.task import Axes
from mlpiht_cli.engine.provenance import environment, processor
from mlpiht_cli.rng import Streams
from mlpiht_cli.tasks.planted import Planted

Row = dict[str, Any]
"""One measurement: a line of a CSV file. ``name`` is unique within the table."""

CPU = torch.device("cpu")
STEPS = 15
"""Full-batch steps of IHT, and epochs of a round of IMP, as in Figure 1 of the paper."""


@dataclass(frozen=True)
class Plan:
    """Extent of the measurements.

    Attributes
    ----------
    quick
        Whether sizes are tiny: this shows that everything runs, and says nothing about speed.
    repeats
        Number of timed runs of mlpiht's methods, after one run that warms up; the median counts.
    seeds
        Number of seeds 0, 1, ... for the mean PSNR and for the race.
    only
        Patterns of names of measurements (``iht-10x20``, ``imp-*``); empty means all.
    yardstick_seeds
        Number of seeds for which the yardstick runs to its end, for its PSNR; None means the number that the
        measurement sets.
    """

    quick: bool = False
    repeats: int = 5
    seeds: int = 5
    only: tuple[str, ...] = ()
    yardstick_seeds: int | None = None

    def wants(self, name: str) -> bool:
        """Whether a measurement is selected."""
        return not self.only or any(fnmatch(name, pattern) for pattern in self.only)


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Let torch, and code that follows its setting, use ``count`` threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def median(values: Sequence[float]) -> float:
    """Return the median; nan for no values."""
    return float(np.median(values)) if len(values) else math.nan


def planted(n: int, d: int, shape: tuple[int, int], seed: int = 0, k: int = 1) -> Problem:
    """Make the data of a planted network with width and nonzeros ``shape = (m, s)``."""
    return Planted(n=n, d=d, k=k).build(Axes(*shape), Streams(seed))


def fit(method: Method, problem: Problem, shape: tuple[int, int], seed: int = 0, callback: Callback = ignore) -> Fit:
    """Fit a network of one hidden layer, width and budget ``shape = (m, s)``."""
    m, s = shape
    return next(iter(method.fit_path(problem, Shape(m), [s], Streams(seed), callback)))


def psnr(model: SparseMLP, problem: Problem) -> float:
    """Return the PSNR in dB in the precision of the model, scored as in mlpiht; nan for non-finite predictions."""
    scores = evaluate(model, problem.to(CPU, model.dtype))
    return math.nan if scores is None or scores.psnr is None else scores.psnr


def psnr_of(found: Fit, problem: Problem) -> float:
    """Return the PSNR of a fit in dB; nan if it diverged."""
    return psnr(found.model, problem) if found.status is Status.OK else math.nan


def psnr_columns(who: str, values: Sequence[float]) -> Row:
    """Return the mean over the seeds, and the mean with each seed capped at the PSNR that counts as exact recovery.

    Above ``EXACT_DB`` a PSNR depends on how numbers are rounded (float32 or float64), not on how good the network is.
    """
    capped = [min(value, EXACT_DB) for value in values]
    mean, mean_capped = (float(np.mean(each)) if each else math.nan for each in (values, capped))
    return {f"psnr_{who}": mean, f"psnr_{who}_capped": mean_capped, f"psnr_{who}_seeds": len(values)}


def machine() -> Row:
    """Return the columns on the machine, the versions and the time of a measurement."""
    known = environment(CPU)
    try:
        numba = importlib.metadata.version("numba")
    except importlib.metadata.PackageNotFoundError:
        numba = ""
    return {
        "threads": known["threads"],
        "processor": processor(),
        "cores": psutil.cpu_count(logical=True),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        **{name: known[name] for name in ("mlpiht", "git_sha", "git_dirty", "torch", "numpy")},
        "numba": numba,
        "python": known["python"],
        "measured_utc": datetime.now(UTC).isoformat(timespec="seconds"),
    }
