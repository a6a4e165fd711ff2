"""Sentences of libraries, of which no message of ours may hold one."""

from __future__ import annotations

import re

MARKERS = (
    # pandas, csv, codecs, int and float, json
    *("Error tokenizing", "C error", "codec can't decode", "could not convert", "invalid literal", "Expecting "),
    *("Extra data", "line contains NUL", "field larger than", "new-line character seen", "Unterminated string"),
    *("Invalid control character", "Invalid \\\\escape", "Exceeds the limit", "No columns to parse", "embedded null"),
    # gzip, zlib, zip, tar
    *("CRC", "File is not a zip file", "Error -3", "Compressed file ended", "Not a gzipped file", "end-of-stream"),
    *("Unknown compression method", "Incorrect length of data", "password required", "<ZipInfo", "Bad magic number"),
    *("truncated header", "Truncated file header", "Overlapped entries", "There is no item named"),
    # numpy, pyarrow, torch
    *("Cannot parse header", "allow_pickle", "magic string", "inhomogeneous", "cannot reshape"),
    *("magic bytes", "Thrift", "footer", "Corrupt snappy", "Could not open Parquet", "Unexpected end of stream"),
    *("can't convert np", "object is not", "has no attribute", "unhashable", "not enough values", "too many values to"),
    *("np.float", "np.int", "np.str_", "np.True_", "np.False_"),
    # pydantic, YAML
    *("nput should be", "Field required", "Value error", "validation error", "type=", "For further information"),
    *("while parsing", "while scanning", "while constructing", "expected <", "but found", "but got"),
    *("<unicode string>", "unacceptable character", "a constructor", "mapping values are not allowed"),
)
_ANY = re.compile("|".join(re.escape(marker) for marker in MARKERS))


def foreign(said: str) -> str | None:
    """The first sentence of a library in a message; None if all is ours."""
    found = _ANY.search(said)
    return None if found is None else found[0]
