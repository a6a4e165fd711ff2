"""The committed tables of the specs, with their cells, claims and versions."""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from mlpiht_cli import plan
from mlpiht_cli.analysis.tables import borrowed_rows, find_table, placed
from mlpiht_cli.checks.claims import Judged, check_claims
from mlpiht_cli.plan.cells import Cell
from mlpiht_cli.plan.experiment import Experiment, Plan
from mlpiht_cli.records.rows import DONE, Row
from mlpiht_cli.records.table import PROFILES, read_csv
from mlpiht_cli.specs.draft import Draft
from mlpiht_cli.specs.schema import Spec

ROOT = Path(__file__).resolve().parents[1]
ORDER = ("figure", "table", "")
"""Order of the specs: figures of the paper, then tables of the paper, then the rest."""


@dataclass(frozen=True)
class Table:
    """A committed table of one spec: its own table, or the table of the spec that it takes its cells from."""

    spec: Spec
    profile: str
    path: Path

    @property
    def stem(self) -> str:
        """Start of the names of its pictures."""
        return self.spec.name if self.profile == "paper" else f"{self.spec.name}-{self.profile}"

    @cached_property
    def rows(self) -> list[Row]:
        """All rows."""
        return read_csv(self.path)

    @cached_property
    def planned(self) -> Plan:
        """The spec in this profile."""
        return Experiment(Draft(self.spec)).plan(self.profile)

    @property
    def cells(self) -> list[Cell]:
        """Cells of the spec in this profile, as today's code has them."""
        return self.planned.cells

    @cached_property
    def claims(self) -> list[Judged]:
        """Claims as judged by the rows, and by those of other tables that the spec names."""
        expansion = self.planned.expansion
        return check_claims(expansion, [*self.rows, *borrowed_rows(expansion, self.path.parent)])

    @cached_property
    def by_label(self) -> dict[str, list[Row]]:
        """Finished rows by the label whose settings they have; local data files make no difference."""
        found: dict[str, list[Row]] = {cell.point.label: [] for cell in self.cells}
        for place, row in placed(self.planned.expansion, self.rows).items():
            if row.status in DONE:
                found[place.label].append(row)
        return found

    @cached_property
    def versions(self) -> dict[tuple[str, str], tuple[int, int]]:
        """Versions of task and method that today's code has, by panel and label."""
        return {(cell.point.panel, cell.point.label): _versions(cell.params) for cell in self.cells}

    @cached_property
    def _aged(self) -> list[tuple[str, Row, str]]:
        """Placed rows by label, and what has changed in their versions since; empty for rows of today's versions."""
        found = []
        for place, row in placed(self.planned.expansion, self.rows).items():
            pairs = zip(("task", "method"), _versions(row.params), self.versions[place.panel, place.label], strict=True)
            changed = [f"version {made} of the {part}, now {now}" for part, made, now in pairs if made != now]
            found.append((place.label, row, ", ".join(changed)))
        return found

    @property
    def earlier(self) -> Counter[tuple[str, str]]:
        """Rows of an earlier version, by label and by what has changed; `status --why` lists them as stale."""
        return Counter((label, changed) for label, _, changed in self._aged if changed)

    @property
    def today(self) -> list[Row]:
        """Rows of today's versions."""
        return [row for _, row, changed in self._aged if not changed]

    @cached_property
    def missing(self) -> Counter[str]:
        """Cells without a finished row, by label."""
        wanted = Counter(cell.point.label for cell in self.cells)
        return wanted - Counter({label: len(rows) for label, rows in self.by_label.items()})


def _versions(params: Mapping[str, Any]) -> tuple[int, int]:
    return params["task"]["version"], params["method"]["version"]


def committed(folder: str) -> list[Path]:
    """Return the files of a folder that git tracks; without git, all files of the folder."""
    git = ["git", "ls-files", "-z", "--", folder]
    done = subprocess.run(git, cwd=ROOT, capture_output=True, text=True, check=False)
    names = [name for name in done.stdout.split("\0") if name] if done.returncode == 0 else []
    return sorted(ROOT / name for name in names) or sorted(path for path in (ROOT / folder).rglob("*.*"))


def specs() -> list[Spec]:
    """Return the specs of the experiments folder, in the order of the page."""
    paths = (ROOT / "experiments").glob("*.yaml")
    loaded = [plan.load(path).spec for path in paths if path.stem != "smoke"]

    def place(spec: Spec) -> tuple[int, int, str]:
        kind = next(i for i, start in enumerate(ORDER) if spec.name.startswith(start))
        return kind, len(spec.name) if kind < 2 else 0, spec.name

    return sorted(loaded, key=place)


def tables(every: Sequence[Spec]) -> list[Table]:
    """Return the committed tables; the paper profile of a spec comes first."""
    known = set(committed("results"))
    return [
        Table(spec, profile, path)
        for spec in every
        for profile in reversed(PROFILES)
        if (path := find_table(spec, profile, ROOT / "results")) is not None and path in known
    ]
