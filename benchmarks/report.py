"""Tables and figures of what was measured: CSV, PNG, and Markdown for docs/performance.md."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from benchmarks import growth, machine, memory, peers, race, speed, speed_imp, sweeps
from benchmarks.common import Plan, Row
from benchmarks.memory_probe import OUTPUTS
from benchmarks.style import COLOURS, OTHER, OURS, grid
from mlpiht_cli.errors import InputError
from mlpiht_cli.figures import save
from mlpiht_cli.system.files import write_atomic

BEGIN, END = "<!-- benchmarks:begin -->", "<!-- benchmarks:end -->"


@dataclass(frozen=True)
class Table:
    """A CSV file: its name, the function that measures it, and the function that draws it (a PNG of the same name)."""

    name: str
    rows: Callable[[Plan], Iterator[Row]]
    draw: Callable[[pd.DataFrame], Figure] | None = None


def draw_speed(table: pd.DataFrame) -> Figure:
    """Draw the seconds of mlpiht and of the reference implementation, one line per measurement."""
    table = table[table["status"] == "ok"].iloc[::-1]
    figure = Figure(figsize=(7.2, 1.2 + 0.36 * len(table)), layout="constrained")
    axes = figure.subplots()
    place = np.arange(len(table))
    axes.hlines(place, table["ours_s"], table["yardstick_s"], color="0.8", linewidth=2)
    axes.plot(table["ours_s"], place, "o", color=OURS, label="mlpiht")
    axes.plot(table["yardstick_skip_dead_s"], place, "D", color=COLOURS[2], label="reference without dead blocks")
    axes.plot(table["yardstick_s"], place, "s", color=OTHER, label="reference implementation")
    axes.set_yticks(place, labels=table["name"].tolist(), fontsize=8)
    axes.set_xscale("log")
    axes.set_xlabel("seconds a fit, one thread")
    grid(axes)
    figure.legend(loc="outside lower center", ncols=3, fontsize=8, frameon=False)
    return figure


PARTS: dict[str, tuple[Table, ...]] = {
    "machine": (Table("machine", machine.rows),),
    "speed": (Table("speed", speed.rows, draw_speed), Table("imp", speed_imp.rows)),
    "growth": (Table("growth", growth.rows, growth.draw),),
    "memory": (Table("memory", memory.rows, memory.draw),),
    "race": (Table("race", race.rows, race.draw),),
    "sweeps": (Table("sweeps", sweeps.rows),),
    "peers": (Table("peers", peers.rows),),
}
"""Tables of each part of ``python -m benchmarks PART``; a new part needs one file and one line here."""


def write(path: Path, rows: Sequence[Row], keep: bool) -> pd.DataFrame:
    """Write rows to a CSV and return the table.

    With ``keep`` earlier rows with other names stay, so that single measurements can be repeated. The values of mlpiht
    and of the reference in a row come from one run; the row holds its time and its machine.
    """
    table = pd.DataFrame(list(rows))
    if keep and path.exists():
        earlier = pd.read_csv(path)
        names = list(dict.fromkeys([*earlier["name"], *table["name"]]))
        table = pd.concat([earlier[~earlier["name"].isin(table["name"])], table], ignore_index=True)
        table = table.sort_values("name", key=lambda column: column.map(names.index), kind="stable")
    write_atomic(path, table.to_csv(index=False, float_format="%.6g").encode())
    return pd.read_csv(path)


def draw(table: Table, folder: Path) -> list[Path]:
    """Draw the figure of a table from its CSV file; without a figure or a CSV file, return no path."""
    path = folder / f"{table.name}.csv"
    if table.draw is None or not path.exists():
        return []
    return save(table.draw(pd.read_csv(path)), folder / table.name, ["png"])


def markdown(folder: Path) -> str:
    """Return the CSV files of a folder as Markdown tables; parts that were not measured are left out."""
    sections = []
    for name, (title, columns) in SECTIONS.items():
        path = folder / f"{name}.csv"
        if path.exists():
            table = pd.read_csv(path)
            sections.append("\n\n".join([f"**{title}**", _table(table, columns), *_left_out(table), _made_on(table)]))
    if (folder / "growth.csv").exists():
        sections.append(_growth(pd.read_csv(folder / "growth.csv")))
    if (folder / "memory.csv").exists():
        sections.append(_memory(pd.read_csv(folder / "memory.csv")))
    return "\n\n".join(sections)


SECTIONS: dict[str, tuple[str, dict[str, str]]] = {
    "machine": (
        "The machine",
        {
            "threads": "threads",
            "gemm_float32_gflops": "float32 GEMM (GFLOP/s)",
            "gemm_float64_gflops": "float64 GEMM (GFLOP/s)",
            "copy_gb_per_s": "copy, read + written (GB/s)",
        },
    ),
    "speed": (
        "IHT against the reference implementation (float64 NumPy, neuron by neuron)",
        {
            **{"name": "measurement", "n": "n", "d": "d", "k": "k", "m": "m", "s": "s", "steps": "steps"},
            **{"ours_s": "mlpiht (s)", "ours_cpu_s": "mlpiht, processor (s)", "yardstick_s": "reference (s)"},
            **{"yardstick_cpu_s": "reference, processor (s)", "ratio": "ratio", "ratio_cpu": "ratio, processor"},
            **{"ratio_skip_dead": "ratio, dead blocks skipped", "two_threads_gain": "gain of 2 threads"},
            **{"over_floor": "step / floor", "psnr_ours": "PSNR (dB)"},
            **{"psnr_ours_same_seeds": "PSNR, reference's seeds", "psnr_yardstick": "reference's PSNR"},
        },
    ),
    "imp": (
        "IMP against plain autograd",
        {
            **{"name": "measurement", "n": "n", "k": "k", "m": "m", "s": "s", "adam_steps": "Adam steps"},
            **{"ours_s": "mlpiht (s)", "ours_cpu_s": "mlpiht, processor (s)", "yardstick_s": "autograd (s)"},
            **{"yardstick_cpu_s": "autograd, processor (s)", "yardstick_steps_timed": "steps timed", "ratio": "ratio"},
            **{"ratio_cpu": "ratio, processor", "over_floor": "step / floor", "psnr_ours": "PSNR (dB)"},
        },
    ),
    "race": (
        "IHT against IMP at equal budget",
        {
            **{"m": "m", "s": "s", "iht_s": "IHT (s)", "iht_cpu_s": "IHT, processor (s)", "iht_psnr": "IHT (dB)"},
            **{"imp_s": "IMP (s)", "imp_cpu_s": "IMP, processor (s)", "imp_psnr": "IMP (dB)"},
            **{"iht_to_imp_psnr_s": "IHT to IMP's PSNR (s)", "ratio": "times faster to it"},
            **{"ratio_cpu": "the same, processor", "iht_reaches_imp_seeds": "seeds that reach it", "seeds": "seeds"},
        },
    ),
    "sweeps": (
        "Sweeps of trivial cells, and many records",
        {
            **{"name": "measurement", "cells": "cells", "of": "time of", "ours_s": "median (s)"},
            **{"ours_s_max": "worst (s)", "ours_cpu_s": "processor (s)"},
        },
    ),
    "peers": (
        "Other packages on the same data",
        {
            **{"name": "measurement", "method": "method", "peer": "package", "peer_version": "version", "n": "n"},
            **{"d": "d", "m": "m", "budget": "budget", "ours_s": "mlpiht (s)", "ours_cpu_s": "mlpiht, processor (s)"},
            **{"peer_s": "package (s)", "peer_cpu_s": "package, processor (s)", "ratio": "ratio"},
            **{"ratio_cpu": "ratio, processor", "metric": "score", "ours_score": "mlpiht's", "peer_score": "package's"},
            **{"ours_nnz": "mlpiht's nonzeros", "peer_nnz": "package's nonzeros"},
        },
    ),
}


def _table(table: pd.DataFrame, columns: dict[str, str]) -> str:
    """Return a Markdown table of some columns, renamed; columns that were not measured are left out."""
    if "status" in table:
        table = table[table["status"] == "ok"]
    known = {name: words for name, words in columns.items() if name in table}
    return grid_of([*known.values()], [[number(row[name]) for name in known] for row in _records(table)])


def _left_out(table: pd.DataFrame) -> list[str]:
    """Return a line for each measurement that was not made."""
    if "status" not in table:
        return []
    return [f"{row['name']}: {row['status']}" for row in _records(table) if row["status"] != "ok"]


def _records(table: pd.DataFrame) -> list[Row]:
    return [{str(key): value for key, value in record.items()} for record in table.to_dict("records")]


def grid_of(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    rule = ["---"] * len(head)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, rule, *lines))


def number(value: object) -> str:
    """Return three digits of a float, all digits of an integer, or a dash for an unknown value."""
    if isinstance(value, str):
        return value
    if not isinstance(value, int | float | np.integer | np.floating):
        return "-"
    found = float(value)
    if not math.isfinite(found):
        return "-" if math.isnan(found) else str(found)
    if found.is_integer() or abs(found) >= 1000:
        return f"{found:,.0f}"
    return f"{found:.{max(0, 2 - math.floor(math.log10(abs(found))))}f}"


def _made_on(table: pd.DataFrame) -> str:
    """Return the machine, the number of repeats behind the medians, and the versions of the last row."""
    known = table[table["processor"].notna()]
    if known.empty:
        return ""
    row = known.iloc[-1]
    repeats = sorted({int(value) for value in known["repeats"].dropna()}) if "repeats" in known else []
    of = f"Medians of {' or '.join(map(str, repeats))} runs; " if repeats else ""
    commits = ", ".join(str(sha)[:10] for sha in known["git_sha"].dropna().unique())
    sha = f" ({commits})" if commits else ""
    return (
        f"{of}{row['processor']}, {int(row['cores'])} cores, {row['memory_gib']} GiB; mlpiht {row['mlpiht']}{sha}, "
        f"torch {row['torch']}, numpy {row['numpy']}, python {row['python']}."
    )


def _growth(table: pd.DataFrame) -> str:
    last = table.drop_duplicates("axis", keep="last")
    lines = [[f"{row['axis']}", _span(table, row["axis"]), f"{row['exponent']:.2f}"] for row in _records(last)]
    head = ["time of IHT against", "from ... to", "exponent"]
    return f"**Growth of the time**\n\n{grid_of(head, lines)}\n\n{_made_on(table)}"


def _span(table: pd.DataFrame, axis: str) -> str:
    sizes = table[table["axis"] == axis][axis]
    return f"{sizes.min():,} ... {sizes.max():,}"


CURVES = {
    ("m", "iht"): "IHT",
    ("m", "imp"): "IMP",
    ("s", "iht"): "IHT",
    ("m", "iht_vector"): f"IHT, {OUTPUTS} outputs",
}
"""What the page calls the curves of the memory figure: an axis and a method."""


def _memory(table: pd.DataFrame) -> str:
    """Return the first and last point of each curve, their ratio, and the exponent."""
    lines = []
    for (sweep, method), words in CURVES.items():
        part = memory.measured(table, sweep, method)
        if len(part):
            first, last = part.iloc[0], part.iloc[-1]
            ends = [f"{row[sweep]:,}: {number(row['beyond_mib'])} MiB" for row in (first, last)]
            ratio = last["beyond_mib"] / first["beyond_mib"] if first["beyond_mib"] > 0 else math.nan
            lines.append([words, sweep, *ends, number(ratio), f"{memory.slope(part, sweep):.2f}"])
    head = ["peak memory beyond data", "against", "first", "last", "ratio", "exponent"]
    return "\n\n".join(["**Memory**", grid_of(head, lines), *_left_out(table), _made_on(table)])


def write_page(page: Path, text: str) -> None:
    """Put the text between the markers of a Markdown file.

    Raises
    ------
    InputError
        The file does not hold each marker exactly once, in order.
    """
    before = page.read_text(encoding="utf-8")
    head, begin, rest = before.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end or BEGIN in rest or END in tail:
        raise InputError(f"{page}: needs one line {BEGIN} and, below it, one line {END}")
    write_atomic(page, f"{head}{BEGIN}\n\n{text}\n\n{END}{tail}".encode())
