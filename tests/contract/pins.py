"""Which sources decide the results of tasks and methods, and a hash of them that comments do not move.

``python -m tests.contract.pins`` (``make pins``) writes the pins: run it after a version was raised, or to say that a
change of the source leaves all results as they are.
"""

from __future__ import annotations

import ast
import hashlib
import json
import sys
from functools import cache
from pathlib import Path
from typing import Any

from mlpiht_cli.plan.registry import METHODS, TASKS

ROOT = Path(__file__).resolve().parents[2]
PINS = Path(__file__).with_name("source_pins.json")
# What files look like and where they come from does not decide what is in them; checksums do that.
NEUTRAL = {f"mlpiht_cli.{name}" for name in ("errors", "system.files", "system.memory", "system.npz", "linalg.threads")}

Pins = dict[str, dict[str, Any]]


@cache
def normal(source: str) -> str:
    """The code without comments, docstrings, positions and layout; the same in all versions of Python."""
    return _text(ast.parse(source))


def _text(node: Any) -> str:
    if isinstance(node, list):
        return "[" + ",".join(_text(one) for one in node) + "]"
    if not isinstance(node, ast.AST):
        return f"{type(node).__name__} {node!r}"
    fields = {name: value for name, value in ast.iter_fields(node) if value not in (None, []) and name != "kind"}
    if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        fields["body"] = [one for one in node.body if not _is_text(one)]
    return type(node).__name__ + "(" + ",".join(f"{name}={_text(value)}" for name, value in fields.items()) + ")"


def _is_text(node: ast.stmt) -> bool:
    """Docstrings of modules, classes, functions and attributes."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def closure(module: str, root: Path = ROOT) -> list[str]:
    """The module and all of the package that it imports, directly or not, but for what is neutral."""
    seen: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name in seen or name in NEUTRAL or not _file(name, root).is_file():
            continue
        seen.add(name)
        waiting += _imported(_file(name, root).read_text())
    return sorted(seen)


@cache
def _imported(source: str) -> tuple[str, ...]:
    """Modules of the package that a module may import."""
    found: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("mlpiht_cli"):
            found += [str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)]
    return tuple(found)


def _file(module: str, root: Path) -> Path:
    return root / (module.replace(".", "/") + ".py")


def digest(text: str) -> str:
    """Short hash."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def current(root: Path = ROOT) -> Pins:
    """Hashes of the sources as they are, and versions and modules of every task and method."""
    kinds = {
        f"{what} {name}": kind for what, known in (("task", TASKS), ("method", METHODS)) for name, kind in known.items()
    }
    classes = {
        name: {"version": kind.version, "modules": closure(kind.__module__, root)} for name, kind in kinds.items()
    }
    modules = sorted({module for one in classes.values() for module in one["modules"]})
    return {"classes": classes, "modules": {one: digest(normal(_file(one, root).read_text())) for one in modules}}


def faults(pinned: Pins, now: Pins) -> list[str]:
    """Tasks and methods whose sources changed while their version did not, and pins that are out of date."""
    out = []
    for name, kind in now["classes"].items():
        before = pinned["classes"].get(name)
        if before is None or before["version"] != kind["version"]:
            out.append(f"{name}: version {kind['version']} is not pinned; run `make pins`")
            continue
        both = {*before["modules"], *kind["modules"]}
        moved = sorted(one for one in both if pinned["modules"].get(one) != now["modules"].get(one))
        if moved:
            out.append(
                f"{name}: {', '.join(moved)} changed. If its results may change, raise its version; then, or if they "
                "are the same, run `make pins`"
            )
    return out + [
        f"{name}: is pinned, but not registered; run `make pins`" for name in pinned["classes"].keys() - now["classes"]
    ]


def main() -> None:
    """Write the pins, and say what they settle."""
    settled = faults(json.loads(PINS.read_text()), current()) if PINS.exists() else []
    PINS.write_text(json.dumps(current(), indent=1) + "\n")
    sys.stdout.write("".join(f"settled: {fault.partition('. ')[0]}\n" for fault in settled) + f"{PINS} written\n")


if __name__ == "__main__":
    main()
