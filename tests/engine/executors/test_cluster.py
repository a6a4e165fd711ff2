"""What a Dask cluster lacks is told in one line each, before cells run on it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from test_pool import cluster

from mlpiht_cli.engine.executors.cluster import Facts, WorkerCheck, check_scheduler, worker_facts
from mlpiht_cli.errors import InputError

Run = Callable[..., Any]
GOOD = replace(worker_facts(""), sees=True)


class Fake:
    """A client whose scheduler and workers answer as they are told."""

    def __init__(self, *answers: object) -> None:
        self.answers, self.asked = answers, list[str]()

    def run_on_scheduler(self, _: object) -> object:
        if isinstance(self.answers[0], Exception):
            raise self.answers[0]
        return self.answers[0]

    def run(self, _: object, file: str, workers: list[str], on_error: str) -> dict[str, object]:
        assert Path(file).exists()
        assert on_error == "return"
        self.asked += workers
        return dict(zip(workers, self.answers, strict=True))


def with_versions(**versions: str) -> Facts:
    return replace(GOOD, versions={**GOOD.versions, **versions})


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """Warnings so far."""
    caplog.set_level(logging.WARNING, "mlpiht")
    return lambda: [record.getMessage() for record in caplog.records]


def test_a_cluster_as_dask_jobqueue_makes_it_is_warned_of(mlpiht: Run, spec: Path) -> None:
    config = {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "3"}
    with cluster(1, threads=8, **config) as address:
        result = mlpiht("sweep", spec, "--scheduler", address, "--json")
    assert result.json["counts"] == {"ok": 16}
    failures, threads = result.err.splitlines()
    assert (
        "job that kills its worker to 3 more: start it with DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES=0" in failures
    )
    assert "scheduler_options={'allowed_failures': 0}" in failures
    assert "in one thread, and has 8: start workers with --nthreads 1" in threads
    assert "processes=<cores>" in threads
    assert not list(Path("results").rglob("*.tmp"))


def test_workers_are_asked_once_and_a_good_one_is_not_warned_of(told: Any, tmp_path: Path) -> None:
    client = Fake(GOOD)
    check = WorkerCheck(client, tmp_path)  # type: ignore[arg-type]
    check({})
    check({"a": 1})
    check({"a": 1})
    check({"a": 1, "b": 1})
    assert client.asked == ["a", "b"]
    assert told() == []


@pytest.mark.parametrize(
    ("facts", "text"),
    [
        (with_versions(torch="2.6.0"), "workers have torch 2.6.0 for "),
        (with_versions(mlpiht="0.1.0", numpy="1.26.0"), "workers have mlpiht 0.1.0 for "),
        (with_versions(Python="3.99"), "workers have Python 3.99 for "),
        (replace(GOOD, sees=False), "workers do not see "),
    ],
)
def test_workers_that_differ_are_warned_of(told: Any, tmp_path: Path, facts: Facts, text: str) -> None:
    WorkerCheck(Fake(GOOD, facts), tmp_path)({"a": 1, "b": 1})  # type: ignore[arg-type]
    (line,) = told()
    assert line.startswith(text)


@pytest.mark.parametrize(
    ("answer", "name"), [(replace(GOOD, lacks="torch"), "torch"), (Exception("ModuleNotFoundError(...)"), "mlpiht")]
)
def test_workers_that_can_run_nothing_are_refused_at_the_start_and_warned_of_later(
    told: Any, tmp_path: Path, answer: object, name: str
) -> None:
    with pytest.raises(InputError, match=f"its workers lack {name}, which jobs need; install"):
        WorkerCheck(Fake(answer), tmp_path)({"a": 1})  # type: ignore[arg-type]
    WorkerCheck(Fake(answer, GOOD), tmp_path)({"a": 1, "b": 1})  # type: ignore[arg-type]
    assert f"workers lack {name}, so that their cells fail: install" in told()[0]


def test_a_scheduler_that_cannot_load_jobs_is_refused(told: Any) -> None:
    check_scheduler(Fake(GOOD))  # type: ignore[arg-type]
    assert told() == []
    with pytest.raises(InputError, match="the scheduler has no mlpiht"):
        check_scheduler(Fake(ModuleNotFoundError("No module named 'mlpiht_cli'")))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="the scheduler lacks torch"):
        check_scheduler(Fake(replace(GOOD, lacks="torch")))  # type: ignore[arg-type]
    check_scheduler(Fake(with_versions(mlpiht="0.1.0")))  # type: ignore[arg-type]
    assert told()[0].startswith("the scheduler has mlpiht 0.1.0 for ")
