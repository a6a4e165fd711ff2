"""The page: one HTML file with its pictures, tables, style and script; the same rows give the same bytes."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from mlpiht_cli import __version__
from mlpiht_cli.checks.claims import Judged
from mlpiht_cli.checks.text import claim_fields
from mlpiht_cli.core.metric import metric
from mlpiht_cli.figures import Look
from mlpiht_cli.report.pictures import Shown, shown
from mlpiht_cli.report.places import panel_document
from mlpiht_cli.report.provenance import lacking, provenance
from mlpiht_cli.report.section import Section
from mlpiht_cli.report.store import RowStore, script_json

FOLDER = Path(__file__).parent
VERDICTS = {
    "holds": "holds",
    "fails": "does not hold",
    "incomplete": "incomplete: rows are missing that could change it",
    "no data": "no data yet",
    "not judged": "not judged in this profile",
}
"""Verdicts as the page says them."""


@dataclass(frozen=True)
class Origin:
    """How the page is made again: the command, and the results folder that the commands of its rows name."""

    command: str
    results: Path


class ClaimText(NamedTuple):
    """A claim as the page says it."""

    name: str
    says: str
    verdict: str
    state: str
    value: str
    level: str
    cells: str
    note: str


class PanelText(NamedTuple):
    """A panel's table as the page announces it; ``number`` is its place among the tables of the script."""

    number: int
    title: str
    places: int
    methods: int


@dataclass(frozen=True)
class SectionText:
    """A section as the template shows it."""

    anchor: str
    section: Section
    claims: list[ClaimText]
    verdicts: str
    cells: str
    lacking: list[str]
    shown: list[Shown]
    undrawn: list[str]
    panels: list[PanelText]
    infinite: str
    provenance: list[tuple[str, str]]


def page(sections: Sequence[Section], origin: Origin, look: Look) -> bytes:
    """Return the page as bytes of UTF-8."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    store, tables = RowStore(), list[dict[str, Any]]()
    texts = []
    for number, section in enumerate(sections, start=1):
        panels = []
        for panel in section.panels.values():
            document = panel_document(section, panel, origin.results, store)
            panels.append(PanelText(len(tables), section.title_of(panel), len(document["places"]), len(panel.methods)))
            tables.append(document)
        texts.append(_section_text(f"spec-{number}", section, panels, look))
    loader = FileSystemLoader(FOLDER)
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    style, script = ((FOLDER / name).read_text(encoding="utf-8") for name in ("report.css", "report.js"))
    html = environment.get_template("report.html.j2").render(
        title=_title(sections),
        sections=texts,
        command=origin.command,
        partial=look.partial,
        version=__version__,
        style=style,
        script=script,
        policy=f"default-src 'none'; img-src data:; style-src {_hash(style)}; script-src {_hash(script)}",
        data=script_json({"rows": store.document, "tables": tables}),
    )
    return html.encode()


def _hash(text: str) -> str:
    """The digest by which the page's policy knows its one style and one script."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _title(sections: Sequence[Section]) -> str:
    return f"Report of {sections[0].source}" if len(sections) == 1 else f"Report of {len(sections)} specs and tables"


def _section_text(anchor: str, section: Section, panels: list[PanelText], look: Look) -> SectionText:
    filled = [data for data in section.figures if any(panel.rows for panel in data.panels)] or section.figures
    there, total = len(section.rows), section.total
    look = replace(look, partial=look.partial and bool(section.missing))  # a whole table needs no such note
    return SectionText(
        anchor=anchor,
        section=section,
        claims=[_claim_text(one) for one in section.claims],
        verdicts=verdict_counts(section),
        cells=f"{there:,}" if section.is_csv else f"{there:,} of {total:,}",
        lacking=lacking(section),
        shown=[one for data in filled for one in shown(data, look)],
        undrawn=[data.title for data in section.figures if data not in filled],
        panels=panels,
        infinite=_infinite(section),
        provenance=provenance(section),
    )


def _infinite(section: Section) -> str:
    """What an infinite value of the scores that the tables hold counts as."""
    known = [metric(name) for name in dict.fromkeys(name for own in section.scores.values() for name in own)]
    return " ".join(f"An infinite {one.label} counts as {one.perfect:g}." for one in known if one.perfect is not None)


def verdict_counts(section: Section) -> str:
    """How many claims hold, in words."""
    counts = section.verdicts
    judged = counts.total() - counts["not judged"]
    if not counts:
        return "not judged" if section.unjudged else "none made"
    told = [f"{counts['holds']} of {judged} hold"] if judged else ["none judged"]
    unsure = counts["incomplete"] + counts["no data"]
    told += [f"{unsure} incomplete"] if unsure else []
    told += [f"{counts['not judged']} not judged in this profile"] if judged and counts["not judged"] else []
    return ", ".join(told)


def _claim_text(one: Judged) -> ClaimText:
    name, value, _, verdict, cells = claim_fields(one)
    return ClaimText(
        name=name,
        says=one.says,
        verdict=VERDICTS[one.verdict] + (", narrowly" if verdict.endswith("narrowly") else ""),
        state="holds" if one.verdict == "holds" else "fails" if one.verdict == "fails" else "open",
        value=value,
        level=f"{'at least' if one.bound == 'at_least' else 'at most'} {one.threshold:g}",
        cells=cells,
        note=one.reason,
    )
