"""Maps of words: which one a cell shows, in which colour and letter, against the rows they are made from."""

from __future__ import annotations

from pathlib import Path

import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.patches import Rectangle

from mlpiht_cli.analysis.places import RowKey
from mlpiht_cli.errors import InputError
from mlpiht_cli.figures import FIGURES, MAPS, FigureTable, Look, save
from mlpiht_cli.figures.read import figure_tables
from mlpiht_cli.figures.table import PanelTable
from mlpiht_cli.records.rows import Row
from mlpiht_cli.records.table import to_csv
from mlpiht_cli.specs.expand import expand
from mlpiht_cli.specs.figure import FigureSpec
from mlpiht_cli.specs.read import load_spec
from tests.hand import TINY

SAID = {
    (1, 3): ["applies"] * 3,
    (1, 4): ["undecided", "fails", "undecided"],
    (1, 5): ["fails", "undecided", "applies"],
    (2, 3): ["least squares only"] * 3,
    (2, 4): ["fails"] * 3,
}


def row(said: str | None, status: str = "ok") -> Row:
    base = {"cell": "c", "task": "t", "method": "eigenvalues", "depth": 1, "m": 1, "s": 3, "seed": 0, "params": {}}
    measures = {} if said is None else {"verdict": said}
    return Row.model_validate({**base, "metric": "psnr", "value": 1.0, "status": status, "measures": measures})


def table(said: dict[tuple[int, int], list[str]], metric: str = "verdict") -> FigureTable:
    """Cells of m = 1, 2 and s = 3, 4, 5; that of (2, 5) is empty."""
    rows = {
        RowKey("p", "eigenvalues", m, s, seed): row(one)
        for (m, s), words in said.items()
        for seed, one in enumerate(words)
    }
    panel = PanelTable("p", "a panel", ["eigenvalues"], [1, 2], [3, 4, 5], [0, 1, 2], metric, None, rows)
    spec = FigureSpec(label="F", kind="verdicts", metric=metric)
    return FigureTable("fig", "Title", spec, "mean over 3 seeds", [panel])


def texts(axes: Axes) -> dict[tuple[float, float], str]:
    """Text of each cell by its row and column."""
    return {(text.get_position()[1], text.get_position()[0]): text.get_text() for text in axes.texts}


def faces(axes: Axes) -> dict[tuple[float, float], str]:
    """Colour of each cell by its row and column."""
    boxes = [box for box in axes.patches if isinstance(box, Rectangle)]
    return {(box.get_y() + 0.5, box.get_x() + 0.5): to_hex(box.get_facecolor()) for box in boxes}


def test_a_word_keeps_its_colour_in_a_figure_that_lacks_others() -> None:
    (everything, *_), (alone, *_) = (
        FIGURES["verdicts"](table(one), Look()).axes for one in (SAID, {(2, 4): ["fails"] * 3})
    )
    assert faces(alone)[1, 1] == faces(everything)[1, 1] != faces(everything)[0, 0]


def test_a_cell_shows_the_most_frequent_word_and_its_share() -> None:
    figure = FIGURES["verdicts"](table(SAID), Look())
    (axes,) = figure.axes
    assert texts(axes) == {(0, 0): "A", (0, 1): "U\n2/3", (0, 2): "F\n1/3", (1, 0): "L", (1, 1): "F"}
    colours = faces(axes)
    assert colours[0, 2] == colours[1, 1], "one word has one colour"
    assert len({colours[place] for place in ((0, 0), (0, 1), (1, 0), (1, 1))}) == 4
    legend = {text.get_text(): patch for text, patch in zip(*map(list, parts(figure)), strict=True)}
    assert list(legend) == ["A: applies", "L: least squares only", "U: undecided", "F: fails", "no result yet"]
    assert to_hex(legend["F: fails"].get_facecolor()) == colours[1, 1]
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["3", "4", "5"], "columns are s"
    assert axes.yaxis_inverted(), "rows are m, the least at the top"


def parts(figure: object) -> tuple[list[object], list[object]]:
    (legend,) = figure.legends  # type: ignore[attr-defined]
    return legend.get_texts(), legend.get_patches()


def test_a_tie_is_the_worse_word() -> None:
    pairs = {(1, 3): ["applies", "fails"], (1, 4): ["undecided", "applies"]}
    data = table(pairs)
    panel = PanelTable(**{**vars(data.panels[0]), "seeds": [0, 1]})
    (axes,) = FIGURES["verdicts"](FigureTable(**{**vars(data), "panels": [panel]}), Look()).axes
    assert texts(axes) == {(0, 0): "F\n1/2", (0, 1): "U\n1/2"}


def test_other_words_stand_in_the_order_of_the_alphabet_with_letters_of_their_own() -> None:
    figure = FIGURES["verdicts"](table({(1, 3): ["stays"] * 3, (1, 4): ["stalls"] * 3, (1, 5): ["grows"] * 3}), Look())
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels[:3] == ["G: grows", "Stal: stalls", "Stay: stays"]


def test_cells_without_words_are_marked_as_in_a_heatmap() -> None:
    data = table(SAID)
    rows = dict(data.panels[0].rows)
    rows[RowKey("p", "eigenvalues", 1, 3, 0)] = row(None, status="skipped")
    rows[RowKey("p", "eigenvalues", 1, 4, 0)] = row("applies", status="diverged")
    rows[RowKey("p", "eigenvalues", 2, 3, 0)] = row(None)
    del rows[RowKey("p", "eigenvalues", 2, 4, 0)]
    panel = PanelTable(**{**vars(data.panels[0]), "rows": rows})
    figure = FIGURES["verdicts"](FigureTable(**{**vars(data), "panels": [panel]}), Look())
    assert texts(figure.axes[0]) == {(0, 0): "–", (0, 2): "F\n1/3"}  # noqa: RUF001
    words = [text.get_text() for text in figure.legends[0].get_texts()]
    assert words[3:] == ["F: fails", "no result yet", words[5], "failed or diverged"]
    partial = FIGURES["verdicts"](FigureTable(**{**vars(data), "panels": [panel]}), Look(partial=True))
    assert texts(partial.axes[0])[1, 1] == "F", "two seeds have results"


def test_what_has_no_words_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no row has a word as its psnr"):
        FIGURES["verdicts"](table(SAID, metric="psnr"), Look())
    many = {(1, 3): ["a", "b", "c"], (1, 4): ["d", "e", "f"], (1, 5): ["g"] * 3}
    with pytest.raises(InputError, match="7 different words as verdict are more than 6 colours"):
        FIGURES["verdicts"](table(many), Look())
    sized = PanelTable(**{**vars(table(SAID).panels[0]), "n": [10, 20]})
    with pytest.raises(InputError, match="varies n or d"):
        FIGURES["verdicts"](FigureTable(**{**vars(table(SAID)), "panels": [sized]}), Look())
    assert "verdicts" in MAPS
    assert save(FIGURES["verdicts"](table(SAID), Look(paper=True)), tmp_path / "fig", ["png", "pdf"])[1].exists()


def test_words_are_read_from_a_table_and_date_its_pictures(tmp_path: Path) -> None:
    path = tmp_path / "tiny.yaml"
    path.write_text(TINY.replace("label: Tiny", "label: Tiny, kind: verdicts, metric: verdict"))

    def shown(said: str) -> FigureTable:
        rows = []
        for i, p in enumerate(expand(load_spec(path)).points):
            settings = {"steps": 4} if p.method == "iht" else {"epochs": 2}
            place = {"panel": p.panel, "task": p.task, "method": p.method, "m": p.m, "s": p.s, "seed": p.seed}
            more = {"params": {"method": settings, "task": {"n": 60, "d": 6}}, "cell": f"c{i}", "depth": 1}
            rows.append(row(said).model_copy(update={**place, **more}))
        (tmp_path / "tiny.csv").write_text(to_csv(rows))
        return figure_tables(str(path), "paper", tmp_path)[0]

    assert shown("applies").fingerprint == shown("applies").fingerprint != shown("fails").fingerprint
    axes = FIGURES["verdicts"](shown("fails"), Look()).axes
    assert [sorted(set(texts(one).values())) for one in axes] == [["F"], ["F"]], "one map for each method"
