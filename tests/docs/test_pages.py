"""README and docs/: links lead somewhere, code runs, specs are valid, commands exist, generated parts are fresh."""

from __future__ import annotations

import importlib
import os
import re
import shlex
from collections.abc import Callable, Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import click
import pytest
import yaml
from markdown_it import MarkdownIt
from pydantic import TypeAdapter
from sybil import Document, Example, Sybil
from sybil.parsers.markdown import CodeBlockParser, PythonCodeBlockParser

from mlpiht_cli.cli import group, main
from mlpiht_cli.core.metric import METRICS
from mlpiht_cli.figures import FIGURES
from mlpiht_cli.plan.registry import METHODS, TASKS
from mlpiht_cli.records.rows import Row
from mlpiht_cli.specs import figure, schema

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]
NUMBER = r"(?<![\w.])-?\d+(?:\.\d+)?(?:e[-+]?\d+)?(?![\w.])"
CLOSE = 0.02
"""Share by which a printed number may differ from the page's: machines round differently."""

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    """The script that writes the generated parts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(DOCS))
        return importlib.import_module("generate")


@every_page
def test_generated_parts_are_fresh(page: Path, generator: ModuleType) -> None:
    text = page.read_text(encoding="utf-8")
    assert generator.filled(text) == text, "run `make pages`"


def test_every_example_of_a_field_is_one(generator: ModuleType) -> None:
    """Each example has the type that the schema says."""
    parts = {**vars(figure), **vars(schema)}
    for part, examples in generator.schema_tables.examples().items():
        assert examples, part
        for field, value in examples.items():
            TypeAdapter(parts[part].model_fields[field].rebuild_annotation()).validate_python(value)


def test_every_column_of_a_row_is_told() -> None:
    told = re.findall(r"^\| (`.+?`) \|", (DOCS / "data_and_rows.md").read_text(encoding="utf-8"), re.MULTILINE)
    columns = [name for cell in told for name in re.findall(r"`(\w+)`", cell)]
    assert sorted(columns) == sorted(field.alias or name for name, field in Row.model_fields.items())


def test_the_readme_fits_on_a_screen() -> None:
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 150
    assert [line for line in lines if len(line) > 100] == []


@every_page
def test_targets_of_make_exist(page: Path) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    text = page.read_text(encoding="utf-8")
    named = {name for name in re.findall(r"(?:^|`)make ([a-z][\w-]*)", text, re.MULTILINE) if name != "table"}
    assert {name for name in named if not re.search(rf"\b{re.escape(name)}\b", makefile)} == set()


# Links


@cache
def headings(text: str) -> set[str]:
    """Anchors of a page's headings, as GitHub and the site name them."""
    tokens = MarkdownIt().enable("table").parse(text)
    found: dict[str, int] = {}
    anchors = set()
    for opening, inline in pairwise(tokens):
        if opening.type == "heading_open":
            title = "".join(child.content for child in inline.children or [])
            name = re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
            anchors.add(f"{name}-{found[name]}" if name in found else name)
            found[name] = found.get(name, 0) + 1
    return anchors


def links(text: str) -> Iterator[str]:
    """Targets of the links and pictures of a page."""
    for token in MarkdownIt().enable("table").parse(text):
        for child in token.children or []:
            target = child.attrGet("href") if child.type == "link_open" else child.attrGet("src")
            if child.type in ("link_open", "image"):
                yield str(target)


@every_page
def test_links_lead_somewhere(page: Path) -> None:
    for target in links(page.read_text(encoding="utf-8")):
        if target.startswith(("http://", "https://")):
            continue
        file, _, anchor = target.partition("#")
        path = page.parent / file if file else page
        assert path.is_file(), target
        assert not anchor or anchor in headings(path.read_text(encoding="utf-8")), target


def test_a_broken_link_is_found() -> None:
    assert [*links("a [b](c.md#d) ![e](f.png)")] == ["c.md#d", "f.png"]
    assert headings("# A `b`, c\n## A b c\n") == {"a-b-c", "a-b-c-1"}


# Code


def comment(example: Example) -> str:
    """The HTML comment right above a block, or nothing."""
    above = example.document.text[: example.region.start].rstrip().rpartition("\n")[2]
    found = re.fullmatch(r"<!-- (.*) -->", above.strip())
    return found[1] if found else ""


def check_yaml(example: Example) -> None:
    """A whole spec is written to its file and validated; a fragment is put over the spec that it is a part of."""
    data = yaml.safe_load(example.parsed)
    if "spec_version" in data:
        path = Path(f"{data['name']}.yaml")
        path.write_text(example.parsed, encoding="utf-8")
        assert main(["validate", str(path)]) == 0, "stderr says why"
        return
    base = comment(example).removeprefix("fragment of ")
    whole = yaml.safe_load(Path(f"{base}.yaml").read_text(encoding="utf-8"))
    path = Path("fragment.yaml")
    path.write_text(yaml.safe_dump({**whole, **data}, sort_keys=False), encoding="utf-8")
    assert main(["validate", str(path)]) == 0, "stderr says why"


def commands_of(text: str) -> Iterator[tuple[list[str], str, str]]:
    """Words of each command of a console block, the file that its output goes to, and the output below it."""
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        line, _, output = part.partition("\n")
        line, _, file = line.partition(" > ")
        yield shlex.split(line, comments=True), file.strip(), output


def parse(words: list[str]) -> None:
    """Every option of a command line exists and can be read; nothing runs."""
    command: click.Command = group
    context = command.make_context("mlpiht", list(words), resilient_parsing=False)
    rest = [*context._protected_args, *context.args]
    while isinstance(command, click.Group):
        inner = command.get_command(context, rest[0])
        assert inner is not None, rest[0]
        with inner.make_context(rest[0], rest[1:], parent=context) as context:
            rest, command = [*context._protected_args, *context.args], inner


def same_output(expected: str, found: str) -> bool:
    """Whether an output is as the page says: a line ``...`` is any lines.

    Numbers may differ a little, and so may the gaps around them; everything else is the same.
    """
    lines = [line.rstrip() for line in expected.strip().splitlines()]
    pattern = "".join(r"(?:.*\n)*?" if line == "..." else f"{_pattern(line)}\n" for line in lines)
    match = re.fullmatch(pattern, "".join(f"{line.rstrip()}\n" for line in found.strip().splitlines()))
    numbers = [float(one) for line in lines for one in re.findall(NUMBER, line)]
    return match is not None and all(
        abs(one - float(other)) <= CLOSE * abs(one) for one, other in zip(numbers, match.groups(), strict=True)
    )


def _pattern(line: str) -> str:
    """A line with a group for each number, and any gap where there is one next to a number."""
    parts = re.split(f"( *)({NUMBER})( *)", line)
    return "".join(
        re.escape(part) if i % 4 == 0 else f"({NUMBER})" if i % 4 == 2 else " +" if part else ""
        for i, part in enumerate(parts)
    )


def console(capsys: pytest.CaptureFixture[str]) -> Callable[[Example], None]:
    """What is done with a console block: its commands are parsed and, under ``<!-- run -->``, run and compared."""

    def check(example: Example) -> None:
        for words, file, expected in commands_of(example.parsed):
            if words[0] != "mlpiht":
                continue
            parse(words[1:])
            if comment(example) != "run":
                continue
            capsys.readouterr()
            code = main(words[1:])
            out, err = capsys.readouterr()
            assert code == 0, f"{shlex.join(words)}: exit code {code}\n{err}"
            if file:
                Path(file).write_text(out, encoding="utf-8")
                out = ""
            shown = out if same_output(expected, out) else err + out
            assert same_output(expected, shown), f"{shlex.join(words)} gives\n{shown}"

    return check


@pytest.fixture
def as_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An empty folder, and tables of tasks, methods, metrics and kinds that are as before at the end."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("MLPIHT_OFFLINE", "")
    monkeypatch.delenv("MLPIHT_DATA_DIR", raising=False)
    registries: tuple[dict[str, Any], ...] = (TASKS, METHODS, METRICS, FIGURES)
    before = [dict(one) for one in registries]
    yield
    for one, old in zip(registries, before, strict=True):
        one.clear()
        one.update(old)


@every_page
def test_code_blocks(page: Path, capsys: pytest.CaptureFixture[str], as_before: None) -> None:
    document = sybil(console(capsys)).parse(page)
    for example in document.examples():
        try:
            example.evaluate()
        except BaseException as error:
            error.add_note(f"{os.path.relpath(page, ROOT)}, line {example.line}")
            raise


def sybil(check_console: Callable[[Example], None]) -> Sybil:
    """Finds the code blocks of a page."""
    return Sybil(
        parsers=[
            PythonCodeBlockParser(),
            CodeBlockParser(language="yaml", evaluator=check_yaml),
            CodeBlockParser(language="console", evaluator=check_console),
        ]
    )


def test_mistakes_in_code_blocks_are_found(tmp_path: Path, capsys: pytest.CaptureFixture[str], as_before: None) -> None:
    def first(text: str) -> Example:
        page = tmp_path / "page.md"
        page.write_text(text, encoding="utf-8")
        document: Document = sybil(console(capsys)).parse(page)
        return next(iter(document.examples()))

    with pytest.raises(click.UsageError, match="--profil"):
        first("```console\n$ mlpiht sweep figure1 --profil smoke\n```\n").evaluate()
    with pytest.raises(AssertionError, match="specs list gives"):
        first("<!-- run -->\n```console\n$ mlpiht specs list\nnothing\n```\n").evaluate()
    with pytest.raises(AssertionError, match="stderr says why"):
        first("```yaml\nspec_version: 9\nname: a\n```\n").evaluate()
    assert "spec_version" in capsys.readouterr().err
    with pytest.raises(FileNotFoundError):
        first("```yaml\nmethods: []\n```\n").evaluate()
    with pytest.raises(ZeroDivisionError):
        first("```python\n1 / 0\n```\n").evaluate()
    assert same_output("a 1.00 b\n...\nd", "a 1.01 b\nc\nc\nd\n")
    assert not same_output("a 1.00", "a 1.10")
    assert not same_output("a 1.00", "b 1.00")
    assert same_output("a   1 ± 0   >= 1  holds", "a  1 ± 0  >= 1     holds")
    assert not same_output("a  b", "a   b"), "columns of words stand where the page has them"
    assert not same_output("a 1", "a1")
