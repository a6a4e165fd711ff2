"""What is wrong with the figures of a spec."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from mlpiht_cli.errors import did_you_mean
from mlpiht_cli.specs.draft import Draft
from mlpiht_cli.specs.figure import FigureSpec
from mlpiht_cli.specs.load import Fault, Location
from mlpiht_cli.specs.schema import Panel, Spec


class Drawn(NamedTuple):
    """One figure of a spec: its place in the spec, its settings, and its panels."""

    location: Location
    figure: FigureSpec
    panels: list[Panel]


def drawn(spec: Spec) -> Iterator[Drawn]:
    """The figures of a spec: its views, or else the one figure."""
    figure = spec.figure
    if not figure.views:
        yield Drawn(("figure",), figure, spec.panels)
    for i, view in enumerate(figure.views):
        panels = spec.panels if view.panels is None else [panel for panel in spec.panels if panel.name in view.panels]
        yield Drawn(("figure", "views", i), figure.of(view), panels)


def view_faults(draft: Draft) -> list[Fault]:
    """Views that share a name or name an unknown panel, and curves over what a panel does not vary."""
    spec, views = draft.spec, draft.spec.figure.views
    names = [view.name for view in views]
    known, complete = [panel.name for panel in spec.panels], draft.whole("panels")
    faults = [
        Fault(("figure", "views", i, "name"), f"two views have the same name, '{name}'")
        for i, name in enumerate(names)
        if name in names[:i]
    ]
    faults += [
        Fault(("figure", "views", i, "panels", j), f"unknown panel '{panel}'{did_you_mean(panel, known)}")
        for i, view in enumerate(views)
        for j, panel in enumerate(view.panels or [])
        if complete and panel not in known
    ]
    for at, figure, panels in drawn(spec):
        faults += [
            Fault((*at, "x"), f"panel '{panel.name}' does not vary {figure.x}")
            for panel in panels
            if "curve" in figure.kinds and getattr(panel, figure.x) is None
        ]
    return faults
