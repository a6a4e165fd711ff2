"""Maps over hidden width m (rows) and budget s (columns) of a measure that is a word, such as a verdict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from mlpiht_cli.analysis.scores import word
from mlpiht_cli.core.metric import metric
from mlpiht_cli.errors import InputError
from mlpiht_cli.figures.heatmap import dress, explain, mark, title_of
from mlpiht_cli.figures.table import FigureTable, Look, PanelTable, state_of
from mlpiht_cli.records.rows import Row

CELL = 0.42  # inches
FACES = ("#009E73", "#56B4E9", "#F0E442", "#D55E00", "#CC79A7", "#E69F00")
"""Okabe and Ito's colours, which differ for the colour-blind as well; the letters in the cells differ in print."""


_Signs = tuple[dict[str, str], dict[str, str]]
"""Letter and colour of each word."""


class _Cell(NamedTuple):
    """The most frequent word of the seeds, and how many of them say it."""

    word: str
    votes: int
    seeds: int


def verdicts(data: FigureTable, look: Look) -> Figure:
    """The word that most seeds have, as the colour and the first letter of a cell: a row for each method.

    The metric is a measure that is a word. Where the seeds do not agree, the cell has the share that says so; of words
    that are as frequent, the worse one is shown, by the order of the legend. That is the order of the metric, or else
    the alphabet's. Cells without results are marked as in ``heatmap``.

    Raises
    ------
    InputError
        A panel has several n or d, no row has a word, or there are more words than colours.
    """
    words = _words(data)
    letters, faces = _letters(words), _faces(words, data)
    widths = [max(2.4, CELL * len(panel.s)) for panel in data.panels]
    height = max(1.8, CELL * max(len(panel.m) for panel in data.panels))
    size = (sum(widths) + 0.9 * len(widths) + 0.2, (height + 0.85) * len(data.methods) + 1.0)
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(len(data.methods), len(data.panels), squeeze=False, width_ratios=widths)
    states: set[str] = set()
    for (i, method), (j, panel) in product(enumerate(data.methods), enumerate(data.panels)):
        if method not in panel.methods:
            grid[i, j].set_axis_off()
            continue
        states |= _draw(grid[i, j], panel, method, (letters, faces), look)
        dress(grid[i, j], panel, title_of(method, panel, data))
    if not look.paper:
        note = data.note.replace("mean over", "most frequent of")
        figure.suptitle(f"{data.title}\n{note}", fontsize=11, parse_math=False)
    handles = [Patch(facecolor=faces[one], edgecolor="0.3", label=f"{letters[one]}: {one}") for one in words]
    explain(figure, handles, states)
    return figure


def _words(data: FigureTable) -> list[str]:
    """Every word of the rows, the best first; those that the metric names come before others."""
    found = {one for panel in data.panels for row in panel.rows.values() if (one := word(row, panel.metric))}
    known = list(dict.fromkeys(one for panel in data.panels for one in metric(panel.metric).words))
    words = [*(one for one in known if one in found), *sorted(found - {*known})]
    names = " or ".join(dict.fromkeys(panel.metric for panel in data.panels))
    if not words:
        raise InputError(
            f"{data.name}: no row has a word as its {names}, which verdicts show; draw a heatmap of numbers"
        )
    if len(words) > len(FACES):
        raise InputError(f"{data.name}: {len(words)} different words as {names} are more than {len(FACES)} colours")
    return words


def _faces(words: Sequence[str], data: FigureTable) -> dict[str, str]:
    """Colour of each word: of those that the metric names always the same, whichever of them are there."""
    known = dict.fromkeys(one for panel in data.panels for one in metric(panel.metric).words)
    order = [*known, *(one for one in words if one not in known)]
    places = [order.index(one) for one in words]
    return {
        one: FACES[place if max(places) < len(FACES) else k]
        for k, (one, place) in enumerate(zip(words, places, strict=True))
    }


def _letters(words: Sequence[str]) -> dict[str, str]:
    """The shortest beginning of each word that no other has, in capitals first."""
    found = {}
    for one in words:
        others = [other for other in words if other != one]
        length = next((k for k in range(1, len(one)) if not any(o.startswith(one[:k]) for o in others)), len(one))
        found[one] = one[:length].capitalize()
    return found


def _draw(axes: Axes, panel: PanelTable, method: str, signs: _Signs, look: Look) -> set[str]:
    """Draw the cells of a method, and return their states."""
    axes.set_xlim(-0.5, len(panel.s) - 0.5)
    axes.set_ylim(len(panel.m) - 0.5, -0.5)
    states, (letters, faces), size = set(), signs, panel.only_size
    for (i, m), (j, s) in product(enumerate(panel.m), enumerate(panel.s)):
        rows = panel.at(method, m, s, size)
        cell = _cell(rows, panel.metric, [*letters])
        state = state_of(rows, look.partial)
        states.add(state := "bad" if state == "ok" and cell is None else state)
        if state != "ok" or cell is None:
            mark(axes, (i, j), state)
            continue
        face = faces[cell.word]
        axes.add_patch(Rectangle((j - 0.5, i - 0.5), 1, 1, facecolor=face, edgecolor="white", linewidth=0.5))
        split = "" if cell.votes == cell.seeds else f"\n{cell.votes}/{cell.seeds}"
        axes.text(j, i, letters[cell.word] + split, ha="center", va="center", fontsize=7, linespacing=0.9)
    return states


def _cell(rows: Sequence[Row | None], name: str, words: Sequence[str]) -> _Cell | None:
    """What a cell shows; None if a finished row has no word."""
    found = [word(row, name) for row in rows if row is not None and row.status == "ok"]
    said = [one for one in found if one is not None]
    if not said or len(said) < len(found):
        return None
    counts = Counter(said)
    most = max(words, key=lambda one: (counts[one], words.index(one)))
    return _Cell(most, counts[most], len(said))
