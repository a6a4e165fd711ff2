"""Imports point one way, and nothing below plan prints, reads clocks or touches global random state."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "mlpiht_cli"

FLOORS = [
    {"errors", "rng"},
    {"system", "specs", "linalg"},
    {"core"},
    {"records"},
    {"analysis"},
    {"tasks", "solvers", "baselines", "figures", "checks"},
    {"plan"},
    {"engine"},
    {"commands"},
    {"cli"},
    {"__main__"},
]
"""A room imports from itself and from the floors below; rooms of one floor do not know each other."""
PURE = {"errors", "rng", "linalg", "core", "tasks", "solvers", "baselines"}
"""Rooms that decide results: no clocks, no files opened by hand, no global random state."""


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def sources() -> list[Path]:
    return [path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py"]


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imported(path: Path) -> set[str]:
    """Modules of the package that a file imports, anywhere in it and in any form, for types alone too."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names if alias.name.startswith("mlpiht_cli.")}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "mlpiht_cli":
            for alias in node.names:
                inner = ROOT / f"{node.module}.{alias.name}".replace(".", "/")
                is_module = inner.is_dir() or inner.with_suffix(".py").is_file()
                names.add(f"{node.module}.{alias.name}" if is_module else str(node.module))
        assert not (isinstance(node, ast.ImportFrom) and node.level), "imports are absolute"
    return names - {"mlpiht_cli"}


def rooms(names: set[str]) -> set[str]:
    return {name.split(".")[1] for name in names}


def modules(path: Path) -> set[str]:
    """Top-level modules from elsewhere that a file imports."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(str(node.module).split(".")[0])
    return names


def floor(room: str) -> int:
    return next(i for i, there in enumerate(FLOORS) if room in there)


def cycles(arrows: dict[str, set[str]]) -> list[set[str]]:
    """Groups of nodes that reach each other: what is left when all that nobody or nothing points at is taken away."""
    left = {node: {other for other in others if other in arrows} for node, others in arrows.items()}
    while True:
        pointed = set().union(*left.values()) if left else set()
        gone = {node for node, others in left.items() if not others or node not in pointed}
        if not gone:
            return [set(left)] if left else []
        left = {node: others - gone for node, others in left.items() if node not in gone}


def test_every_room_is_on_a_floor() -> None:
    there = {room_of(path) for path in sources()}
    assert there == set().union(*FLOORS)
    assert len([path for path in PACKAGE.glob("*.py")]) <= 6, "loose modules at the top"


@pytest.mark.parametrize("path", sources(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_point_down(path: Path) -> None:
    room = room_of(path)
    for other in rooms(imported(path)) - {room}:
        assert floor(other) < floor(room), f"{room} imports {other}"
    assert "mlpiht_cli.plan.registry" not in imported(path) or room == "plan", "plan alone imports the registry"


def test_there_is_no_cycle() -> None:
    arrows = {name_of(path): imported(path) for path in sources()}
    assert cycles(arrows) == []
    assert cycles({"a": {"b"}, "b": {"a"}, "c": {"a"}}) == [{"a", "b"}]


@pytest.mark.parametrize("path", sources(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_rooms_that_decide_results_are_pure(path: Path) -> None:
    pure = room_of(path) in PURE
    assert not pure or not modules(path) & {"time", "datetime", "random", "sys"}, "no clocks below plan"
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        assert name != "print", f"line {node.lineno}: print outside commands"
        if pure:
            assert name not in ("open", "torch.manual_seed", "torch.seed")
            assert not re.fullmatch(r"(np|numpy)\.random\.[a-z_]+", name), "global random state"
        if name in ("np.random.RandomState", "np.random.Philox", "np.random.Generator", "torch.Generator"):
            assert room_of(path) == "rng", f"line {node.lineno}: generators are made in rng.py alone"


@pytest.mark.parametrize("path", [*sources(), PACKAGE / "__init__.py"], ids=lambda p: str(p.relative_to(ROOT)))
def test_files_and_functions_stay_small(path: Path) -> None:
    text = path.read_text()
    assert text.count("\n") <= (80 if room_of(path) == "commands" and path.name[0] != "_" else 300)
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            first = node.body[0]
            is_doc = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
            start = node.body[1].lineno if is_doc and len(node.body) > 1 else node.lineno
            length = (node.end_lineno or start) - start + 1
            assert length <= 40, f"{node.name} has {length} lines of code"
            taken = [a.arg for a in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
            own = [name for name in taken if name not in ("self", "cls")]
            # Click hands every option of a command over by name; their number is the command's.
            limit = 9 if room_of(path) == "commands" or path.name == "cli.py" else 5
            assert len(own) <= limit, f"{node.name} has {len(own)} parameters"


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
    [["status", "smoke"], ["validate", "figure1"], ["specs", "list"], ["check", "table1"], ["plot", "table1"]],
    ids=lambda words: words[0],
)
def test_commands_that_compute_nothing_load_no_slow_module(words: list[str], tmp_path: Path) -> None:
    """A module may import torch, whose loading waits for its first use, but none may use it while it is imported."""
    slow = {"torch._C", "numba", "llvmlite", "scipy.linalg", "scipy.optimize", "pandas", "distributed"}
    if words[0] == "plot":
        shutil.copy(ROOT / "results" / f"{words[1]}.csv", tmp_path)
        words = [*words, "--out", str(tmp_path)]
    else:
        slow.add("matplotlib")
    code = f"import sys, mlpiht_cli.cli as c; c.main({words}); print({slow} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.splitlines()[-1] == "set()"


def test_a_lazy_module_is_an_ordinary_one_once_it_is_used() -> None:
    code = (
        "from mlpiht_cli.system.lazy import import_lazily; import sys; import_lazily('wave'); import wave; "
        "before = 'open' in vars(wave); found = wave.Wave_read; "
        "print(before, wave is sys.modules['wave'], type(wave).__name__, found.__module__, hasattr(wave, 'nothing'))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True", "module", "wave", "False"]
