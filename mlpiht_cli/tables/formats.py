"""Formats of files that are not read as tables: they are named, since their bytes would be blamed otherwise."""

from __future__ import annotations

import re

from mlpiht_cli.errors import InputError

_TAR = slice(257, 262)
_FORMATS = {
    "an ARFF file": rb"(?i)(?:%[^\r\n]*[\r\n]|\s)*@relation\b",
    "an SVMlight file": (rb"(?:#[^\r\n]*[\r\n]+)*[-+.\deE]+(?: +qid:\d+)?(?: +\d+:[-+.\deE]+)+ *(?:#[^\r\n]*)?[\r\n]"),
    "an NPY array": rb"\x93NUMPY",
    "a pickle": rb"\x80[\x02-\x05]",
    "an HDF5 file": rb"\x89HDF",
    "an Arrow or Feather file": rb"ARROW1|FEA1",
    "an ORC file": rb"ORC[\x00-\x1f]",
    "an Excel workbook": rb"\xd0\xcf\x11\xe0",
    "an SQLite database": rb"SQLite format 3\x00",
    "a MATLAB file": rb"MATLAB [57]\.\d",
    "an R file": rb"RD[AX]\d\n|[XA]\n\x00\x00",
    "an SPSS file": rb"\$FL[23]",
    "a Stata file": rb"<stata_dta>",
    "a PDF file": rb"%PDF-",
    "an HTML or XML file": rb"(?i)\s*<(?:\?xml|!doctype|html|table)\b",
    "a JSON file": rb"\s*(?:\[\s*)?\{\s*\"|\s*\[\s*\[",
    "an archive of 7-Zip": rb"7z\xbc\xaf",
    "packed with bzip2": rb"BZh[1-9]1AY",
    "packed with xz": rb"\xfd7zXZ\x00",
    "packed with Zstandard": rb"\x28\xb5\x2f\xfd",
    "packed with gzip twice": rb"\x1f\x8b",
}
_STARTS = {name: re.compile(start) for name, start in _FORMATS.items()}
_HINT = re.compile(rb"(?i)(?:\xef\xbb\xbf)?\"?(sep=[!-~\t])\"?[\r\n]")
_WIDE = {b"\xff\xfe\0\0": "UTF-32", b"\0\0\xfe\xff": "UTF-32", b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}
_UNMARKED = {
    "UTF-32": re.compile(rb"(?:\0{3}[^\0]){8}|(?:[^\0]\0{3}){8}"),
    "UTF-16": re.compile(rb"(?:\0[^\0]){3}|(?:[^\0]\0){3}"),
}
"""Wide characters without a mark at the start: those of a header are ASCII."""


def check_format(data: bytes, source: str) -> None:
    """Refuse text that is empty, written in wide characters, or of a known format that is no text table.

    Raises
    ------
    InputError
        It is; the message names the format, and what to do.
    """
    if not data.strip():
        raise InputError(f"{source}: is empty; name a file with a table")
    hint = _HINT.match(data)
    if hint is not None:
        line = hint[1].decode()
        raise InputError(f"{source}: its first line '{line}' is a hint for Excel, and no header; delete that line")
    name = next((name for name, start in _STARTS.items() if start.match(data)), None)
    name = "a tar archive" if name is None and data[_TAR] == b"ustar" else name
    if name is not None and name.startswith("packed"):
        raise InputError(f"{source}: is {name}, which is not unpacked; unpack it, or pack it with gzip once")
    if name is not None:
        form = "NPZ with the arrays x and y" if name == "an NPY array" else "CSV"
        raise InputError(f"{source}: is {name}, which is not read; save the table as {form}")
    _check_zeros(data, source)


def _check_zeros(data: bytes, source: str) -> None:
    """Refuse wide characters, and data with zero bytes, which are no text."""
    marked = next((name for mark, name in _WIDE.items() if data.startswith(mark)), None)
    wide = marked or next((name for name, one in _UNMARKED.items() if one.match(data)), None)
    if wide is not None:
        raise InputError(f"{source}: is {wide} text; save it as UTF-8")
    place = data.find(0)
    if place >= 0:
        line = 1 + data.count(b"\n", 0, place)
        raise InputError(f"{source}: holds a zero byte in line {line}, as no text does; save the table as CSV")
