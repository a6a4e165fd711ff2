"""What the committed tables say, read once for all of these tests."""

from __future__ import annotations

import pytest

from experiments import committed
from mlpiht_cli.specs.schema import Spec


@pytest.fixture(scope="session")
def every() -> list[Spec]:
    return committed.specs()


@pytest.fixture(scope="session")
def found(every: list[Spec]) -> list[committed.Table]:
    return committed.tables(every)
