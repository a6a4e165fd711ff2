"""Faults in the kinds of figures that a spec asks for."""

from __future__ import annotations

from mlpiht_cli.errors import did_you_mean
from mlpiht_cli.figures import KINDS, MAPS
from mlpiht_cli.specs.draft import Draft
from mlpiht_cli.specs.load import Fault
from mlpiht_cli.specs.rules.views import drawn


def kind_faults(draft: Draft) -> list[Fault]:
    """Unknown kinds of figures, and kinds that cannot show what their panels vary."""
    absent = {name for name in ("kind", "level", "setting") if ("figure", name) in draft.left_out}
    if ("figure",) in draft.left_out or "kind" in absent:
        return []
    faults, spec = [], draft.spec
    for at, figure, panels in drawn(spec):
        sized = next((panel.name for panel in panels if len(panel.sizes) > 1), None)
        single = next((panel.name for panel in panels if len(panel.n or []) < 2), None)
        for kind in figure.kinds:
            if kind not in KINDS:
                faults.append(Fault((*at, "kind"), f"unknown kind '{kind}'{did_you_mean(kind, KINDS)}"))
            elif kind in MAPS and sized is not None:
                faults.append(Fault((*at, "kind"), f"a {kind} is over m and s, but panel '{sized}' varies n or d"))
            elif kind == "scaling" and single is not None:
                faults.append(Fault((*at, "kind"), f"scaling needs panels that vary n; '{single}' does not"))
            elif kind == "scaling" and figure.level is None and "level" not in absent:
                faults.append(Fault((*at, "level"), "scaling needs the level of the metric that n* is the n of"))
            elif kind == "setting" and figure.setting is None and "setting" not in absent:
                faults.append(Fault((*at, "setting"), "kind setting needs the method's setting that lines run over"))
        labels = {entry.shown for panel in panels for entry in panel.methods or spec.methods}
        complete = draft.whole("panels", "methods")
        if figure.against is not None and figure.against not in labels and complete:
            faults.append(
                Fault((*at, "against"), f"no method '{figure.against}'{did_you_mean(figure.against, labels)}")
            )
    return faults
