"""Any committed number can be made again: `mlpiht fit` with a row's fields gives its value."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch

from experiments.committed import Table
from mlpiht_cli.checks.reference import Mode, compare_rows
from mlpiht_cli.engine.provenance import environment
from mlpiht_cli.engine.rerun import cell_of, settings_of
from mlpiht_cli.errors import InputError
from mlpiht_cli.records.rows import Row

Run = Callable[..., Any]
DATA = os.environ.get("MLPIHT_DATA_DIR", "")
"""Read before a fixture takes it away."""
SHORT = 42
"""Number of short rows that are made again: one of each method, and some more."""


def chosen(found: Sequence[Table], number: int, seconds: float) -> list[Row]:
    """Rows of today's versions at random, but always the same.

    They come in turn from every method, and of its figures and tasks, by their keys.
    A key is a hash of all settings, so that its order is as good as drawn.
    """
    groups: dict[tuple[str, str, str], list[Row]] = {}
    for table in found:
        for row in table.today if table.spec.cells_of is None else ():
            if row.status in ("ok", "diverged") and row.wall_s is not None and row.wall_s < seconds:
                groups.setdefault((row.spec, row.task, row.method), []).append(row)
    ranked = [
        (rank, row.cell, row)
        for group in groups.values()
        for rank, row in enumerate(sorted(group, key=lambda row: row.cell))
    ]
    turns: Counter[str] = Counter()
    ordered = []
    for *_, row in sorted(ranked, key=lambda one: one[:2]):
        ordered.append((turns[row.method], row))
        turns[row.method] += 1
    return [row for _, row in sorted(ordered, key=lambda one: one[0])][:number]


def command_line(row: Row) -> list[str]:
    """The command that makes a row's cell again, every setting said."""
    words = ["fit", "--json", "--offline", "--device", "cpu", "--method", row.method, "--task", row.task]
    for axis in ("m", "s", "depth", "seed"):
        words += [f"--{axis}", str(getattr(row, axis))]
    for name, value in settings_of(row).items():
        words += ["--set", f"{name}={json.dumps(value)}"]
    return words


def alike(row: Row) -> bool:
    """Whether a row was made with these versions, threads and instructions, so that every bit should be the same.

    Rows name their processor, but one name stands for several sets of instructions. Those that do not name their BLAS
    (schema 2 and before) had AVX-512 in torch and OpenBLAS's kernels for Haswell in NumPy: OpenBLAS does not know every
    new processor, so that a machine with AVX-512 may have either, and a product of matrices then differs in the last
    digits. The kernels of mlpiht 0.1.0 added up in another order.
    """
    here = environment(torch.device("cpu"))
    same = all(getattr(row, name) == here[name] for name in ("mlpiht", "torch", "numpy", "device", "threads"))
    usual = re.fullmatch(r"torch .* avx512; numpy openblas-\S+ haswell", here["blas"])
    return same and (row.blas == here["blas"] if row.blas else usual is not None)


def check(row: Row, mlpiht: Run) -> None:
    try:
        task = cell_of(row).task
        task.check_data()
    except InputError as error:
        pytest.skip(f"no data: {error}")
    if task.content() != row.unofficial:
        pytest.skip("made with other data files than those at hand")
    words = command_line(row)
    made = Row.model_validate(mlpiht(*words).json)
    assert made.cell == row.cell, f"`mlpiht {' '.join(words)}` is another cell"
    mode: Mode = "exact" if alike(row) else "close"
    found = compare_rows([made], [row], mode)
    assert found.equal == 1, f"`mlpiht {' '.join(words)}`: {found.different}"
    if mode == "exact":  # an accuracy alone is coarse
        assert (made.nnz_by_layer, made.iterations) == (row.nnz_by_layer, row.iterations)
        assert made.final_loss == pytest.approx(row.final_loss, rel=1e-9, abs=0, nan_ok=True)


@pytest.fixture
def with_data(mlpiht: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    if DATA:
        monkeypatch.setenv("MLPIHT_DATA_DIR", DATA)
    return mlpiht


@pytest.mark.parametrize("number", range(SHORT))
def test_fit_gives_the_value_of_a_row(found: Sequence[Table], number: int, with_data: Run) -> None:
    check(chosen(found, SHORT, 2.0)[number], with_data)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(60))
def test_fit_gives_the_value_of_a_longer_row(found: Sequence[Table], number: int, with_data: Run) -> None:
    check(chosen(found, 60, 30.0)[number], with_data)


def test_rows_are_spread_over_figures_tasks_and_methods(found: Sequence[Table]) -> None:
    rows = chosen(found, SHORT, 2.0)
    assert len({(row.spec, row.cell) for row in rows}) == SHORT
    assert len({row.spec for row in rows}) >= 5
    assert len({row.task for row in rows}) >= 3
    assert {row.method for row in rows} == {row.method for row in chosen(found, 10**6, 2.0)}, "no method is left out"
    assert sum(row.wall_s or 0 for row in rows) < 40
