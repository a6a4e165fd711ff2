"""The site of docs/: `make docs` builds it into docs/_build."""

from __future__ import annotations

import re
from typing import Any

project = "mlpiht"
author = "The mlpiht authors"
extensions = ["myst_parser"]
exclude_patterns = ["_build"]

html_theme = "furo"
html_title = "mlpiht"
html_show_copyright = False
html_copy_source = False

# Links such as specs.md#claims name headings as GitHub does.
myst_heading_anchors = 4


def _link_files(app: Any, name: str, source: list[str]) -> None:
    """Markdown files outside docs/ are no pages of the site: links to them give the file."""
    source[0] = re.sub(r"\]\((\.\./[^)#\s]+\.md)\)", r"](path:\1)", source[0])


def setup(app: Any) -> None:
    """Register what happens to a page before it is parsed."""
    app.connect("source-read", _link_files)
