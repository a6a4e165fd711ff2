"""Write docs/reproduction.md, results/verdicts.csv and results/report.html from the committed tables.

Run it as ``python experiments/reproduction.py`` or `make reproduction` after a table has grown and is tracked by git.
This module computes the numbers; the words are in docs/verdicts.yaml.
"""

from __future__ import annotations

import csv
import io
import statistics
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from experiments.agreement import agreement, reference_path, rounding
from experiments.committed import ROOT, Table, committed, specs, tables
from mlpiht_cli.analysis.scores import finite_numbers
from mlpiht_cli.checks.text import claim_fields, number_text
from mlpiht_cli.figures import Look
from mlpiht_cli.records.rows import Row
from mlpiht_cli.records.table import PROFILES
from mlpiht_cli.report.page import Origin
from mlpiht_cli.report.page import page as report_page
from mlpiht_cli.report.section import read_section
from mlpiht_cli.specs.schema import Spec
from mlpiht_cli.system.files import write_atomic

PAGE, VERDICTS, WORDS = "docs/reproduction.md", "results/verdicts.csv", "docs/verdicts.yaml"
REPORT = "results/report.html"
HELD = {"holds": "yes", "fails": "no", "incomplete": "incomplete", "no data": "incomplete", "not judged": "not judged"}
FEW_LINES = 14
"""Most lines of a table that the page holds, title and head included; larger ones it links to."""
LEADS = {"ran": "Run", "found": "Result", "why": "Why"}
OURS = ("holds", "in part")
"""Verdicts of our own questions."""
SAID = {
    "reproduced": "Reproduced",
    "partly": "Partly reproduced",
    "not": "Not reproduced",
    "holds": "What we claim holds",
    "in part": "What we claim holds in part",
}


def verdicts_csv(found: Sequence[Table]) -> str:
    """Return each claim of each table as CSV: whether it holds, and the measured value with four digits."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("spec", "profile", "claim", "held", "value"))
    for table in found:
        for one in table.claims:
            writer.writerow((table.spec.name, table.profile, one.name, HELD[one.verdict], number_text(one.measured)))
    return out.getvalue()


def page(every: Sequence[Spec], found: Sequence[Table], words: Mapping[str, Any]) -> str:
    """Return the text of docs/reproduction.md."""
    own = {spec.name: [table for table in found if table.spec.name == spec.name] for spec in every}
    lines = ["# Reproduction", "", words["introduction"].strip(), "", *overview(every, own, words["specs"]), ""]
    for spec in every:
        if own[spec.name]:
            told = words["specs"][spec.name]
            lines += [f"## {spec.figure.label}: {spec.title}", "", f"**{verdict(told)}.**", "", *told_lines(told), ""]
            for table in own[spec.name]:
                lines += section(table)
    if comparison := authors_comparison(found):
        lines += ["## Against the authors' code", "", words["reference"].strip(), "", *comparison]
        lines += [words["rounding"].strip(), "", *grid(rounding(ROOT / "results")), ""]
    lines += ["## What the protocol of IMP is worth", "", words["protocol"].strip(), ""]
    for table in own.get("imp_protocol", []):
        lines += protocol(table)
    return "\n".join(lines).rstrip() + "\n"


def verdict(told: Mapping[str, str]) -> str:
    """Return the verdict in the words of the page."""
    return SAID[told["verdict"]]


def told_lines(told: Mapping[str, str]) -> list[str]:
    """Return a list of what is claimed or asked, what was run, what came out, and why."""
    leads = {"says": "We ask" if told["verdict"] in OURS else "The paper says", **LEADS}
    every = [f"- *{lead}:* {told[name].strip()}" for name, lead in leads.items() if name in told]
    return [line.replace("\n", "\n  ") for line in every]


def overview(every: Sequence[Spec], own: Mapping[str, Sequence[Table]], words: Mapping[str, Any]) -> list[str]:
    """Return one line for each table of a spec, and the specs without a table."""
    lines = [("", "profile", "cells", "run", "skipped", "to run", "earlier", "claims that hold", "verdict")]
    for spec in every:
        for table in own[spec.name]:
            held = Counter(HELD[one.verdict] for one in table.claims)
            judged = held.total() - held["not judged"]
            told = f"{held['yes']} of {judged}" if judged else "none made"
            told += f", {held['incomplete']} incomplete" if held["incomplete"] else ""
            link = f"[{spec.figure.label}](#{anchor(f'{spec.figure.label}: {spec.title}')})"
            said = verdict(words[spec.name]) if table is own[spec.name][0] else ""
            lines.append((link, table.profile, *counts(table), told, said))
    rest = [spec.figure.label for spec in every if not own[spec.name]]
    return [*grid(lines), "", *([f"Not run yet: {', '.join(rest)}."] if rest else [])]


def anchor(title: str) -> str:
    """Return the name of a heading in a link."""
    return "".join(c for c in title.lower().replace(" ", "-") if c.isalnum() or c in "-_")


def counts(table: Table) -> list[str]:
    """Return the numbers of cells: all, run, skipped (they cannot run), still to run, and of an earlier version."""
    skipped = sum(row.status == "skipped" for rows in table.by_label.values() for row in rows)
    missing = table.missing.total()
    numbers = len(table.cells), len(table.cells) - skipped - missing, skipped, missing, table.earlier.total()
    return [f"{number:,}" for number in numbers]


def share(table: Table) -> str:
    """Return the number of finished cells of all cells."""
    done = len(table.cells) - table.missing.total()
    return f"{done:,} of {len(table.cells):,}"


def section(table: Table) -> list[str]:
    """Return the section of a spec in one profile: pictures, claims, time and memory."""
    borrowed = f" (the cells of {table.spec.cells_of})" if table.spec.cells_of else ""
    missing = ", ".join(f"{number:,} of {label}" for label, number in table.missing.items())
    source = f"[{table.path.name}](../results/{table.path.name})"
    lines = [f"*The {table.profile} profile*, {share(table)} cells{borrowed}, in {source}."]
    lines[0] += f" Missing: {missing}." if missing else ""
    others = Counter(row.status for row in table.rows if row.status != "ok")
    if others:
        lines[0] += f" {', '.join(f'{number} cells {status}' for status, number in sorted(others.items()))}."
    for (label, changed), number in table.earlier.items():
        lines[0] += f" {number:,} cells of {label} are of an earlier version ({changed})."
    lines += ["", *pictures(table)]
    if table.claims:
        rows = [(*claim_fields(one), in_words(one.says, one.reason)) for one in table.claims]
        lines += [*grid([("claim", "measured", "threshold", "verdict", "places", "in words"), *rows]), ""]
    return lines if table.spec.cells_of else [*lines, *costs(table), ""]


def in_words(says: str, reason: str) -> str:
    """Return what a claim says and why it has its verdict, as Markdown in which a star such as that of n* is a star."""
    says, reason = (text.replace("*", r"\*") for text in (says, reason))
    return f"{says} *({reason})*" if reason else says


def pictures(table: Table) -> Iterator[str]:
    """Yield links to the committed pictures and to large tables of figures, and small tables themselves."""
    others = tuple(f"{table.stem}-{profile}" for profile in PROFILES)
    for path in sorted(committed("results/figures"), key=lambda path: path.stem):
        own = path.stem == table.stem or (path.stem.startswith(f"{table.stem}-") and not path.stem.startswith(others))
        if own and path.suffix == ".png":
            yield from (f"![{path.stem}](../results/figures/{path.name})", "")
        elif own and path.suffix == ".md":
            lines = path.read_text(encoding="utf-8").splitlines()
            link = f"The table: [{path.stem}](../results/figures/{path.name})."
            yield from ([*lines, ""] if len(lines) <= FEW_LINES else [link, ""])


def costs(table: Table) -> list[str]:
    """Return time and memory by method, and the devices of the measurements."""
    lines = [("method", "cells run", "median time (s)", "sum (h)", "peak memory (MiB)")]
    ran = [row for row in table.rows if row.wall_s is not None]
    for method in dict.fromkeys(row.method for row in ran):
        own = [row for row in ran if row.method == method]
        times = [row.wall_s for row in own if row.wall_s is not None]
        told = f"{statistics.median(times):.3g}", f"{sum(times) / 3600:.2g}"
        lines.append((f"`{method}`", f"{len(times):,}", *told, peak(own)))
    threads = sorted({row.threads for row in ran if row.threads is not None})
    on = ", ".join(sorted({row.device for row in ran}))
    return [*grid(lines), "", f"Measured on {on}; threads of a cell: {' or '.join(map(str, threads))}."]


def peak(rows: Sequence[Row]) -> str:
    """Return the largest peak memory of the process, and of the GPU if there was one."""
    host = max((row.peak_rss_mb for row in rows if row.peak_rss_mb is not None), default=None)
    gpu = max((row.peak_cuda_mb for row in rows if row.peak_cuda_mb is not None), default=None)
    told = "-" if host is None else f"{host:,.0f}"
    return told if gpu is None else f"{told}; GPU {gpu:,.0f}"


def protocol(table: Table) -> list[str]:
    """Return the mean score of each method of ``imp_protocol`` on each panel, within the limits of its figure."""
    labels, figure = list(table.by_label), table.spec.figure
    lines = [("panel", "metric", *labels)]
    for panel in table.spec.panels:
        low, high = panel.limits or figure.limits or (float("-inf"), float("inf"))
        means = []
        for label in labels:
            found = finite_numbers(row for row in table.by_label[label] if row.panel == panel.name)
            means.append(f"{statistics.fmean(min(max(value, low), high) for value in found):.3g}" if found else "-")
        lines.append((panel.title or panel.name, panel.metric or figure.metric, *means))
    scale = f"Means over widths, budgets and seeds, {share(table)} cells of the {table.profile} profile"
    return [f"{scale}; values beyond the figure's limits count as these.", "", *grid(lines), ""]


def authors_comparison(found: Sequence[Table]) -> list[str]:
    """Return the values of mlpiht at the paper's size next to those of the authors' code."""
    head = ("figure", "panel", "method", "depth", "outputs", "m", "s", "seeds", "authors' code", "ours")
    rows, said = [], []
    for table in found:
        path = reference_path(ROOT / "results", table.spec.name)
        if table.profile == "paper" and table.spec.cells_of is None and path.exists():
            lines, sentence = agreement(table.spec.name, table.rows, path)
            rows += lines
            said.append(f"- {sentence}")
    return [*grid([head, *rows]), "", *said, ""] if rows else []


def grid(lines: Sequence[Sequence[str]]) -> list[str]:
    """Return a Markdown table."""
    head, *rest = [f"| {' | '.join(text.replace('|', chr(92) + '|') for text in line)} |" for line in lines]
    return [head, f"|{'---|' * len(lines[0])}", *rest]


def written(every: Sequence[Spec], found: Sequence[Table]) -> dict[str, str]:
    """Return the texts of both files, by their paths from the root of the repository."""
    words = yaml.safe_load((ROOT / WORDS).read_text(encoding="utf-8"))
    return {VERDICTS: verdicts_csv(found), PAGE: page(every, found, words)}


def report(found: Sequence[Table]) -> bytes:
    """Return the page of ``mlpiht report`` with one table of each spec: that of the paper profile, if there is one."""
    first: dict[str, Table] = {}
    for table in found:
        first.setdefault(table.spec.name, table)
    sections = [read_section(table.spec.name, table.profile, ROOT / "results") for table in first.values()]
    return report_page(sections, Origin("make reproduction", Path("results")), Look(partial=True))


def main() -> None:
    """Write the files, and print the verdicts and values that changed."""
    old = (ROOT / VERDICTS).read_text(encoding="utf-8").splitlines() if (ROOT / VERDICTS).exists() else []
    every = specs()
    found = tables(every)
    for name, text in written(every, found).items():
        (ROOT / name).write_text(text, encoding="utf-8")
        print(f"{name} written")
    write_atomic(ROOT / REPORT, report(found))
    print(f"{REPORT} written")
    new = (ROOT / VERDICTS).read_text(encoding="utf-8").splitlines()
    for mark, lines, others in (("-", old, new), ("+", new, old)):
        print("".join(f"{mark} {line}\n" for line in lines if line not in others), end="")


if __name__ == "__main__":
    main()
