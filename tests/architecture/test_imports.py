"""Imports point one way, and nothing below plan prints, reads clocks or touches global random state."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.house import LONGEST_FILE, LONGEST_FUNCTION, ROOT, House, Source, cycles, length

HOUSE = House()
EVERY_SOURCE = pytest.mark.parametrize("source", HOUSE.sources, ids=lambda source: source.module)

FLOORS = [
    {"errors", "rng"},
    {"system", "specs", "linalg"},
    {"core", "tables"},
    {"records", "theory"},
    {"analysis"},
    {"tasks", "solvers", "baselines", "figures", "checks"},
    {"plan", "report"},
    {"engine"},
    {"commands", "estimators", "api"},
    {"cli"},
    {"__main__"},
]
"""A room imports from itself and from the floors below; rooms of one floor do not know each other."""
PURE = {"errors", "rng", "linalg", "core", "tables", "theory", "tasks", "solvers", "baselines"}
"""Rooms that decide results: no clocks, no files opened by hand, no global random state."""


def modules(source: Source) -> set[str]:
    """Top-level modules from elsewhere that a file imports."""
    names = set()
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(str(node.module).split(".")[0])
    return names


def floor(room: str) -> int:
    return next(i for i, there in enumerate(FLOORS) if room in there)


def test_every_room_is_on_a_floor() -> None:
    assert HOUSE.rooms.keys() == set().union(*FLOORS)


@EVERY_SOURCE
def test_imports_point_down(source: Source) -> None:
    for other in {name.split(".")[1] for name in source.imported} - {source.room}:
        assert floor(other) < floor(source.room), f"{source.room} imports {other}"
    is_plan = source.room == "plan"
    assert is_plan or "mlpiht_cli.plan.registry" not in source.imported, "plan alone imports the registry"


def test_there_is_no_cycle() -> None:
    assert HOUSE.cycles == []
    assert cycles({"a": {"b"}, "b": {"a"}, "c": {"a"}}) == [{"a", "b"}]


@EVERY_SOURCE
def test_rooms_that_decide_results_are_pure(source: Source) -> None:
    pure = source.room in PURE
    assert not pure or not modules(source) & {"time", "datetime", "random", "sys"}, "no clocks below plan"
    for node in ast.walk(source.tree):
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        assert name != "print", f"line {node.lineno}: print outside commands"
        if pure:
            assert name not in ("open", "torch.manual_seed", "torch.seed")
            assert not re.fullmatch(r"(np|numpy)\.random\.[a-z_]+", name), "global random state"
        if name in ("np.random.RandomState", "np.random.Philox", "np.random.Generator", "torch.Generator"):
            assert source.room == "rng", f"line {node.lineno}: generators are made in rng.py alone"


@pytest.mark.parametrize("source", HOUSE.every, ids=lambda source: source.module)
def test_files_and_functions_stay_small(source: Source) -> None:
    is_command = source.room == "commands" and source.path.name[0] != "_"
    assert source.text.count("\n") <= (80 if is_command else LONGEST_FILE)
    for function in source.functions:
        lines = length(function)
        assert lines <= LONGEST_FUNCTION, f"{function.name} has {lines} lines of code"
        arguments = function.args
        taken = [a.arg for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
        own = [name for name in taken if name not in ("self", "cls")]
        # Click passes every option of a command by name, and a library's user names the settings of a fit: what is
        # done decides their number.
        limit = 9 if source.room in ("commands", "cli", "estimators", "api") else 5
        assert len(own) <= limit, f"{function.name} has {len(own)} parameters"


@pytest.mark.parametrize(
    "module",
    [
        "mlpiht_cli.cli",
        "mlpiht_cli.figures",
        "mlpiht_cli.checks.source",
        "mlpiht_cli.checks.text",
        "mlpiht_cli.records.store",
        "mlpiht_cli.specs.schema",
    ],
)
def test_light_modules_do_not_import_torch(module: str) -> None:
    code = f"import sys, {module}; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize(
    "words",
    [
        ["status", "smoke"],
        ["validate", "figure1"],
        ["specs", "list"],
        ["check", "table1"],
        ["plot", "table1"],
        ["plot", "figure4", "--format", "png"],
        ["report", "table1"],
        ["report", "figure4"],
    ],
    ids=" ".join,
)
def test_commands_that_compute_nothing_load_no_slow_module(words: list[str], tmp_path: Path) -> None:
    """A module may import torch, whose loading waits for its first use, but none may use it while it is imported."""
    slow = {"torch._C", "numba", "llvmlite", "scipy.linalg", "scipy.optimize", "pandas", "distributed"}
    if words[0] in ("plot", "report"):
        shutil.copy(ROOT / "results" / f"{words[1]}.csv", tmp_path)
        words = [*words, "--out" if words[0] == "plot" else "--results", str(tmp_path)]
    else:
        slow.add("matplotlib")
    code = f"import sys, mlpiht_cli.cli as c; c.main({words}); print({slow} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.splitlines()[-1] == "set()"


def test_a_fit_loads_nothing_of_specs_figures_or_sweeps() -> None:
    words = ["fit", "--method", "iht", "--task", "planted", "--m", "3", "--s", "5", "--n", "80", "--d", "6"]
    needless = {"matplotlib", "pandas", "dask", "distributed", "psutil", "numba.cuda", "torch._dynamo"}
    needless |= {f"mlpiht_cli.{name}" for name in ("checks", "figures", "specs.schema", "plan.rules", "engine.sweep")}
    code = f"import sys, mlpiht_cli.cli as c; c.main({words}); print({needless} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "psnr" in done.stdout
    assert done.stdout.splitlines()[-1] == "set()"


def test_the_collector_leaves_out_what_a_lazy_module_makes_and_goes_on_afterwards() -> None:
    code = (
        "import gc, sys; from mlpiht_cli.system.lazy import import_lazily, kept_for_good; import_lazily('wave')\n"
        "seen = []; gc.callbacks.append(lambda phase, facts: seen.append(phase))\n"
        "import wave; frozen = gc.get_freeze_count()\n"
        "wave.open; assert gc.get_freeze_count() > frozen and gc.isenabled(); seen.clear()\n"
        "try:\n"
        "    with kept_for_good():\n"
        "        kept = [[] for _ in range(10_000)]; assert not seen; raise ValueError\n"
        "except ValueError: pass\n"
        "assert gc.isenabled(); gc.disable()\n"
        "with kept_for_good(): pass\n"
        "assert not gc.isenabled(), 'who turned it off keeps it off'\n"
        "import atexit; young = [[] for _ in range(100)]; frozen = gc.get_freeze_count(); atexit._run_exitfuncs()\n"
        "assert gc.get_freeze_count() >= frozen + 100, 'nor is anything looked at when the process ends'"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_lazy_module_is_an_ordinary_one_once_it_is_used() -> None:
    code = (
        "from mlpiht_cli.system.lazy import import_lazily; import sys; import_lazily('wave'); import wave; "
        "before = 'open' in vars(wave); found = wave.Wave_read; "
        "print(before, wave is sys.modules['wave'], type(wave).__name__, found.__module__, hasattr(wave, 'nothing'))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True", "module", "wave", "False"]
