"""Figures: pure functions of a table and a look. To add a kind: one file, one line here. Never imports torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from mlpiht_cli.figures.curve import curve
from mlpiht_cli.figures.heatmap import difference, heatmap, spread
from mlpiht_cli.figures.scaling import scaling
from mlpiht_cli.figures.setting import setting
from mlpiht_cli.figures.starts import starts
from mlpiht_cli.figures.table import FigureTable, Look
from mlpiht_cli.figures.text import comma_separated, markdown
from mlpiht_cli.files import write_atomic

Draw = Callable[[FigureTable, Look], Figure]
Write = Callable[[FigureTable], str]

FIGURES: dict[str, Draw] = {
    "heatmap": heatmap,
    "std": spread,
    "difference": difference,
    "curve": curve,
    "scaling": scaling,
    "setting": setting,
    "starts": starts,
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


def save(figure: Figure, stem: Path, formats: Sequence[str]) -> list[Path]:
    """Write ``stem.<format>`` for each format, and return the paths."""
    paths = [stem.with_name(f"{stem.name}.{kind}") for kind in formats]
    for path, kind in zip(paths, formats, strict=True):
        figure.savefig(path, dpi=200, bbox_inches="tight", metadata=_METADATA.get(kind, {}))
    return paths


def save_kind(kind: str, data: FigureTable, look: Look, stem: Path, formats: Sequence[str]) -> list[Path]:
    """Write one kind of picture (``formats``) or table (Markdown and CSV), and return the paths.

    The figure's main kind gets the plain name, another kind its own after it.
    """
    stem = stem if kind == data.spec.kinds[0] else stem.with_name(f"{stem.name}-{kind}")
    if kind in FIGURES:
        return save(FIGURES[kind](data, look), stem, formats)
    paths = []
    for suffix, write in TEXTS[kind].items():
        paths.append(stem.with_name(f"{stem.name}.{suffix}"))
        write_atomic(paths[-1], write(data).encode())
    return paths


__all__ = ["FIGURES", "KINDS", "MAPS", "TEXTS", "Draw", "FigureTable", "Look", "save", "save_kind"]
