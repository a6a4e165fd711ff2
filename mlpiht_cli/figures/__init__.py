"""Figures: pure functions of a table and a look. To add a kind: one file, one line here. Never imports torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from mlpiht_cli.figures.heatmap import heatmap
from mlpiht_cli.figures.table import FigureTable, Look

Draw = Callable[[FigureTable, Look], Figure]

FIGURES: dict[str, Draw] = {
    "heatmap": heatmap,
}

# Without dates in the files, the same table gives the same bytes.
_METADATA: dict[str, dict[str, None]] = {
    "pdf": {"CreationDate": None},
    "svg": {"Date": None},
}


def save(figure: Figure, stem: Path, formats: Sequence[str]) -> list[Path]:
    """Write ``stem.<format>`` for each format, and return the paths."""
    paths = [stem.with_name(f"{stem.name}.{kind}") for kind in formats]
    for path, kind in zip(paths, formats, strict=True):
        figure.savefig(path, dpi=200, bbox_inches="tight", metadata=_METADATA.get(kind, {}))
    return paths


__all__ = ["FIGURES", "Draw", "FigureTable", "Look", "save"]
