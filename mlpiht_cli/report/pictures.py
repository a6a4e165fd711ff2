"""Pictures of the page: drawn as ``plot`` draws them, held in the page itself, and told in words."""

from __future__ import annotations

import base64
import csv
import io
import re
from dataclasses import dataclass
from pathlib import Path

from mlpiht_cli.figures import FIGURES, TEXTS, FigureTable, Look, function_of, write_figure
from mlpiht_cli.figures.table import PanelTable
from mlpiht_cli.report.places import summary

FORMAT = "webp"
"""Without loss it takes a third of the bytes of PNG, and every browser reads it."""
MOST_TOLD = 24
"""Most panels and methods whose medians a picture's text tells."""


@dataclass(frozen=True)
class Shown:
    """One picture or table of a view.

    Attributes
    ----------
    caption
        Title and note of the view, and what its kind shows.
    uri
        The picture as a data URI; empty for a table.
    alt
        What the picture shows, in words.
    size
        Width and height of the picture in CSS pixels.
    lines
        Cells of a table, its head first.
    """

    kind: str
    title: str
    caption: str
    uri: str = ""
    alt: str = ""
    size: tuple[int, int] = (0, 0)
    lines: tuple[tuple[str, ...], ...] = ()


def shown(data: FigureTable, look: Look) -> list[Shown]:
    """Pictures and tables of a view; kind ``table`` is left to the tables of places, which hold its numbers."""
    found = []
    for kind in data.spec.kinds:
        caption = f"{_sentence(kind)} {data.note[:1].upper()}{data.note[1:]}."
        if kind in FIGURES:
            found.append(_picture(kind, data, look, caption))
        if kind in TEXTS and kind in FIGURES:
            text = TEXTS[kind]["csv"](data)
            lines = tuple(tuple(line) for line in csv.reader(io.StringIO(text)))
            found.append(Shown(kind, data.title, caption, lines=lines))
    return found


def _picture(kind: str, data: FigureTable, look: Look, caption: str) -> Shown:
    figure, out = FIGURES[kind](data, look), io.BytesIO()
    write_figure(figure, out, Path(f"{data.name}-{kind}"), format=FORMAT)
    content = out.getvalue()
    uri = f"data:image/{FORMAT};base64,{base64.b64encode(content).decode()}"
    return Shown(kind, data.title, caption, uri, alternative(kind, data), _size(content))


def _size(content: bytes) -> tuple[int, int]:
    """Size of a picture on the page: half its pixels, so that it is sharp on fine screens."""
    from PIL import Image

    with Image.open(io.BytesIO(content)) as image:
        return image.width // 2, image.height // 2


def _sentence(kind: str) -> str:
    """What a kind shows: the first sentence of the docstring of its function."""
    text = (function_of(FIGURES[kind]).__doc__ or kind) if kind in FIGURES else f"{kind}."
    first = re.split(r"(?<=\.)\s", " ".join(text.split()), maxsplit=1)[0]
    return first.replace("``", "").replace("`", "")


def alternative(kind: str, data: FigureTable) -> str:
    """What a picture shows, in words: kind, measure, axes, and what every method reaches in every panel."""
    labels = ", ".join(dict.fromkeys(panel.facts.label for panel in data.panels))
    told = [f"{kind} of {labels}: {data.title}. {_sentence(kind)}"]
    told += [f"{panel.title}: {', '.join(_axes(panel))}." for panel in _alike(data.panels)]
    typical = [_typical(panel) for panel in data.panels]
    if sum(map(len, typical)) > MOST_TOLD:
        return " ".join([*told, f"Methods: {', '.join(data.methods)}. The tables below hold the numbers."])
    for panel, own in zip(data.panels, typical, strict=True):
        what = "Most frequent words" if panel.facts.words else "Medians"
        told.append(f"{what} in {panel.title}: {', '.join(own) or 'no results yet'}.")
    return " ".join(told)


def _alike(panels: list[PanelTable]) -> list[PanelTable]:
    """The first panel, and those whose axes differ from it; of many, the first alone."""
    different = [panel for panel in panels[1:] if _axes(panel) != _axes(panels[0])]
    return [*panels[:1], *(different if len(different) < MOST_TOLD // 4 else [])]


def _axes(panel: PanelTable) -> list[str]:
    axes = ((name, [one for one in getattr(panel, name) if one is not None]) for name in ("m", "s", "n", "d"))
    return [f"{name} {values[0]}{f' to {values[-1]}' if len(values) > 1 else ''}" for name, values in axes if values]


def _typical(panel: PanelTable) -> list[str]:
    """Median, or most frequent word, of every method that has one, over all places and seeds."""
    found = []
    for method in panel.methods:
        rows = [row for key, row in panel.rows.items() if key.label == method]
        middle = summary(rows, panel.metric).median
        found += [] if middle is None else [f"{method} {middle}{panel.facts.unit}"]
    return found
