"""Samples that a method needs (n*) against the dimension: logarithmic axes, fitted and reference slopes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mlpiht_cli.analysis.scaling import Curve, Scaling
from mlpiht_cli.analysis.scores import finite_number
from mlpiht_cli.errors import InputError, did_you_mean
from mlpiht_cli.figures.lines import DASHES, Line, lines, log_ticks, style
from mlpiht_cli.figures.table import FigureTable, Look
from mlpiht_cli.specs.figure import Slope

SHIFT = 1.012
"""Factor in d between neighbouring lines, so that bars do not hide each other."""
OPEN = {"markersize": 8, "fillstyle": "none", "linestyle": "none"}


def scaling(data: FigureTable, look: Look) -> Figure:
    """Samples needed, n*, against the features d, both logarithmic, with the fitted slope of each line.

    n* is the least n from which on the median over the seeds stays beyond the level, interpolated in log n. There is a
    line for each method and each value of the other axes; bars are bootstrap intervals over the seeds (95 %). Panels of
    one title form one line, with a point at the d of each. An open triangle means that n* is outside the grid of n:
    above the largest one (up) or not above the least one (down). The slope leaves such points out.

    Raises
    ------
    InputError
        The figure has no level, a panel does not vary n, or a reference exponent is that of no line.
    """
    if data.spec.level is None:
        raise InputError("figure.level is missing: scaling needs the level of the metric that n* is the n of")
    figure = Figure(figsize=(6.8, 4.8), layout="constrained")
    axes = figure.subplots()
    every = dict(_curves(data))
    found = {label: Scaling(tuple(own), data.spec.level, not data.falling) for label, own in every.items() if own}
    _check_slopes(data, [*every])
    for i, (label, one) in enumerate(found.items()):
        _draw(axes, one, label, style(i), SHIFT ** (i - (len(found) - 1) / 2))
    dims = sorted({curve.d for one in found.values() for curve in one.curves})
    if not dims:
        raise InputError(f"{data.name}: scaling has no results yet")
    axes.set_yscale("log")
    axes.autoscale(enable=False)
    _censored(axes, [*found.values()])
    _references(axes, data, dims, found)
    log_ticks(axes, dims)
    axes.set_xlim(dims[0] / 1.15, dims[-1] * 1.15)
    axes.set_xlabel("features d")
    sign = "≤" if data.falling else "≥"
    axes.set_ylabel(f"samples n* with {data.panels[0].facts.label} {sign} {data.spec.level:g}")
    axes.grid(color="0.9", linewidth=0.6, which="major")
    figure.legend(loc="outside lower center", ncols=2, fontsize=8, frameon=False)
    if not look.paper:
        note = data.note.replace("mean over", "bootstrap over")
        axes.set_title(f"{data.title}\n{note}", fontsize=10, parse_math=False)
    return figure


def _curves(data: FigureTable) -> Iterator[tuple[str, list[Curve]]]:
    """Curves over n by the label of their line, d ascending; none where seeds lack a row."""
    found: dict[str, list[Curve]] = {}
    titles = {panel.title for panel in data.panels}
    for panel in data.panels:
        if None in panel.n:
            raise InputError(f"panel '{panel.name}' does not vary n, which scaling is about; draw a curve")
        for line in lines(panel, "n"):
            curve = _curve(line)
            words = line.words(data, said="d")
            label = ", ".join([*([panel.title] if len(titles) > 1 else []), *words]) or panel.title
            found.setdefault(label, []).extend([] if curve is None else [curve])
    for label, curves in found.items():
        yield label, sorted(curves, key=lambda curve: curve.d)


def _curve(line: Line) -> Curve | None:
    """Scores of a line over n where all seeds have a row; a run that diverged or failed has the score nan."""
    rows = {n: there for n in line.panel.n if n is not None and len(there := line.at(n)) == len(line.every(n))}
    dims = {row.d for there in rows.values() for row in there if row.d is not None}
    if not dims:
        return None
    scores = [[_or_nan(finite_number(row, line.panel.metric)) for row in there] for there in rows.values()]
    return Curve(float(dims.pop()), tuple(map(float, rows)), np.array(scores))


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value


def _draw(axes: Axes, one: Scaling, label: str, look: dict[str, str], shift: float) -> None:
    """Draw points with bars, censored ones as open triangles, and the fitted line; d is multiplied by ``shift``."""
    colour = look["color"]
    inside = {curve.d: curve for curve in one.curves if not one.censored(curve)}
    xs, ys = np.array([*inside]), np.array([one.threshold(curve) for curve in inside.values()])
    for d, curve in inside.items():
        low, high = one.threshold_interval(curve) or (math.nan, math.nan)
        axes.plot([d * shift] * 2, [low, min(high, curve.n[-1])], color=colour, linewidth=1)
    exponent, interval = one.slope(), one.slope_interval()
    if exponent is not None:
        label += f": slope {exponent:.2f}" + (f" [{interval[0]:.2f}, {interval[1]:.2f}]" if interval else "")
        label += f", {len(inside)} of {len(one.curves)} d" if len(inside) < len(one.curves) else ""
        ends = np.array([xs.min(), xs.max()])
        factor = np.exp(np.mean(np.log(ys) - exponent * np.log(xs)))
        axes.plot(ends * shift, factor * ends**exponent, color=colour, linestyle=look["linestyle"])
    axes.plot(xs * shift, ys, color=colour, marker=look["marker"], markersize=5, linestyle="none")
    axes.plot([], [], markersize=5, label=label, **look)  # type: ignore[arg-type]
    for curve in one.curves:
        if curve.d not in inside:
            above = math.isinf(one.threshold(curve))
            n, marker = (curve.n[-1], "^") if above else (curve.n[0], "v")
            axes.plot([curve.d * shift], [n], color=colour, marker=marker, **OPEN)  # type: ignore[arg-type]


def _censored(axes: Axes, found: list[Scaling]) -> None:
    """Explain the open triangles of the figure in the legend."""
    beyond = {math.isinf(one.threshold(curve)) for one in found for curve in one.curves if one.censored(curve)}
    for above, marker, words in ((True, "^", "above the largest n"), (False, "v", "not above the least n")):
        if above in beyond:
            axes.plot([], [], color="0.4", marker=marker, label=words, **OPEN)  # type: ignore[arg-type]


def _references(axes: Axes, data: FigureTable, dims: list[float], found: Mapping[str, Scaling]) -> None:
    """Draw the reference exponents as thin lines, through the middle of the figure or of the line they belong to."""
    ends, low_high = np.array([dims[0], dims[-1]]), axes.get_ylim()
    middle = math.sqrt(dims[0] * dims[-1]), math.sqrt(low_high[0] * low_high[1])
    for i, (label, given) in enumerate(data.spec.slopes.items()):
        if isinstance(given, Slope) and given.of not in found:
            continue
        exponent, (d, n) = (given.slope, _middle(found, given.of)) if isinstance(given, Slope) else (given, middle)
        words, dash = f"theory: {label} (slope {exponent:g})", DASHES[i % len(DASHES)]
        colour = style([*found].index(given.of))["color"] if isinstance(given, Slope) else "0.6"
        axes.plot(ends, n * (ends / d) ** exponent, color=colour, linewidth=0.8, linestyle=dash, zorder=0, label=words)


def _middle(found: Mapping[str, Scaling], label: str) -> tuple[float, float]:
    """Geometric means of d and n* over the points of a line; nan without any."""
    one = found[label]
    points = [(curve.d, one.threshold(curve)) for curve in one.curves if not one.censored(curve)]
    d, n = np.exp(np.mean(np.log(points), axis=0)) if points else (math.nan, math.nan)
    return float(d), float(n)


def _check_slopes(data: FigureTable, labels: Sequence[str]) -> None:
    """Refuse a reference exponent of a line that the figure has not."""
    for given in data.spec.slopes.values():
        if isinstance(given, Slope) and given.of not in labels:
            raise InputError(f"figure.slopes: no line '{given.of}'{did_you_mean(given.of, labels)}")
