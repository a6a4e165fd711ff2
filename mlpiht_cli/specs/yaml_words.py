"""Errors of the YAML parser in our words."""

from __future__ import annotations

import re

import yaml

_WORDS = (
    (r"mapping values are not allowed", "a colon stands where no name can; check the indentation, or quote the text"),
    (r"character '\\t'", "a tab stands where only spaces may; indent with spaces"),
    (r"that cannot start any token", "text cannot start with this sign; quote it"),
    (r"quoted scalar.*end of stream", "a quotation mark is never closed; close it, or delete it"),
    (r"quoted scalar.*document separator", "a quotation mark is never closed; close it, or delete it"),
    (r"escape", "a backslash in double quotes starts no known sign; use single quotes, or write it twice"),
    (r"expected ',' or '\]'", "a list in brackets misses a comma or its ]"),
    (r"expected ',' or '\}'", "a mapping in braces misses a comma or its }"),
    (r"could not find expected ':'", "a name has no colon after it; write name: value"),
    (r"undefined alias", "an alias (*) refers to no anchor (&) before it; name one, or quote the text"),
    (r"duplicate anchor", "an anchor (&) is given twice; give it another name"),
    (r"single document", "a second document starts here; keep one in a file"),
    (r"block scalar", "the sign | or > takes its text from the next line; quote the text, or start a new line"),
    (r"an? (anchor|alias)", "a sign & or * has no name after it; quote the text"),
    (r"constructor for the tag|tag handle|a tag", "a tag (!) is not known; leave it out, or quote the text"),
    (r"directive|version 1", "a line that starts with % is no line of a spec; delete it"),
    (r"expected <block end>", "the line does not fit those above it; check its indentation"),
    (r"expected the node content", "a bracket or mark stands where a value belongs; delete or quote it"),
)
"""What is wrong and what to do, by what the parser says, the first that fits."""


def in_words(error: yaml.YAMLError) -> str:
    """What is wrong with a text that is no YAML, and what to do; errors that this package raises keep their words."""
    if isinstance(error, yaml.reader.ReaderError):
        return "a character that no text file holds; delete it"
    if not isinstance(error, yaml.MarkedYAMLError):
        return "the file is no text that can be read; save it again"
    if type(error) is yaml.MarkedYAMLError:
        return str(error.problem)
    told = " ".join(part for part in (error.context, error.problem) if part)
    other = "the line does not fit those before it; check its indentation, quotes and brackets"
    return next((words for pattern, words in _WORDS if re.search(pattern, told)), other)


def mark_of(error: yaml.YAMLError, text: str) -> tuple[int, int] | None:
    """Line and column of a fault, from 1; None if it has no place."""
    if isinstance(error, yaml.reader.ReaderError):
        before = text[: error.position]
        return before.count("\n") + 1, error.position - before.rfind("\n")
    mark = (error.problem_mark or error.context_mark) if isinstance(error, yaml.MarkedYAMLError) else None
    return (mark.line + 1, mark.column + 1) if mark else None
