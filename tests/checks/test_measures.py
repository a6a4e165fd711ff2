"""What a method tells of its fit, and further scores, on their way into rows, figures and claims."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from mlpiht_cli import plan
from mlpiht_cli.analysis.scores import number
from mlpiht_cli.checks.claims import check_claims
from mlpiht_cli.core.fit import Callback, Fit, Status, ignore
from mlpiht_cli.core.method import Shape
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.core.scoring import Scores, evaluate
from mlpiht_cli.engine import runner
from mlpiht_cli.engine.runner import Runner
from mlpiht_cli.plan.cells import Job
from mlpiht_cli.records.rows import Row
from mlpiht_cli.records.table import read_csv, to_csv
from mlpiht_cli.rng import Streams
from mlpiht_cli.solvers.iht import IHT
from mlpiht_cli.specs.expand import expand
from mlpiht_cli.specs.point import Point
from tests.hand import drawn, spec_with

Run = Callable[..., Any]
SETS = {"task.n": 20, "task.d": 3, "method.steps": 1}


class Telling(IHT):
    """IHT that tells of its fit."""

    def fit_path(
        self, problem: Problem, shape: Shape, budgets: Sequence[int], streams: Streams, callback: Callback = ignore
    ) -> Iterator[Fit]:
        for fit in super().fit_path(problem, shape, budgets, streams, callback):
            yield replace(fit, facts={"step_size": 0.5, "stable": True}, status=self.ending)

    @property
    def ending(self) -> Status:
        return Status.DIVERGED if self.steps == 2 else Status.OK


def told(monkeypatch: pytest.MonkeyPatch, more: Mapping[str, float], steps: int = 1) -> Row:
    monkeypatch.setattr(runner, "evaluate", lambda *args: replace(evaluate(*args) or Scores(None, 0.0), more=more))
    cell = plan.single_cell(Point("", "planted", "iht", 1, 2, 3, 0), SETS)
    cell = replace(cell, method=Telling.model_validate(cell.method.model_dump() | {"steps": steps}))
    ((row, _),) = Runner(torch.device("cpu")).run(Job((cell,)))
    return row


def test_facts_and_further_scores_share_a_column(monkeypatch: pytest.MonkeyPatch) -> None:
    row = told(monkeypatch, {"recall": 0.25})
    assert row.status == "ok"
    assert row.measures == {"recall": 0.25, "step_size": 0.5, "stable": True, "passes": 1.0}
    assert (number(row, "recall"), number(row, "stable")) == (0.25, 1.0)


def test_what_is_told_of_a_divergence_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    row = told(monkeypatch, {}, steps=2)
    assert (row.status, row.measures) == ("diverged", {"step_size": 0.5, "stable": True, "passes": 2.0})


def test_a_method_cannot_score_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    row = told(monkeypatch, {"stable": 0.0})
    assert row.status == "failed"
    assert "the method tells of stable, which are scores" in row.reason
    assert row.value is None


def test_claims_and_figures_read_measures(mlpiht: Run, tiny_spec: str) -> None:
    rows = [row.model_copy(update={"measures": {"recall": row.seed / 2}}) for row in drawn()]
    (judged,) = check_claims(expand(spec_with(metric="recall", at_least=0.4)), rows)
    assert (judged.measured, judged.verdict) == (pytest.approx(0.5), "holds")
    (judged,) = check_claims(expand(spec_with(metric="precision", at_least=0.4)), rows)
    assert (judged.verdict, judged.reason) == ("no data", "6 places are skipped")

    Path("tiny.yaml").write_text(tiny_spec.replace("label: Tiny", "label: Tiny, metric: recall"))
    mlpiht("sweep", "tiny", "--only", "m=2")
    result = mlpiht("plot", "tiny", "--format", "png")
    assert result.code == 2
    assert (
        "the figure shows recall, but the rows of panel 'a' have psnr and the measures merged_f1, packed_bytes, "
        "passes, relative_weight_error, turnable, weight_error; set" in result.err
    )
    table = Path("results/tiny.csv")
    with_recall = [row.model_copy(update={"measures": {"recall": 0.5}}) for row in read_csv(table)]
    table.write_text(to_csv(with_recall))
    assert mlpiht("plot", "tiny", "--format", "png").code == 0
    Path("tiny.yaml").write_text(tiny_spec.replace("label: Tiny", "label: Tiny, metric: preciseness"))
    assert "have psnr and the measures recall; set" in mlpiht("plot", "tiny").err


def test_a_figures_metric_is_a_name(mlpiht: Run, tiny_spec: str) -> None:
    Path("tiny.yaml").write_text(tiny_spec.replace("label: Tiny", "label: Tiny, metric: 'a b'"))
    result = mlpiht("validate", "tiny.yaml")
    assert result.code == 2
    assert "tiny.yaml:14:" in result.err
    assert "figure.metric" in result.err
