"""Why a file cannot be read: the system's reason, or what is wrong with its content, but no library's sentence."""

from __future__ import annotations

import csv
import json


def reason(error: Exception) -> str:
    """Return why a file cannot be read, as half a sentence."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, UnicodeDecodeError):
        return f"not UTF-8 text, byte {error.object[error.start]:#04x}"
    if isinstance(error, EOFError):
        return "it ends too early"
    if isinstance(error, RecursionError):
        return "nested too deeply"
    if isinstance(error, json.JSONDecodeError):
        return f"no JSON from character {error.pos + 1} on"
    if isinstance(error, csv.Error):
        return "a line is no CSV; check its quotation marks"
    return "its content is damaged"
