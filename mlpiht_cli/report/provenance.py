"""Where the rows of a spec come from: programs, commits, machines, days."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from mlpiht_cli.records.rows import Row
from mlpiht_cli.report.section import Section
from mlpiht_cli.report.store import commit, day

PROGRAMS = ("mlpiht", "python", "torch", "numpy", "blas")
MOST_LISTED = 12
"""Most values of one fact that are listed."""
MOST_NAMED = 6
"""Most methods of a panel whose missing cells are counted one by one."""


def provenance(section: Section) -> list[tuple[str, str]]:
    """Name and text of each fact: table, cells, programs, commits, machines, days, unofficial data files."""
    rows = list(section.rows.values())
    there = f"{len(rows):,}" if section.is_csv else f"{len(rows):,} of {section.total:,}"
    statuses = ", ".join(f"{number:,} {status}" for status, number in sorted(Counter(r.status for r in rows).items()))
    facts = [
        ("table", section.table.name),
        ("profile", section.profile),
        ("cells with a row", there + (f" ({statuses})" if statuses else "")),
        *((name, counted(str(getattr(row, name)) for row in rows)) for name in PROGRAMS),
        ("git commits", counted(map(commit, rows))),
        ("machines", counted(map(_machine, rows))),
        ("made on", _days([found for row in rows if (found := day(row))])),
        ("unofficial data files", ", ".join(sorted({name for row in rows for name in row.unofficial}))),
    ]
    return [(name, text) for name, text in facts if text]


def lacking(section: Section) -> list[str]:
    """What is missing, a text for each panel; nothing for a CSV, which is what it is."""
    if section.is_csv:
        return []
    found, missing = [], section.missing.items()
    for panel in section.panels.values():
        own = [(method, n) for (name, method), n in missing if name == panel.name]
        if own:
            number = sum(n for _, n in own)
            named = ", ".join(f"{n:,} of {method}" for method, n in own) if len(own) <= MOST_NAMED else ""
            found.append(
                f"{section.title_of(panel)}: {number:,} of {panel.total:,} cells{f' ({named})' if named else ''}"
            )
    return found


def counted(values: Iterable[str]) -> str:
    """Values with the number of rows of each, the most frequent first; the number is left out where all are alike."""
    known = Counter(value for value in values if value)
    ordered = sorted(known.items(), key=lambda pair: (-pair[1], pair[0]))
    if len(ordered) < 2:
        return "".join(known)
    rest = len(ordered) - MOST_LISTED
    told = [f"{value} ({number:,} rows)" for value, number in ordered[:MOST_LISTED]]
    return "; ".join([*told, *([f"and {rest} more"] if rest > 0 else [])])


def _machine(row: Row) -> str:
    threads = f", threads of a cell: {row.threads}" if row.threads is not None else ""
    return row.device + threads


def _days(days: Sequence[str]) -> str:
    if not days:
        return ""
    first, last = min(days), max(days)
    return first if first == last else f"{first} to {last}"
