"""Writes the generated parts of the pages, which stand between two comments: ``python docs/generate.py``.

A page says ``<!-- generated: KIND [NAME] -->`` and, further down, ``<!-- end -->``; what is between them comes from the
program itself: options from the commands, fields from the JSON schema, formulas from the docstrings. With ``--check``
nothing is written, and the exit code is 1 if a page is stale.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import schema_tables
from schema_tables import plain, table

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # the package of this checkout, whichever is installed
BLOCK = re.compile(r"<!-- generated: (?P<kind>\w+)(?: (?P<name>[\w ]+))? -->\n.*?<!-- end -->", re.DOTALL)


def options(name: str) -> str:
    """Arguments and options of a command, and of its subcommands."""
    from mlpiht_cli.cli import group

    command = group if name == "mlpiht" else group.get_command(click.Context(group), name)
    assert command is not None
    return "\n\n".join(_of_command(command, name))


def _of_command(command: click.Command, name: str) -> Iterator[str]:
    context = click.Context(command, info_name=name)
    shown = [param for param in command.params if isinstance(param, click.Option)]
    usage = " ".join(command.collect_usage_pieces(context))
    rows = [_of_option(option, context) for option in shown]
    yield f"`{'mlpiht' if name == 'mlpiht' else f'mlpiht {name}'} {usage}`"
    if rows:
        yield table(["option", "default", "what"], rows)
    if isinstance(command, click.Group) and name != "mlpiht":
        for sub in command.list_commands(context):
            inner = command.get_command(context, sub)
            assert inner is not None
            yield from _of_command(inner, f"{name} {sub}")


def _of_option(option: click.Option, context: click.Context) -> tuple[str, str, str]:
    metavar = "" if option.is_flag else f" {option.make_metavar(context)}"
    names = ", ".join(f"`{flag}`" for flag in [*option.opts, *option.secondary_opts][:-1])
    shown = f"{names + ', ' if names else ''}`{[*option.opts, *option.secondary_opts][-1]}{metavar}`"
    default = "required" if option.required else ""
    plain = isinstance(option.default, str | int | float | Path) and not option.is_flag
    if plain and not option.multiple:
        default = f"`{option.default}`"
    return shown, default, option.help or ""


def documented(function: Callable[..., Any]) -> str:
    """The docstring of a measure or kind as Markdown, without its sections.

    Raises
    ------
    SystemExit
        There is none.
    """
    text = inspect.getdoc(function)
    if not text:
        raise SystemExit(f"{function.__module__}.{function.__qualname__} has no docstring, which the page would show")
    return "\n\n".join(plain(part) for part in re.split(r"\n(?:Raises|Parameters|Returns)\n-+", text)[0].split("\n\n"))


def measures(_: str) -> str:
    """Measures of claims, with what they need."""
    from mlpiht_cli.checks.measures import COMPARISONS, MEASURES, NEED_LEVEL, NEED_WORD
    from mlpiht_cli.checks.thresholds import THRESHOLDS

    needs = {name: "`against`" for name in COMPARISONS} | {name: "`level`" for name in NEED_LEVEL | THRESHOLDS.keys()}
    needs |= {name: "`word` and `metric`" for name in NEED_WORD}
    said = {name: f" Needs {what}." for name, what in needs.items()}
    found = {**MEASURES, **THRESHOLDS}
    parts = [f"### {name}\n\n{documented(one)}{said.get(name, '')}" for name, one in found.items()]
    return "\n\n".join(parts)


def kinds(_: str) -> str:
    """Kinds of figures."""
    from mlpiht_cli.figures import FIGURES, TEXTS, function_of

    told = {name: [documented(function_of(one))] for name, one in FIGURES.items()}
    for name, formats in TEXTS.items():
        told.setdefault(name, []).append(_written_by(formats))
    return "\n\n".join("\n\n".join([f"### {name}", *parts]) for name, parts in told.items())


def _written_by(formats: Mapping[str, Callable[..., Any]]) -> str:
    """What a kind of table says in each of its formats."""
    from mlpiht_cli.figures import function_of

    return " ".join(documented(function_of(one)) for one in formats.values())


def metrics(_: str) -> str:
    """Metrics and other scores."""
    from mlpiht_cli.core.metric import METRICS

    rows = [
        (
            f"`{name}`",
            one.label,
            {True: "less", False: "more", None: ""}[one.falling],
            "" if one.exact is None else f"{one.exact:g}",
            "" if one.limits is None else f"{one.limits[0]:g} to {one.limits[1]:g}",
            "a metric of tasks" if one.score else "a column" if one.column else "among `measures`",
        )
        for name, one in METRICS.items()
    ]
    return table(["name", "what", "better", "exact from", "colours", "where"], rows)


def packages(_: str) -> str:
    """The packages in lines, each of which needs those below it, and what each imports."""
    arrows = imports()
    heights: dict[str, int] = {}
    while len(heights) < len(arrows):
        ready = [room for room in arrows if room not in heights and arrows[room] <= heights.keys()]
        if not ready:
            raise SystemExit(f"packages import each other in a circle: {sorted(arrows.keys() - heights.keys())}")
        heights |= {room: 1 + max((heights[one] for one in arrows[room]), default=-1) for room in ready}
    levels: dict[int, list[str]] = {}
    for room in sorted(heights):
        levels.setdefault(heights[room], []).append(room)
    wide = max(len("   ".join(rooms)) for rooms in levels.values())
    picture = f"\n{'|':^{wide}}".rstrip().join(
        f"\n{'   '.join(levels[i]):^{wide}}".rstrip() for i in sorted(levels)[::-1]
    )
    rows = [
        (f"`{room}`", ", ".join(f"`{one}`" for one in sorted(arrows[room])))
        for i in sorted(levels)[::-1]
        for room in levels[i]
    ]
    return f"```text{picture}\n```\n\n{table(['package', 'imports'], rows)}"


def imports() -> dict[str, set[str]]:
    """Packages of the house, and which others each imports, for types too."""
    house = ROOT / "mlpiht_cli"
    arrows: dict[str, set[str]] = {"cli": {"commands"}}  # which it finds by their names
    for path in house.rglob("*.py"):
        room = path.relative_to(house).parts[0].removesuffix(".py")
        if room in ("__init__", "__main__"):
            continue
        found = re.findall(r"^\s*(?:from|import) mlpiht_cli\.(\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
        named = re.findall(r"^\s*from mlpiht_cli import (\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
        rooms = {*found, *(name for name in named if (house / name).exists() or (house / f"{name}.py").exists())}
        arrows.setdefault(room, set()).update(rooms - {room})
    return arrows


GENERATED: dict[str, Callable[[str], str]] = {
    "options": options,
    "fields": schema_tables.fields,
    "every": schema_tables.every,
    "measures": measures,
    "kinds": kinds,
    "metrics": metrics,
    "packages": packages,
}


def filled(text: str) -> str:
    """A page with its generated parts made again."""

    def fill(found: re.Match[str]) -> str:
        opening = found[0].partition("\n")[0]
        return f"{opening}\n\n{GENERATED[found['kind']](found['name'] or '')}\n\n<!-- end -->"

    return BLOCK.sub(fill, text)


def main(arguments: Sequence[str]) -> int:
    """Fill all pages, or with ``--check`` say which are stale."""
    stale = []
    for path in sorted((ROOT / "docs").glob("*.md")):
        before = path.read_text(encoding="utf-8")
        after = filled(before)
        if after != before:
            stale.append(path.name)
            if "--check" not in arguments:
                path.write_text(after, encoding="utf-8")
    if stale:
        print(f"{'stale' if '--check' in arguments else 'written'}: {', '.join(stale)}")
    return 1 if stale and "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
