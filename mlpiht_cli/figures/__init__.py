"""Figures: pure functions of a table and a look. To add a kind: one file, one line here. Never imports torch."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mlpiht_cli.figures.table import FigureTable, Look
from mlpiht_cli.figures.text import comma_separated, markdown
from mlpiht_cli.system.files import write_atomic

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Draw = Callable[[FigureTable, Look], "Figure"]
Write = Callable[[FigureTable], str]


def _drawn_by(module: str, function: str) -> Draw:
    """A kind's function, imported when it draws: matplotlib is slow to load, and specs need the names alone."""

    def draw(data: FigureTable, look: Look) -> Figure:
        figure: Figure = getattr(importlib.import_module(f"mlpiht_cli.figures.{module}"), function)(data, look)
        return figure

    return draw


FIGURES: dict[str, Draw] = {
    "heatmap": _drawn_by("heatmap", "heatmap"),
    "std": _drawn_by("heatmap", "spread"),
    "difference": _drawn_by("heatmap", "difference"),
    "curve": _drawn_by("curve", "curve"),
    "scaling": _drawn_by("scaling", "scaling"),
    "setting": _drawn_by("setting", "setting"),
    "starts": _drawn_by("starts", "starts"),
    "success": _drawn_by("success", "success"),
}
MAPS = frozenset({"heatmap", "std", "difference"})
"""Kinds over m and s, which cannot show panels of several n or d."""
TEXTS: dict[str, dict[str, Write]] = {
    "table": {"md": markdown, "csv": comma_separated},
}
KINDS = (*FIGURES, *TEXTS)

# Without dates in the files, the same table gives the same bytes.
_METADATA: dict[str, dict[str, None]] = {
    "pdf": {"CreationDate": None},
    "svg": {"Date": None},
}


def save(figure: Figure, stem: Path, formats: Sequence[str], shown: str = "") -> list[Path]:
    """Write ``stem.<format>`` for each format, and return the paths; a PNG says in its text which values are shown."""
    paths = [stem.with_name(f"{stem.name}.{kind}") for kind in formats]
    for path, kind in zip(paths, formats, strict=True):
        metadata = {"Description": f"mlpiht {shown}"} if kind == "png" and shown else _METADATA.get(kind, {})
        figure.savefig(path, dpi=200, bbox_inches="tight", metadata=metadata)
    return paths


def save_kind(kind: str, data: FigureTable, look: Look, stem: Path, formats: Sequence[str]) -> list[Path]:
    """Write one kind of picture (``formats``) or table (Markdown and CSV), and return the paths.

    The figure's main kind gets the plain name, another kind its own after it.
    """
    stem = stem if kind == data.spec.kinds[0] else stem.with_name(f"{stem.name}-{kind}")
    if kind in FIGURES:
        return save(FIGURES[kind](data, look), stem, formats, data.fingerprint)
    paths = []
    for suffix, write in TEXTS[kind].items():
        paths.append(stem.with_name(f"{stem.name}.{suffix}"))
        write_atomic(paths[-1], write(data).encode())
    return paths


__all__ = ["FIGURES", "KINDS", "MAPS", "TEXTS", "Draw", "FigureTable", "Look", "save", "save_kind"]
