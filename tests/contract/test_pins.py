"""A row's key holds versions that are raised by hand; this is what makes forgetting hard."""

from __future__ import annotations

import copy
import importlib.util
import json
import shutil
from pathlib import Path
from types import ModuleType

import pytest


def _pins() -> ModuleType:
    """The module next to this file, which is no package."""
    spec = importlib.util.spec_from_file_location("pins", Path(__file__).with_name("pins.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


pins = _pins()


def test_sources_change_with_their_versions_or_their_pins() -> None:
    assert pins.faults(json.loads(pins.PINS.read_text()), pins.current()) == []


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    shutil.copytree(pins.ROOT / "mlpiht_cli", tmp_path / "mlpiht_cli", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def edit(root: Path, file: str, old: str, new: str) -> None:
    path = root / "mlpiht_cli" / file
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


def test_a_changed_source_is_noticed_wherever_it_is_used(copied: Path) -> None:
    before = pins.current()
    edit(copied, "linalg/gates.py", "few = False", "few = not True")
    found = pins.faults(before, pins.current(copied))
    assert {fault.partition(":")[0] for fault in found} >= {"method iht", "method iht_vector"}
    assert all("linalg.gates" in fault and "raise its version" in fault for fault in found)
    assert not any("task mnist:" in fault for fault in found)


def test_comments_docstrings_and_layout_do_not_count(copied: Path) -> None:
    before = pins.current()
    for path in (copied / "mlpiht_cli").rglob("*.py"):
        path.write_text(f'"""New words."""\n# more\n{path.read_text()}\n\n# end')
    assert pins.normal("'''a'''\nx = 1  # b") == pins.normal("x=1")
    assert pins.normal("def f():\n    'a'\n    return 1") == pins.normal("def f(): return 1")
    assert pins.normal("x = 1") != pins.normal("x = 1.0")
    assert pins.faults(before, pins.current(copied)) == []


def test_a_raised_version_asks_for_new_pins() -> None:
    now = pins.current()
    before = copy.deepcopy(now)
    before["classes"]["method iht"]["version"] -= 1
    del before["classes"]["task mnist"]
    before["classes"]["method gone"] = {"version": 1, "modules": []}
    found = pins.faults(before, now)
    assert len(found) == 3
    assert all("make pins" in fault for fault in found)


def test_what_decides_is_in_the_closure() -> None:
    modules = pins.current()["classes"]["method iht"]["modules"]
    assert {"mlpiht_cli.solvers.iht", "mlpiht_cli.linalg.kernels", "mlpiht_cli.rng"} <= set(modules)
    assert not {"mlpiht_cli.errors", "mlpiht_cli.engine.runner"} & set(modules)
