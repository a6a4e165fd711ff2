"""Faults in the kinds of figures that a spec asks for."""

from __future__ import annotations

import math
from typing import NamedTuple

from mlpiht_cli.errors import did_you_mean
from mlpiht_cli.figures import KINDS, MAPS
from mlpiht_cli.specs.draft import Draft
from mlpiht_cli.specs.figure import FigureSpec
from mlpiht_cli.specs.load import Fault
from mlpiht_cli.specs.rules.views import drawn
from mlpiht_cli.specs.schema import Panel

LEVELS = {
    "scaling": "scaling needs the level of the metric that n* is the n of",
    "success": "success needs the level of the metric that a seed has to reach",
    "shares": "shares needs the level of the metric that a seed has to reach",
}
"""What a kind needs the figure's level for."""
LEAST_SIZES = {"scaling": 2, "success": 1}
"""By kind: the least number of n that each panel varies; success over a setting needs none."""


MOST_PLACES = 24
"""Places that a figure has axes for."""
LEAST_RANKED = 3
"""Methods that a panel of ranks has at least."""
FURTHER = ("curve", "setting")
"""Kinds that draw further scores."""


class _KindFault(NamedTuple):
    """A field of the figure that does not suit its kind, and what is wrong."""

    field: str
    message: str


def kind_faults(draft: Draft) -> list[Fault]:
    """Unknown kinds of figures, and kinds that cannot show what their panels vary."""
    absent = {
        name for name in ("kind", "level", "setting", "also", "against_score") if ("figure", name) in draft.left_out
    }
    if ("figure",) in draft.left_out or "kind" in absent:
        return []
    faults, spec = [], draft.spec
    for at, figure, panels in drawn(spec):
        found = [_of_kind(kind, figure, panels) for kind in figure.kinds]
        few = [panel.name for panel in panels if len(panel.methods or spec.methods) < LEAST_RANKED]
        if "ranks" in figure.kinds and few and draft.whole("panels", "methods"):
            found.append(_KindFault("kind", f"ranks need {LEAST_RANKED} methods or more; panel '{few[0]}' has fewer"))
        faults += [Fault((*at, one.field), one.message) for one in found if one is not None and one.field not in absent]
        labels = {entry.shown for panel in panels for entry in panel.methods or spec.methods}
        complete = draft.whole("panels", "methods")
        if figure.against is not None and figure.against not in labels and complete:
            faults.append(
                Fault((*at, "against"), f"no method '{figure.against}'{did_you_mean(figure.against, labels)}")
            )
    return faults


def _of_kind(kind: str, figure: FigureSpec, panels: list[Panel]) -> _KindFault | None:
    """What keeps a kind from showing these panels; None if nothing does."""
    sized = next((panel.name for panel in panels if len(panel.sizes) > 1), None)
    least = 0 if kind == "success" and figure.setting is not None else LEAST_SIZES.get(kind, 0)
    single = next((panel.name for panel in panels if len(panel.n or []) < least), None)
    if kind not in KINDS:
        return _KindFault("kind", f"unknown kind '{kind}'{did_you_mean(kind, KINDS)}")
    if kind in MAPS and sized is not None:
        return _KindFault("kind", f"a {kind} is over m and s, but panel '{sized}' varies n or d")
    if single is not None:
        return _KindFault("kind", f"{kind} needs panels that vary n; '{single}' does not")
    if kind in LEVELS and figure.level is None:
        return _KindFault("level", LEVELS[kind])
    if kind == "setting" and figure.setting is None:
        return _KindFault("setting", "kind setting needs the method's setting that lines run over")
    if kind == "tradeoff" and figure.against_score is None:
        return _KindFault("against_score", "tradeoff needs the score that the metric is drawn against, such as passes")
    places = sum(math.prod(len(values or [0]) for values in (one.m, one.s, one.n, one.d)) for one in panels)
    if kind == "tradeoff" and places > MOST_PLACES:
        return _KindFault(
            "kind", f"tradeoff has axes for each place, {MOST_PLACES} at most; these panels have {places}"
        )
    if figure.also and kind not in FURTHER:
        return _KindFault("also", f"{' and '.join(FURTHER)} draw further scores; kind {kind} shows the metric alone")
    return None
