"""What cells of one seed share: their inputs, in both forms, and never more than one of each."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest
import torch

from mlpiht_cli import plan
from mlpiht_cli.core.columns import COLUMNS
from mlpiht_cli.engine.runner import Runner
from mlpiht_cli.plan.cells import Cell, Job
from mlpiht_cli.rng import Streams
from mlpiht_cli.specs.expand import Point
from mlpiht_cli.tasks.planted import Planted

CPU = torch.device("cpu")
OWN = {"wall_s", "cpu_s", "peak_rss_mb", "started_utc"}


def cell(
    m: int, s: int, seed: int = 0, method: str = "iht", task: str = "planted", depth: int = 1, **sets: Any
) -> Cell:
    settings = {"task.n": 300, "task.d": 7, **{f"task.{name}": value for name, value in sets.items()}}
    return plan.single_cell(Point("a", task, method, depth, m, s, seed), settings)


def test_cells_of_a_seed_share_their_inputs_and_others_do_not() -> None:
    runner = Runner(CPU)
    first, wider, deeper = (runner.problem(one) for one in (cell(3, 5), cell(9, 20), cell(9, 20, depth=2)))
    assert wider.x is first.x
    assert deeper.x is first.x
    assert not torch.equal(first.y, wider.y)
    assert torch.equal(first.x, Planted(n=300, d=7).build(cell(3, 5).axes, Streams(0)).x)
    other = runner.problem(cell(3, 5, seed=1))
    assert not torch.isclose(other.x, first.x).any()
    longer = runner.problem(cell(3, 5, seed=1, n=400))
    assert longer.x is not other.x
    assert longer.x.shape == (400, 7)


@pytest.mark.parametrize(
    "following", [{"seed": 1}, {"n": 301}, {"noise": 0.1}, {"inputs": "sphere"}, {"task": "gaussian_sparse"}]
)
def test_old_inputs_are_freed_before_new_ones_are_drawn(
    monkeypatch: pytest.MonkeyPatch, following: dict[str, Any]
) -> None:
    runner = Runner(CPU)
    list(runner.run(Job((cell(3, 5),))))
    held = runner.problem(cell(3, 5))
    old = [weakref.ref(tensor) for tensor in (held.x, held.columns)]
    del held
    drawn, alive = Streams.planted_inputs, []

    def watched(streams: Streams, n: int, d: int, *kind: Any) -> torch.Tensor:
        gc.collect()
        alive.append([one() is not None for one in old])
        return drawn(streams, n, d, *kind)

    monkeypatch.setattr(Streams, "planted_inputs", watched)
    runner.problem(cell(3, 5, **following))
    assert alive == [[False, False]]


def test_a_method_has_no_transposed_inputs_of_another() -> None:
    """It may not need them, and its memory is its own; fits of one method share them."""
    runner, kept = Runner(CPU), []
    for one in (cell(3, 5), cell(3, 6), cell(3, 6, method="zero"), cell(3, 7)):
        list(runner.run(Job((one,))))
        kept.append(COLUMNS._kept)
    assert kept[0] is not None
    assert kept[1] is kept[0]
    assert kept[2] is None
    assert kept[3] is not None


def rows(runners: list[Runner], cells: list[Cell]) -> list[dict[str, Any]]:
    made = [row for runner, one in zip(runners, cells, strict=True) for row, _ in runner.run(Job((one,)))]
    return [{name: value for name, value in row.flat().items() if name not in OWN} for row in made]


def test_rows_do_not_depend_on_what_was_shared() -> None:
    cells = [
        cell(m, s, seed, method, depth=depth)
        for seed in (0, 1, 0)
        for m, s, depth in ((3, 5, 1), (9, 20, 2), (9, 20, 1))
        for method in ("iht", "imp")
    ]
    one = Runner(CPU)
    assert rows([one] * len(cells), cells) == rows([Runner(CPU) for _ in cells], cells)
