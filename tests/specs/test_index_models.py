"""The spec of index models, small: all of it runs, is drawn, and what it claims at that size holds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.mark.slow
def test_the_smoke_profile_runs_and_its_claims_hold(mlpiht: Callable[..., Any]) -> None:
    assert mlpiht("-q", "sweep", "index_models", "--profile", "smoke").code == 0
    assert mlpiht("plot", "index_models", "--profile", "smoke", "--format", "png").code == 0
    views = ("error", "alignment", "networks", "scaling", "phase", "recall", "multi")
    assert all(Path(f"results/figures/index_models-smoke-{view}.png").stat().st_size > 10_000 for view in views)
    result = mlpiht("check", "index_models", "--profile", "smoke", "--json")
    verdicts = {claim["name"]: claim["verdict"] for claim in result.json["claims"]}
    judged = {name: verdict for name, verdict in verdicts.items() if verdict != "not judged"}
    assert result.code == 0
    assert set(judged.values()) == {"holds"}
    assert len(judged) == 5
