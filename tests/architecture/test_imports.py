"""Imports point one way, and nothing below plan prints, reads clocks or touches global random state."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "mlpiht_cli"

# A module may import from its own level or below. Leaves beside the chain: see LEAVES.
LEVELS = [
    {"errors", "files", "memory", "npz", "rng", "linalg"},
    {"problem", "model", "batches", "settings"},
    {"method", "task", "metrics"},
    {"tasks", "solvers", "baselines"},
    {"registry"},
    {"cells", "plan", "cost", "shards"},
    {"peak", "provenance", "runner", "dataset_file"},
    {"executors"},
    {"sweep", "pictures", "stale", "clean", "rerun"},
    {"commands"},
    {"cli", "lazy"},
    {"__main__"},
]
# Torch-free leaves beside the chain: what they may import, and who may import them.
LEAVES = {
    "specs": {"errors", "specs", "rows"},
    "rows": {"errors", "files", "memory", "rows"},
    "store": {"errors", "files", "memory", "rows", "store"},
    "scaling": set(),
    "figures": {"errors", "files", "rows", "scaling", "specs", "figures"},
    "checks": {"errors", "files", "rows", "scaling", "specs", "checks"},
}
USERS = {
    "specs": {"cells", "plan", "stale", "clean", "figures", "checks", "pictures", "rerun", "commands"},
    "rows": {
        "metrics",
        "specs",
        "store",
        "figures",
        "checks",
        "runner",
        "executors",
        "sweep",
        "pictures",
        "cost",
        "stale",
        "clean",
        "rerun",
        "commands",
    },
    "scaling": {"figures", "checks"},
    "store": {"executors", "sweep", "stale", "clean", "commands"},
    "figures": {"plan", "pictures", "commands"},
    "checks": {"plan", "commands"},
}


def part_of(path: Path) -> str:
    relative = path.relative_to(PACKAGE)
    return relative.parts[0].removesuffix(".py")


def sources() -> list[Path]:
    return [path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py"]


def imported(path: Path) -> set[str]:
    """Parts of the package that a file imports, anywhere in it and in any form."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("mlpiht_cli.")}
        elif isinstance(node, ast.ImportFrom) and node.module == "mlpiht_cli":
            names |= {alias.name for alias in node.names if not alias.name.startswith("__")}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("mlpiht_cli."):
            names.add(str(node.module).split(".")[1])
        assert not (isinstance(node, ast.ImportFrom) and node.level), "imports are absolute"
    return names


def modules(path: Path) -> set[str]:
    """Top-level modules from elsewhere that a file imports."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(str(node.module).split(".")[0])
    return names


def level(part: str) -> int:
    return next(i for i, parts in enumerate(LEVELS) if part in parts)


@pytest.mark.parametrize("path", sources(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_point_down(path: Path) -> None:
    part = part_of(path)
    if part in LEAVES:
        assert imported(path) <= LEAVES[part]
        return
    for other in imported(path):
        if other in LEAVES:
            assert part in USERS[other], f"{part} imports {other}"
        else:
            assert level(other) <= level(part), f"{part} imports {other}"
    if part in ("tasks", "solvers", "baselines"):
        others = {"tasks", "solvers", "baselines"} - {part}
        assert not imported(path) & others, "tasks, solvers and baselines do not know each other"
    assert "registry" not in imported(path) or part in ("plan", "registry"), "plan alone imports the registry"


@pytest.mark.parametrize("path", sources(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_calls_below_plan(path: Path) -> None:
    part = part_of(path)
    below = part not in LEAVES and level(part) < level("plan")
    assert not below or not modules(path) & {"time", "datetime", "random", "sys"}, "no clocks below plan"
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        assert name != "print", f"line {node.lineno}: print outside commands"
        if below:
            assert name not in ("open", "torch.manual_seed", "torch.seed")
            assert not re.fullmatch(r"(np|numpy)\.random\.[a-z_]+", name), "global random state"
        if name in ("np.random.RandomState", "np.random.Philox", "np.random.Generator", "torch.Generator"):
            assert part == "rng", f"line {node.lineno}: generators are made in rng.py alone"


@pytest.mark.parametrize("path", [*sources(), PACKAGE / "__init__.py"], ids=lambda p: str(p.relative_to(ROOT)))
def test_files_and_functions_stay_small(path: Path) -> None:
    text = path.read_text()
    assert text.count("\n") <= (80 if part_of(path) == "commands" and path.name[0] != "_" else 300)
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
            limit = 9 if part_of(path) == "commands" or path.name == "cli.py" else 5
            assert len(own) <= limit, f"{node.name} has {len(own)} parameters"


@pytest.mark.parametrize(
    "module",
    [
        "mlpiht_cli.cli",
        "mlpiht_cli.figures",
        "mlpiht_cli.checks.source",
        "mlpiht_cli.checks.text",
        "mlpiht_cli.store",
        "mlpiht_cli.specs.schema",
    ],
)
def test_light_modules_do_not_import_torch(module: str) -> None:
    code = f"import sys, {module}; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize("words", [["status", "smoke"], ["validate", "figure1"], ["specs", "list"]])
def test_commands_that_compute_nothing_load_no_slow_module(words: list[str]) -> None:
    """A module may import torch, whose loading waits for its first use, but none may use it while it is imported."""
    slow = {"torch._C", "matplotlib", "scipy.linalg", "scipy.optimize", "pandas", "distributed"}
    code = f"import sys, mlpiht_cli.cli as c; c.main({words}); print({slow} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.splitlines()[-1] == "set()"


def test_a_lazy_module_is_an_ordinary_one_once_it_is_used() -> None:
    code = (
        "from mlpiht_cli.lazy import import_lazily; import sys; import_lazily('wave'); import wave; "
        "before = 'open' in vars(wave); found = wave.Wave_read; "
        "print(before, wave is sys.modules['wave'], type(wave).__name__, found.__module__, hasattr(wave, 'nothing'))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True", "module", "wave", "False"]
