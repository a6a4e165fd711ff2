"""Strict YAML with positions: unknown and duplicate keys are errors, and every error names file:line:col."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from mlpiht_cli.errors import InputError
from mlpiht_cli.specs.yaml_words import in_words, mark_of

Location = tuple[str | int, ...]
"""Path of a value in a document: keys and list positions."""

_PLAIN = "tag:yaml.org,2002:"
MAX_BYTES = 500_000
MAX_VALUES = 50_000
"""Values of a document with its aliases written out."""
MAX_FAULTS = 50
MAX_DEPTH = 20


@dataclass(frozen=True)
class Fault:
    """One thing wrong with a document, and where; ``mark`` (line, column) if not at the value of that name."""

    location: Location
    message: str
    mark: tuple[int, int] | None = None


@dataclass(frozen=True)
class Document:
    """A parsed YAML file: plain values, and the position of each of them."""

    path: Path
    data: Any
    marks: dict[Location, tuple[int, int]]
    faults: tuple[Fault, ...] = ()
    """Duplicate keys."""

    def error(self, faults: Iterable[Fault]) -> InputError:
        """All faults in one error, in the order of the file."""
        lines = sorted(
            (*(fault.mark or self.position(fault.location)), _dotted(fault.location), fault.message) for fault in faults
        )
        told = [
            f"{self.path}:{line}:{col}: {where + ': ' if where else ''}{message}"
            for line, col, where, message in lines[:MAX_FAULTS]
        ]
        return InputError(
            "\n".join([*told, *([f"... and {len(lines) - MAX_FAULTS} more"] if len(lines) > MAX_FAULTS else [])])
        )

    def position(self, location: Location) -> tuple[int, int]:
        """Line and column (from 1) of a value, or of the nearest thing around it."""
        while location and location not in self.marks:
            location = location[:-1]
        return self.marks.get(location, (1, 1))


def _dotted(location: Location) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
    return text.lstrip(".")


class _Loader(yaml.SafeLoader):
    """Safe loader with the plain scalars of YAML 1.2: ``1e-3`` is a float, ``no`` and ``1:30`` are strings."""

    _depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Stop at the depth that no document has: PyYAML's time grows with its square."""
        if self._depth > MAX_DEPTH:
            place = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.MarkedYAMLError(problem="nested too deeply", problem_mark=place)
        self._depth += 1
        node: yaml.Node | None = super().compose_node(parent, index)
        self._depth -= 1
        return node


_SCALARS = (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?[0-9]+", "-+0123456789"),
    (
        "float",
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        "-+.0123456789",
    ),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
)
_Loader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in _SCALARS:
    _Loader.add_implicit_resolver(f"{_PLAIN}{_tag}", re.compile(rf"^(?:{_pattern})$"), list(_first))

# PyYAML would read 010 as eight; YAML 1.2 and people read ten.
_Loader.add_constructor(f"{_PLAIN}int", lambda _, node: int(node.value, 10))


def parse_scalar(text: str) -> Any:
    """Read one YAML value, as in ``--set name=value``.

    Raises
    ------
    InputError
        The text is not YAML, or gives a key twice.
    """
    document = parse(text, Path(f"'{text}'"))
    if document.faults:
        raise document.error(document.faults)
    return document.data


def read_document(path: Path) -> Document:
    """Read a YAML file.

    Raises
    ------
    InputError
        Unreadable, not UTF-8, too large or malformed; duplicate keys are noted in the document.
    """
    try:
        raw = path.read_bytes()
        if len(raw) > MAX_BYTES:
            raise InputError(f"{path}: {len(raw)} bytes are too many for a spec")
        return parse(raw.decode("utf-8"), path)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}: is not UTF-8 text (byte {error.object[error.start]:#04x}); save it as UTF-8"
        ) from error


def parse(text: str, path: Path) -> Document:
    """Parse YAML text; ``path`` is for messages."""
    loader: _Loader | None = None
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        builder = _Builder(loader)
        data = None if node is None else builder.build(node, (), 0)
    except yaml.YAMLError as error:
        mark = mark_of(error, text)
        place = f":{mark[0]}:{mark[1]}" if mark else ""
        raise InputError(f"{path}{place}: malformed YAML: {in_words(error)}") from error
    except RecursionError as error:
        raise InputError(f"{path}: malformed YAML: nested too deeply") from error
    finally:
        if loader is not None:
            loader.dispose()
    return Document(path, data, builder.marks, tuple(builder.faults))


class _Builder:
    """Plain values from a node tree, with positions and duplicate keys noted."""

    def __init__(self, loader: _Loader) -> None:
        self._loader = loader
        self.marks: dict[Location, tuple[int, int]] = {}
        self.faults: list[Fault] = []

    def build(self, node: yaml.Node, location: Location, depth: int) -> Any:
        if depth > MAX_DEPTH:
            raise yaml.MarkedYAMLError(problem="nested too deeply", problem_mark=node.start_mark)
        if len(self.marks) > MAX_VALUES:
            raise yaml.MarkedYAMLError(problem="too many values (aliases?)", problem_mark=node.start_mark)
        self.marks.setdefault(location, (node.start_mark.line + 1, node.start_mark.column + 1))
        if isinstance(node, yaml.CollectionNode) and node.tag not in (f"{_PLAIN}map", f"{_PLAIN}seq"):
            raise yaml.MarkedYAMLError(problem=f"{node.tag} is not allowed here", problem_mark=node.start_mark)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, location, depth)
        if isinstance(node, yaml.SequenceNode):
            return [self.build(item, (*location, i), depth + 1) for i, item in enumerate(node.value)]
        value = self._scalar(node)
        if not isinstance(value, str | int | float | bool | None):
            raise yaml.MarkedYAMLError(problem=f"{node.tag} is not allowed here", problem_mark=node.start_mark)
        return value

    def _scalar(self, node: yaml.Node) -> Any:
        try:
            return self._loader.construct_object(node)
        except (ValueError, LookupError, TypeError, AttributeError) as error:  # PyYAML looks at no value before it
            what = "the value does not fit its tag, or has thousands of digits; write a plain value"
            raise yaml.MarkedYAMLError(problem=what, problem_mark=node.start_mark) from error

    def _mapping(self, node: yaml.MappingNode, location: Location, depth: int) -> dict[str, Any]:
        out: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = self._scalar(key_node) if isinstance(key_node, yaml.ScalarNode) else None
            if not isinstance(key, Hashable) or not isinstance(key, str):
                raise yaml.MarkedYAMLError(problem="keys must be names", problem_mark=key_node.start_mark)
            place = (*location, key)
            mark = (key_node.start_mark.line + 1, key_node.start_mark.column + 1)
            if key in out:
                first = self.marks[place][0]
                self.faults.append(Fault(place, f"duplicate key, first given in line {first}", mark))
                continue
            self.marks[place] = mark
            out[key] = self.build(value_node, place, depth + 1)
        return out
