"""What a page of `report` holds, as a browser's parser sees it; and tables by hand for it."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from hand import SPEC

from mlpiht_cli.records.rows import Row
from mlpiht_cli.records.table import to_csv

VOID = {"meta", "link", "img", "br"}


class Page(HTMLParser):
    """Tags with their attributes, the text that a reader sees, and the content of scripts and styles."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text, self.scripts, self.styles = "", list[str](), list[str]()
        self._open: list[str] = []
        self.source = path.read_text(encoding="utf-8")
        self.feed(self.source)
        self.close()
        assert self._open == [], "every element is closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self._open.append(tag)
        if tag in ("script", "style"):
            getattr(self, f"{tag}s").append("")

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        tag = self._open[-1] if self._open else ""
        if tag in ("script", "style"):
            getattr(self, f"{tag}s")[-1] += data
        else:
            self.text += data

    def all(self, tag: str) -> list[dict[str, str]]:
        """Attributes of every element of a tag."""
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def words(self) -> str:
        """The text with single spaces."""
        return " ".join(self.text.split())

    @property
    def data(self) -> dict[str, Any]:
        """What the tables are made of."""
        found: dict[str, Any] = json.loads(self.scripts[0])
        return found

    def detail(self, number: int) -> dict[str, Any]:
        """Details of a row."""
        columns, values = self.data["rows"]["columns"], self.data["rows"]["values"]
        found = {name: column[number] for name, column in columns.items()}
        return {name: values[name][value] if name in values else value for name, value in found.items()}


def put(rows: list[Row], spec: str = SPEC, name: str = "hand") -> Path:
    """Write a spec and its table into the working folder, and return the path of the table."""
    Path(f"{name}.yaml").write_text(spec)
    Path("results").mkdir(exist_ok=True)
    path = Path(f"results/{name}.csv")
    path.write_text(to_csv(rows))
    return path
