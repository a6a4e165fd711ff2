"""Whatever a file holds, a command ends well or says in one message what is wrong with it."""

from __future__ import annotations

import random
import resource
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlpiht_cli.specs.load import parse
from tests.fuzz import mutate
from tests.fuzz.formats import KINDS, REFUSED, Reader, expecting, good_files, read_spec
from tests.hand import VARIED

MANY = 10_000
FEW = 200
ROOM = 2**30
"""Bytes of address space that reading a small file may take."""
SECONDS = 10.0


@pytest.fixture
def bounded() -> Iterator[None]:
    """Little room, so that a reader that believes a header fails."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (psutil.Process().memory_info().vms + ROOM, hard))
    yield
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


@pytest.fixture
def good(tmp_path: Path, tiny_spec: str) -> dict[str, tuple[bytes, Reader]]:
    return good_files(tmp_path, tiny_spec)


@pytest.mark.parametrize("count", [FEW, pytest.param(MANY, marks=[pytest.mark.slow, pytest.mark.timeout(3000)])])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.usefixtures("bounded")
def test_mutations(
    kind: str, count: int, good: dict[str, tuple[bytes, Reader]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    content, read = good[kind]
    assert (read(content, tmp_path) or 0) == 2 * (kind in REFUSED), "the good file is read"
    rng = random.Random()
    for seed in (rng.randrange(2**32) for _ in range(count)):
        data = mutate.mutated(content, random.Random(seed))
        start = time.perf_counter()
        try:
            read(data, tmp_path)
        except BaseException as error:
            (tmp_path / "culprit").write_bytes(data)
            raise AssertionError(f"seed {seed}, kept as {tmp_path / 'culprit'}: {data[:300]!r}") from error
        assert time.perf_counter() - start < SECONDS, f"seed {seed}: {data[:300]!r}"


def test_the_mutator_reaches_far(good: dict[str, tuple[bytes, Reader]]) -> None:
    content = good["spec"][0]
    made = {mutate.mutated(content, random.Random(seed)) for seed in range(200)}
    assert len(made) > 150
    assert mutate.mutated(content, random.Random(1)) == mutate.mutated(content, random.Random(1))


SETTINGS = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@SETTINGS
@given(st.text(max_size=200))
def test_any_text_is_yaml_or_refused(text: str) -> None:
    expecting(lambda: parse(text, Path("f.yaml")))


@SETTINGS
@given(st.binary(max_size=200), st.sampled_from(KINDS))
@pytest.mark.usefixtures("bounded")
def test_any_bytes(good: dict[str, tuple[bytes, Reader]], tmp_path: Path, data: bytes, kind: str) -> None:
    good[kind][1](data, tmp_path)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


def places(document: Any) -> list[tuple[Any, Any]]:
    """Every container of a document with each of its keys or positions."""
    keys = document if isinstance(document, dict) else range(len(document)) if isinstance(document, list) else ()
    return [place for key in keys for place in ((document, key), *places(document[key]))]


@SETTINGS
@given(st.booleans(), st.integers(0, 999), VALUES)
def test_any_value_anywhere(tiny_spec: str, tmp_path: Path, varied: bool, place: int, value: object) -> None:
    import yaml

    document = yaml.safe_load(VARIED if varied else tiny_spec)
    every = places(document)
    container, key = every[place % len(every)]
    container[key] = value
    read_spec(yaml.safe_dump(document, allow_unicode=True).encode(errors="replace"), tmp_path)
