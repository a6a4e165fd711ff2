"""Figures: pure functions of a table and a look. A new kind is one file and one line here. Loads without torch."""

from __future__ import annotations

import importlib
import inspect
import logging
import re
import warnings
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from mlpiht_cli.errors import InputError, did_you_mean
from mlpiht_cli.figures.table import FigureTable, Look
from mlpiht_cli.figures.text import comma_separated, markdown
from mlpiht_cli.system.files import write_atomic

if TYPE_CHECKING:
    from matplotlib.figure import Figure

log = logging.getLogger("mlpiht")

Draw = Callable[[FigureTable, Look], "Figure"]
Write = Callable[[FigureTable], str]


def _drawn_by(module: str, function: str) -> Draw:
    """The function of a kind, imported when it draws: matplotlib loads slowly, and specs need only the names."""

    def draw(data: FigureTable, look: Look) -> Figure:
        figure: Figure = getattr(importlib.import_module(f"mlpiht_cli.figures.{module}"), function)(data, look)
        return figure

    return draw


def _written_by(module: str, function: str) -> Write:
    """The function that writes a table, imported when it writes."""

    def write(data: FigureTable) -> str:
        text: str = getattr(importlib.import_module(f"mlpiht_cli.figures.{module}"), function)(data)
        return text

    return write


FIGURES: dict[str, Draw] = {
    "heatmap": _drawn_by("heatmap", "heatmap"),
    "fitted": _drawn_by("heatmap", "fitted"),
    "std": _drawn_by("heatmap", "spread"),
    "difference": _drawn_by("heatmap", "difference"),
    "curve": _drawn_by("curve", "curve"),
    "tradeoff": _drawn_by("tradeoff", "tradeoff"),
    "ranks": _drawn_by("ranks", "ranks"),
    "scaling": _drawn_by("scaling", "scaling"),
    "setting": _drawn_by("setting", "setting"),
    "starts": _drawn_by("starts", "starts"),
    "shares": _drawn_by("shares", "shares"),
    "success": _drawn_by("success", "success"),
    "verdicts": _drawn_by("verdicts", "verdicts"),
}
MAPS = frozenset({"heatmap", "fitted", "std", "difference", "verdicts"})
"""Kinds with the axes m and s, which cannot show panels of several n or d."""
TEXTS: dict[str, dict[str, Write]] = {
    "table": {"md": markdown, "csv": comma_separated},
    "ranks": {"md": _written_by("ranks", "markdown"), "csv": _written_by("ranks", "comma_separated")},
}
"""Tables by kind; a kind may have a picture as well."""
KINDS = (*dict.fromkeys((*FIGURES, *TEXTS)),)

# Without dates in the files, the same table gives the same bytes.
_METADATA: dict[str, dict[str, None]] = {
    "pdf": {"CreationDate": None},
    "svg": {"Date": None},
}
_OPTIONS: dict[str, dict[str, Any]] = {"webp": {"pil_kwargs": {"lossless": True}}}


def function_of(draw: Callable[..., Any]) -> Callable[..., Any]:
    """The function behind an entry of :data:`FIGURES` or :data:`TEXTS`; its module is imported."""
    names = inspect.getclosurevars(draw).nonlocals
    found: Callable[..., Any] = draw
    if {"module", "function"} <= names.keys():
        found = getattr(importlib.import_module(f"mlpiht_cli.figures.{names['module']}"), names["function"])
    return found


def check_kinds(kinds: Iterable[str]) -> None:
    """Check that a spec asks for known kinds.

    Raises
    ------
    InputError
        One is unknown.
    """
    for kind in kinds:
        if kind not in KINDS:
            raise InputError(f"figure.kind '{kind}' is unknown{did_you_mean(kind, KINDS)}")


def save(figure: Figure, stem: Path, formats: Sequence[str], shown: str = "") -> list[Path]:
    """Write ``stem.<format>`` for each format, and return the paths; the text of a PNG holds ``shown``, a hash."""
    paths = [stem.with_name(f"{stem.name}.{kind}") for kind in formats]
    for path, kind in zip(paths, formats, strict=True):
        metadata = {"Description": f"mlpiht {shown}"} if kind == "png" and shown else _METADATA.get(kind, {})
        write_figure(figure, path, path, format=kind, metadata=metadata)
    return paths


def write_figure(figure: Figure, target: Path | BinaryIO, path: Path, **options: Any) -> None:
    """Write a figure in one format, without loss; ``path`` names it in warnings."""
    options |= _OPTIONS.get(options["format"], {})
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        figure.savefig(target, dpi=200, bbox_inches="tight", **options)
    _pass_on(told, path)


_GLYPH = re.compile(r"Glyph (\d+) ")


def _pass_on(told: Sequence[warnings.WarningMessage], path: Path) -> None:
    """Name the characters that the font of the figure lacks, in one line, and repeat other warnings."""
    codes = set()
    for one in told:
        if found := _GLYPH.match(str(one.message)):
            codes.add(int(found[1]))
        else:
            warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)
    if codes:
        log.warning("%s: its font lacks %s, drawn as boxes; use other names", path, " ".join(map(chr, sorted(codes))))


def save_kind(kind: str, data: FigureTable, look: Look, stem: Path, formats: Sequence[str]) -> list[Path]:
    """Write one kind of picture (``formats``) or table (Markdown and CSV) or both, and return the paths.

    The name of the file ends in the kind, except for the main kind of the figure.
    """
    stem = stem if kind == data.spec.kinds[0] else stem.with_name(f"{stem.name}-{kind}")
    paths = save(FIGURES[kind](data, look), stem, formats, data.fingerprint) if kind in FIGURES else []
    for suffix, write in TEXTS.get(kind, {}).items():
        paths.append(stem.with_name(f"{stem.name}.{suffix}"))
        write_atomic(paths[-1], write(data).encode())
    return paths


__all__ = [
    "FIGURES",
    "KINDS",
    "MAPS",
    "TEXTS",
    "Draw",
    "FigureTable",
    "Look",
    "check_kinds",
    "function_of",
    "save",
    "save_kind",
    "write_figure",
]
