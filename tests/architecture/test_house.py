"""Limits of the house, and the script that measures it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.architecture.house import House, longest_chain, markdown

HOUSE = House()
SOURCES = {
    "__init__.py": "",
    "method.py": """
from mlpiht_cli.rooms import a

class Settings: ...
class Method(Settings): ...
class Other(Settings): ...
""",
    "rooms/__init__.py": "",
    "rooms/a.py": """
from typing import TYPE_CHECKING, Literal

from mlpiht_cli import method

if TYPE_CHECKING:
    from mlpiht_cli.rooms.b import Half

Metric = Literal["psnr", "r2"]

class Half(method.Method): ...
class Whole(Half): ...

def ended(why):
    status, why = Status.DIVERGED if why else Status.OK, why or ""
    return Fit(None, status, why)

def kept(fit):
    return replace(fit, budget=3) if fit.status is Status.DIVERGED else fit
""",
    "rooms/c.py": """
def steps(row: Row) -> float:
    return float(row.params["method"]["steps"])

def place(row: Row) -> tuple[float, str]:
    return row.value, row.panel
""",
    "rooms/b.py": """
from mlpiht_cli.rooms.a import Half

def better(row, metric):
    return metric != "accuracy"

def number(row: Row, name: str) -> float | None:
    return float(getattr(row, name) or row.value)
""",
}


@pytest.fixture
def made(tmp_path: Path) -> House:
    """A checkout with every fault."""
    for name, text in SOURCES.items():
        path = tmp_path / "mlpiht_cli" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "README.md").write_text("# A\n\nB and C\n")
    return House(tmp_path)


def test_this_checkout_keeps_the_limits() -> None:
    assert len(HOUSE.loose) <= 6
    assert HOUSE.cycles == []
    assert HOUSE.long_files == []
    assert HOUSE.long_functions == []


def test_a_diverged_fit_is_built_in_one_place() -> None:
    assert len(HOUSE.diverged_fits) == 1, HOUSE.diverged_fits


def test_a_row_becomes_a_number_in_one_place() -> None:
    assert len(HOUSE.numbers) == 1, HOUSE.numbers


def test_one_file_holds_the_facts_of_a_metric() -> None:
    assert len(HOUSE.metric_facts) == 1, HOUSE.metric_facts


def test_methods_are_at_most_three_deep() -> None:
    assert HOUSE.method_depth <= 3


def test_the_readme_fits_on_a_screen() -> None:
    assert len(HOUSE.readme) <= 150
    assert max(len(line) for line in HOUSE.readme) <= 100


def test_each_fault_is_found(made: House) -> None:
    assert made.loose == ["__init__.py", "method.py"]
    assert made.rooms == {"method": {"rooms"}, "rooms": {"method"}}
    assert made.floors == 1, "rooms that import each other are on one floor"
    assert made.cycles == [{"mlpiht_cli.method", "mlpiht_cli.rooms.a", "mlpiht_cli.rooms.b"}]
    assert made.diverged_fits == ["rooms/a.py: ended"]
    assert made.numbers == ["mlpiht_cli.rooms.b"]
    assert made.metric_facts == ["mlpiht_cli.rooms.a", "mlpiht_cli.rooms.b"]
    assert made.method_depth == 4
    assert (made.long_files, made.long_functions) == ([], [])


def test_long_files_and_functions_are_found(made: House) -> None:
    body = "    x = 1\n" * 40
    path = made.root / "mlpiht_cli" / "rooms" / "b.py"
    path.write_text(f'def fits():\n    """Do nothing."""\n{body}\n\ndef grows():\n{body}' + "\n" * 300)
    long = House(made.root)
    assert long.long_files == ["mlpiht_cli.rooms.b"]
    assert long.long_functions == ["rooms/b.py: grows"]


def test_floors_are_the_longest_chain() -> None:
    assert longest_chain({"a": {"b", "c"}, "b": {"c"}, "c": set(), "d": {"a", "e"}, "e": {"d"}}) == 4


def test_the_table_has_a_column_for_each_checkout(made: House) -> None:
    lines = markdown([made.root, made.root]).splitlines()
    assert lines[0] == f"|  | {made.root.name} | {made.root.name} |"
    assert "| lines of the README | 3 | 3 |" in lines
    assert "| characters of its longest line | 7 | 7 |" in lines
