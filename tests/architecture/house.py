"""Measure the house: how the package of a checkout is divided, and where its rules stand more than once.

``python -m tests.architecture.house [FOLDER ...]`` prints a Markdown table with a column for each checkout (by default
this one). Sources are parsed and never imported, so a checkout of any commit can be measured.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NAME = "mlpiht_cli"
LONGEST_FILE, LONGEST_FUNCTION = 300, 40
METRICS = {"psnr", "accuracy", "r2", "relative_error"}

Arrows = dict[str, set[str]]
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Source:
    """One file of the package."""

    root: Path
    path: Path

    @property
    def room(self) -> str:
        """Package or module at the top of ``mlpiht_cli`` that the file belongs to."""
        return self.path.relative_to(self.root / NAME).parts[0].removesuffix(".py")

    @property
    def module(self) -> str:
        """Name that ``import`` knows the file by."""
        return ".".join(self.path.relative_to(self.root).with_suffix("").parts).removesuffix(".__init__")

    @cached_property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @property
    def functions(self) -> Iterator[Function]:
        """Functions and methods, nested ones too."""
        return (node for node in ast.walk(self.tree) if isinstance(node, Function))

    @property
    def owned_functions(self) -> Iterator[tuple[Function, str]]:
        """Functions at the top of the file and methods, each with the name of its class if it has one."""
        for node in self.tree.body:
            if isinstance(node, Function):
                yield node, ""
            elif isinstance(node, ast.ClassDef):
                yield from ((inner, node.name) for inner in node.body if isinstance(inner, Function))

    def place(self, node: Function) -> str:
        """A function by its file."""
        return f"{self.path.relative_to(self.root / NAME)}: {node.name}"

    @property
    def imported(self) -> set[str]:
        """Modules of the package that the file imports, anywhere in it and in any form, for types alone too."""
        names = set()
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names if alias.name.startswith(f"{NAME}.")}
            elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == NAME:
                for alias in node.names:
                    inner = self.root / f"{node.module}.{alias.name}".replace(".", "/")
                    is_module = inner.is_dir() or inner.with_suffix(".py").is_file()
                    names.add(f"{node.module}.{alias.name}" if is_module else str(node.module))
            assert not (isinstance(node, ast.ImportFrom) and node.level), "imports are absolute"
        return names - {NAME}


@dataclass(frozen=True)
class House:
    """The package in a checkout; each measure is a number, or a list of places whose number counts."""

    root: Path = ROOT

    @cached_property
    def every(self) -> list[Source]:
        """All files."""
        return [Source(self.root, path) for path in sorted((self.root / NAME).rglob("*.py"))]

    @property
    def sources(self) -> list[Source]:
        """All files but the package's own ``__init__``, which everything imports."""
        return [source for source in self.every if source.module != NAME]

    @property
    def loose(self) -> list[str]:
        """Modules at the top."""
        return [path.name for path in sorted((self.root / NAME).glob("*.py"))]

    @cached_property
    def rooms(self) -> Arrows:
        """Rooms, each with the rooms that it imports."""
        arrows: Arrows = {source.room: set() for source in self.sources}
        for source in self.sources:
            arrows[source.room] |= {name.split(".")[1] for name in source.imported} - {source.room}
        return arrows

    @property
    def arrows(self) -> list[str]:
        """Imports between rooms."""
        return [f"{room} -> {other}" for room, others in self.rooms.items() for other in others]

    @property
    def floors(self) -> int:
        """Rooms in the longest chain of imports; rooms that import each other count as one."""
        return longest_chain(self.rooms)

    @property
    def cycles(self) -> list[set[str]]:
        """Groups of modules that import each other."""
        return cycles({source.module: source.imported for source in self.sources})

    @property
    def long_files(self) -> list[str]:
        return [source.module for source in self.every if source.text.count("\n") > LONGEST_FILE]

    @property
    def long_functions(self) -> list[str]:
        """Functions with more lines of code than are allowed; a docstring does not count."""
        return [
            source.place(function)
            for source in self.every
            for function in source.functions
            if length(function) > LONGEST_FUNCTION
        ]

    @property
    def diverged_fits(self) -> list[str]:
        """Calls of ``Fit(...)`` or ``replace(...)`` that are given ``Status.DIVERGED``.

        It stands among the arguments, or a name does that the same function sets to an expression with it.
        """
        return [
            source.place(function)
            for source in self.every
            for function in source.functions
            for call in ast.walk(function)
            if _is_call_of(call, {"Fit", "replace"}) and _says_diverged(call, _diverged_names(function))
        ]

    @property
    def numbers(self) -> list[str]:
        """Files that turn a row into a number: a function there takes a ``Row`` and returns a float.

        A method of the class ``Row`` counts as well; a function that reads the settings of a row (``params``) does not.
        """
        return [
            source.module
            for source in self.every
            if any(_makes_a_number(function, owner) for function, owner in source.owned_functions)
        ]

    @property
    def metric_facts(self) -> list[str]:
        """Files that list two metrics or more by name, or compare a metric with a name.

        A list is a literal dict, set, list or tuple, or ``Literal[...]``; a ``case`` compares, too.
        """
        return [source.module for source in self.every if any(_is_metric_fact(node) for node in ast.walk(source.tree))]

    @property
    def readme(self) -> list[str]:
        """Lines of the README."""
        return (self.root / "README.md").read_text(encoding="utf-8").splitlines()

    @property
    def method_depth(self) -> int:
        """Classes from the deepest method up to ``Settings``, both counted."""
        bases: Arrows = {}
        for source in self.every:
            for node in ast.walk(source.tree):
                if isinstance(node, ast.ClassDef):
                    bases.setdefault(node.name, set()).update(_last_name(base) for base in node.bases)
        methods = {name for name in bases if "Method" in _reachable(bases, name) | {name}}
        return longest_chain({name: bases[name] & (methods | {"Settings"}) for name in methods | {"Settings"}})

    @property
    def table(self) -> dict[str, int]:
        """All measures by what they are called."""
        return {
            "loose modules at the top": len(self.loose),
            "rooms": len(self.rooms),
            "floors of imports between rooms": self.floors,
            "import arrows between rooms": len(self.arrows),
            "cycles of modules": len(self.cycles),
            f"files over {LONGEST_FILE} lines": len(self.long_files),
            f"functions over {LONGEST_FUNCTION} lines": len(self.long_functions),
            "places that build a diverged fit": len(self.diverged_fits),
            "files that turn a row into a number": len(self.numbers),
            "files that hold facts of a metric": len(self.metric_facts),
            "lines of the README": len(self.readme),
            "characters of its longest line": max(len(line) for line in self.readme),
            "depth of the method classes": self.method_depth,
        }


def length(function: Function) -> int:
    """Lines of code of a function without its docstring."""
    first = function.body[0]
    is_doc = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    start = function.body[1].lineno if is_doc and len(function.body) > 1 else function.lineno
    return (function.end_lineno or start) - start + 1


def cycles(arrows: Arrows) -> list[set[str]]:
    """Groups of nodes that reach each other."""
    reach = {node: _reachable(arrows, node) for node in arrows}
    groups = {frozenset(other for other in reach[node] if node in reach.get(other, ())) for node in arrows}
    return [set(group) for group in sorted(groups, key=sorted) if group]


def longest_chain(arrows: Arrows) -> int:
    """Number of nodes in the longest chain of arrows, each group of :func:`cycles` being one node."""
    one = {node: min(group) for group in cycles(arrows) for node in group}
    left: Arrows = {}
    for node, others in arrows.items():
        me = one.get(node, node)
        left.setdefault(me, set()).update({one.get(other, other) for other in others if other in arrows} - {me})
    floors = 0
    while left:
        lowest = {node for node, others in left.items() if not others}
        left = {node: others - lowest for node, others in left.items() if node not in lowest}
        floors += 1
    return floors


def _reachable(arrows: Arrows, start: str) -> set[str]:
    """Nodes that a chain of arrows from a node leads to."""
    found: set[str] = set()
    waiting = [start]
    while waiting:
        new = arrows.get(waiting.pop(), set()) - found
        found |= new
        waiting += new
    return found


def _last_name(node: ast.expr) -> str:
    """``c`` of ``a.b.c`` and of ``c[...]``; empty for other expressions."""
    if isinstance(node, ast.Subscript):
        return _last_name(node.value)
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _is_call_of(node: ast.AST, names: set[str]) -> bool:
    return isinstance(node, ast.Call) and _last_name(node.func) in names


def _says_diverged(node: ast.AST, names: set[str]) -> bool:
    return any(
        (isinstance(one, ast.Attribute) and one.attr == "DIVERGED") or (isinstance(one, ast.Name) and one.id in names)
        for one in ast.walk(node)
    )


def _diverged_names(function: Function) -> set[str]:
    """Names that a function sets to an expression with ``Status.DIVERGED``."""
    names = set()
    for node in ast.walk(function):
        if isinstance(node, ast.Assign):
            for target, value in _pairs(node.targets[0], node.value):
                if isinstance(target, ast.Name) and _says_diverged(value, set()):
                    names.add(target.id)
    return names


def _pairs(target: ast.expr, value: ast.expr) -> Iterable[tuple[ast.expr, ast.expr]]:
    """Targets with their values, also in ``a, b = x, y``."""
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        return zip(target.elts, value.elts, strict=True)
    return [(target, value)]


def _makes_a_number(function: Function, owner: str) -> bool:
    returns = "" if function.returns is None else ast.unparse(function.returns)
    taken = [ast.unparse(one.annotation) for one in function.args.args if one.annotation is not None]
    reads_settings = any(isinstance(node, ast.Attribute) and node.attr == "params" for node in ast.walk(function))
    is_float = returns in ("float", "float | None")
    return is_float and ("Row" in taken or owner == "Row") and not reads_settings


def _is_metric_fact(node: ast.AST) -> bool:
    if isinstance(node, ast.Compare):
        return bool(_metrics_in(ast.walk(node)))
    if isinstance(node, ast.MatchValue):
        return bool(_metrics_in([node.value]))
    if isinstance(node, ast.Dict):
        return len(_metrics_in([*filter(None, node.keys), *node.values])) > 1
    return isinstance(node, ast.Set | ast.List | ast.Tuple) and len(_metrics_in(node.elts)) > 1


def _metrics_in(nodes: Iterable[ast.AST]) -> set[object]:
    return METRICS & {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def markdown(folders: Iterable[Path]) -> str:
    """The measures of several checkouts, a column each."""
    houses = [House(folder.resolve()) for folder in folders]
    tables = [house.table for house in houses]
    rows = [["", *(house.root.name for house in houses)], ["---", *("---:" for _ in houses)]]
    rows += [[name, *(str(table[name]) for table in tables)] for name in tables[0]]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


if __name__ == "__main__":
    print(markdown([Path(word) for word in sys.argv[1:]] or [ROOT]))
