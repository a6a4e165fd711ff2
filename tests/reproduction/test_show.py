"""`make all-figures PROFILE=paper`: what is there is drawn and judged, what is missing is listed, nothing is run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from experiments import show
from mlpiht_cli.engine.runner import Runner

Run = Callable[..., Any]


@pytest.fixture
def half_done(mlpiht: Run, tiny_spec: str, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Eight cells of the paper profile done, eight missing; from here on, running a cell is an error."""
    Path("tiny.yaml").write_text(tiny_spec.replace("paper: {}", "laptop: {m: [2]}\n  paper: {}"))
    assert mlpiht("sweep", "tiny", "--only", "seed=0,s=2").code == 0
    assert mlpiht("sweep", "tiny", "--only", "method=iht,s=5").code == 0

    def refuse(*_: object) -> Iterator[Any]:
        raise AssertionError("a cell is run")

    monkeypatch.setattr(Runner, "run", refuse)
    return mlpiht


def test_what_is_there_is_drawn_and_what_is_missing_is_listed(
    half_done: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert show.main(["tiny"]) == 0
    out = capsys.readouterr().out
    assert Path("results/figures/tiny.png").exists()
    assert "tiny (paper): 16 cells, 8 left" in out
    *_, iht, imp, why_imp, why_iht = [" ".join(line.split()) for line in out.splitlines()]
    assert (iht, imp) == ("a iht 6 ok, 2 todo", "a imp 2 ok, 6 todo")
    assert why_iht.startswith("todo x2 (a, iht): no row")
    assert why_imp.startswith("todo x6 (a, imp): no row")


def test_a_laptop_table_stands_in_for_the_papers_and_says_so(
    half_done: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("results/tiny.csv").rename("results/tiny-laptop.csv")
    assert show.main(["tiny"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("tiny: no paper table yet; this is the laptop profile\n")
    assert Path("results/figures/tiny-laptop.png").exists()
    assert not Path("results/figures/tiny.png").exists()


def test_no_table_at_all_is_one_line(half_done: Run, capsys: pytest.CaptureFixture[str]) -> None:
    Path("results/tiny.csv").unlink()
    assert show.main(["tiny"]) == 0
    assert capsys.readouterr().out == "tiny: no paper table yet, and no laptop table: nothing to show\n"


def test_what_cannot_be_drawn_is_an_error_and_the_next_one_is_shown(
    half_done: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    table = Path("results/tiny.csv")
    Path("other.yaml").write_text(Path("tiny.yaml").read_text().replace("name: tiny", "name: other"))
    Path("results/other.csv").write_text(table.read_text().replace(",ok,", ",fine,"))
    assert show.main(["other", "tiny"]) == 2
    assert "tiny (paper): 16 cells, 8 left" in capsys.readouterr().out


def test_left_tells_of_what_is_left_alone(half_done: Run) -> None:
    assert half_done("status", "tiny", "--left", "--set", "task.n=60").out.count("todo") == 2
    groups = half_done("status", "tiny", "--left", "--json").json["groups"]
    assert [(group["label"], group["todo"]) for group in groups] == [("iht", 2), ("imp", 6)]
    assert half_done("status", "tiny", "--left", "--profile", "smoke").out.startswith("tiny (smoke): 8 cells, 8 left")
