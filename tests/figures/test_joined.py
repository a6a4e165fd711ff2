"""Tables joined by hand: what tells their rows apart is drawn apart, and never the last row in place of another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlpiht_cli.analysis.tables import placed
from mlpiht_cli.errors import InputError
from mlpiht_cli.figures.read import figure_tables
from mlpiht_cli.records.rows import Row
from mlpiht_cli.records.table import read_csv, to_csv
from mlpiht_cli.specs.expand import expand
from mlpiht_cli.specs.read import load_spec
from mlpiht_cli.specs.schema import Entry

Run = Callable[..., Any]
TABLE = Path("results/tiny.csv")
BY_HAND = """
spec_version: 1
name: hand
title: Hand
source: test
seeds: [0]
methods:
  - {name: iht}
panels:
  - {name: p, task: {name: tabular, path: a.csv}, m: [2], s: [2]}
figure: {label: Hand}
"""


def swept(mlpiht: Run, spec: str, *words: str) -> list[Row]:
    """Rows of a sweep in a results folder of its own."""
    assert mlpiht("sweep", spec, "--out", "other", *words).code == 0
    rows = read_csv(Path(f"other/{spec}.csv"))
    Path(f"other/{spec}.csv").unlink()
    return rows


@pytest.mark.parametrize(
    ("settings", "variants"),
    [
        (("task.noise=0", "task.noise=1"), ["iht task.noise=0.0", "iht task.noise=1.0"]),
        (("task.signs=positive", "task.signs=mixed"), ["iht task.signs=positive", "iht task.signs=mixed"]),
        (("task.d=3", "task.d=5"), None),
        (("method.steps=1", "method.steps=2"), ["iht steps=1", "iht steps=2"]),
    ],
)
def test_two_tables_of_one_sweep_are_drawn_apart(
    mlpiht: Run, tiny_spec: str, settings: tuple[str, str], variants: list[str] | None
) -> None:
    Path("tiny.yaml").write_text(tiny_spec)
    parts = [swept(mlpiht, "tiny", "--set", one, "--only", "method=iht") for one in settings]
    Path("joined.csv").write_text(to_csv([row for part in parts for row in part]))
    if variants is None:  # sizes are axes, which a map cannot show
        refused = mlpiht("plot", "joined.csv")
        assert refused.code == 2
        assert "varies n or d" in refused.err
        return
    assert mlpiht("plot", "joined.csv", "--json").json["missing"] == 0
    (table,) = figure_tables("joined.csv", "paper", Path("results"))
    assert table.methods == variants
    for label, part in zip(variants, parts, strict=True):
        for panel in table.panels:
            for (i, m), (j, s) in ((one, other) for one in enumerate(panel.m) for other in enumerate(panel.s)):
                own = [row.value for row in part if (row.panel, row.m, row.s) == (panel.name, m, s)]
                assert panel.grid(label, partial=False).mean[i, j] == np.mean([value for value in own if value])


def test_depths_and_tasks_are_drawn_apart(tmp_path: Path, tiny_spec: str, mlpiht: Run) -> None:
    Path("tiny.yaml").write_text(tiny_spec)
    rows = swept(mlpiht, "tiny", "--only", "method=iht,panel=a")
    deep = [row.model_copy(update={"depth": 2, "cell": f"d{row.cell}"}) for row in rows]
    elsewhere = [row.model_copy(update={"task": "mnist", "cell": f"t{row.cell}"}) for row in rows]
    Path("joined.csv").write_text(to_csv([*rows, *deep]))
    assert figure_tables("joined.csv", "paper", tmp_path)[0].methods == ["iht depth=1", "iht depth=2"]
    Path("joined.csv").write_text(to_csv([*rows, *elsewhere]))
    assert figure_tables("joined.csv", "paper", tmp_path)[0].methods == ["iht task=planted", "iht task=mnist"]


def test_a_cell_that_is_there_twice_is_told(mlpiht: Run, tiny_spec: str) -> None:
    Path("tiny.yaml").write_text(tiny_spec)
    mlpiht("sweep", "tiny")
    rows = read_csv(TABLE)
    TABLE.write_text(to_csv([*rows, *rows[:3]]))
    for source in ("tiny", "results/tiny.csv"):
        result = mlpiht("plot", source, "--json")
        assert result.json["missing"] == 0
        assert "results/tiny.csv: 3 row(s) are there twice; the last one counts" in result.err


def test_a_setting_that_the_spec_leaves_open_may_not_differ(mlpiht: Run, tiny_spec: str) -> None:
    """Rows of other seeds have no place in common, and a mean over both would be of neither."""
    Path("tiny.yaml").write_text(tiny_spec)
    rows = [
        *swept(mlpiht, "tiny", "--only", "seed=0"),
        *swept(mlpiht, "tiny", "--only", "seed=1", "--set", "task.noise=1"),
    ]
    TABLE.parent.mkdir(exist_ok=True)
    TABLE.write_text(to_csv(rows))
    result = mlpiht("plot", "tiny")
    assert result.code == 2
    assert (
        "results/tiny.csv: the rows of panel 'a' and method 'iht' differ in task.noise (0.0 and 1.0), "
        "which the spec leaves open" in result.err
    )
    assert not Path("results/figures").exists()


def test_the_content_of_a_file_tells_rows_apart(mlpiht: Run) -> None:
    """The path of the table is the same in both rows; its checksum is not."""
    Path("hand.yaml").write_text(BY_HAND)
    rows = []
    for sign in (1, -1):
        Path("a.csv").write_text("a,y\n" + "".join(f"{i},{sign * i * i}\n" for i in range(30)))
        rows += swept(mlpiht, "hand")
    assert len({row.params["data"]["sha256"] for row in rows}) == 2
    assert rows[0].params["task"] == rows[1].params["task"]
    Path("joined.csv").write_text(to_csv(rows))
    variants = figure_tables("joined.csv", "paper", Path("results"))[0].methods
    assert sorted(variants) == sorted(f"iht data.sha256={row.params['data']['sha256'][:8]}" for row in rows)


def test_cells_that_nothing_tells_apart_are_refused(mlpiht: Run, tiny_spec: str) -> None:
    Path("tiny.yaml").write_text(tiny_spec)
    mlpiht("sweep", "tiny", "--only", "panel=a,method=iht,m=2,s=2,seed=0")
    (row,) = read_csv(TABLE)
    Path("joined.csv").write_text(to_csv([row, row.model_copy(update={"cell": "other"})]))
    result = mlpiht("plot", "joined.csv")
    assert result.code == 2
    assert "joined.csv: rows 2 and 3 have one place in the figure and differ in the content of their data" in result.err


@pytest.mark.parametrize(
    ("changed", "differs"),
    [
        ({"task": {"n": 3000}}, "task.n (60 and 3000)"),
        ({"task": {"d": 9}}, "task.d (6 and 9)"),
        ({"task": {"k": 4}}, "task.k (1 and 4)"),
        ({"data": {"unofficial_x": "ab" * 32}}, "data.unofficial_x"),
    ],
)
@pytest.mark.parametrize("of", ["seed", "method"])
def test_rows_of_different_data_are_not_compared(
    mlpiht: Run, tiny_spec: str, changed: dict[str, dict[str, object]], differs: str, of: str
) -> None:
    """A mean over seeds of two sizes is of neither; a difference of methods on two data sets says nothing of them."""
    Path("tiny.yaml").write_text(tiny_spec)
    mlpiht("sweep", "tiny")

    def other(row: Row) -> Row:
        params = {**row.params, **{part: {**row.params.get(part, {}), **more} for part, more in changed.items()}}
        return row.model_copy(update={"params": params, "cell": row.cell[::-1]})

    rows, chosen = read_csv(TABLE), (lambda row: row.seed == 1) if of == "seed" else (lambda row: row.method == "imp")
    expansion = expand(load_spec(Path("tiny.yaml")))
    assert len(placed(expansion, rows)) == 16
    mixed = [other(row) if chosen(row) else row for row in rows]
    open_task = {"task": Entry(name="planted")}  # a spec that gives no setting of its task
    grids = tuple(replace(grid, panel=grid.panel.model_copy(update=open_task)) for grid in expansion.grids)
    with pytest.raises(InputError) as refused:
        placed(replace(expansion, grids=grids), mixed, "t.csv")
    assert differs in str(refused.value)
    assert "which the spec leaves open" in str(refused.value)


@pytest.mark.parametrize("name", ["n", "d", "k"])
def test_methods_on_different_data_are_drawn_apart(mlpiht: Run, tiny_spec: str, name: str) -> None:
    Path("tiny.yaml").write_text(tiny_spec)
    mlpiht("sweep", "tiny")
    rows = []
    for row in read_csv(TABLE):
        size = 8 if row.method == "imp" else row.params["task"][name]
        task = {**row.params["task"], name: size}
        rows.append(row.model_copy(update={"params": {**row.params, "task": task}, name: size}))
    Path("joined.csv").write_text(to_csv(rows))
    (table,) = figure_tables("joined.csv", "paper", Path("results"))
    assert [label.split()[-1].rpartition("=")[0] for label in table.methods] == [f"task.{name}"] * 2
    assert mlpiht("plot", "joined.csv").code == 0


def test_characters_that_the_font_lacks_are_named_in_one_line(mlpiht: Run, tiny_spec: str) -> None:
    Path("tiny.yaml").write_text(tiny_spec)
    mlpiht("sweep", "tiny", "--only", "panel=a")
    rows = [row.model_copy(update={"panel": "\u6df1\u3055"}) for row in read_csv(TABLE)]
    Path("joined.csv").write_text(to_csv(rows))
    result = mlpiht("plot", "joined.csv", "--format", "png")
    assert result.code == 0
    assert result.err.count("joined.png: its font lacks \u3055 \u6df1, drawn as boxes; use other names") == 1
    assert "UserWarning" not in result.err
