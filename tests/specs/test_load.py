from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpiht_cli.errors import InputError
from mlpiht_cli.specs.load import parse, parse_scalar, read_document


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("1.5E+2", 150.0),
        (".5", 0.5),
        ("1_000", "1_000"),
        ("no", "no"),
        ("off", "off"),
        ("1:30", "1:30"),
        ("0o17", "0o17"),
        ("2024-01-01", "2024-01-01"),
        ("true", True),
        ("~", None),
        ("-7", -7),
        ("[1, 2]", [1, 2]),
        ("010", 10),
    ],
)
def test_plain_scalars_are_those_of_yaml_1_2(text: str, value: object) -> None:
    assert parse_scalar(text) == value
    assert type(parse_scalar(text)) is type(value)


def test_duplicate_keys_are_noted_with_both_places() -> None:
    document = parse("a: 1\nb: 2\na: 3\n", Path("x.yaml"))
    assert str(document.error(document.faults)) == "x.yaml:3:1: a: duplicate key, first given in line 1"
    with pytest.raises(InputError, match="duplicate key"):
        parse_scalar("{a: 1, a: 2}")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1, 2", "x.yaml:1:9: malformed YAML"),
        ("a: 1\n  b: 2", "x.yaml:2:4: malformed YAML"),
        ("a: !!python/object/apply:os.system ['true']", "malformed YAML|not allowed"),
        ("a: !!int oops", "malformed YAML"),
        ("1: 2", "keys must be names"),
        ("? [a]\n: b", "keys must be names"),
        ("a: &x [*x]", "nested too deeply"),
        ("a: !!binary aGk=", "not allowed here"),
        ("\x00", "malformed YAML"),
        ("a: 1\n---\nb: 2", "malformed YAML"),
    ],
)
def test_malformed_yaml_is_placed(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse(text, Path("x.yaml"))


def test_an_alias_bomb_is_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]
    with pytest.raises(InputError, match="too many values"):
        parse("\n".join(lines), Path("x.yaml"))


def test_unreadable_files(tmp_path: Path) -> None:
    (tmp_path / "latin.yaml").write_bytes(b"a: \xff")
    (tmp_path / "large.yaml").write_bytes(b"a: " + b"x" * 1_000_001)
    for name, message in {
        "latin.yaml": "not UTF-8",
        "large.yaml": "too many for a spec",
        "absent.yaml": "cannot be read",
        ".": "cannot be read",
    }.items():
        with pytest.raises(InputError, match=message):
            read_document(tmp_path / name)


@given(st.text(max_size=60))
def test_any_text_parses_or_is_refused_with_its_place(text: str) -> None:
    try:
        document = parse(text, Path("x.yaml"))
    except InputError as error:
        document = None
        message = str(error)
    assert document is not None or message.startswith("x.yaml")
