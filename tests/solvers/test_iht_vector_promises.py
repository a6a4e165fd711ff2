"""What IHT with several outputs promises: its budget, its memory, its safeguarded step, and that it learns."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from mlpiht_cli.core.fit import Status
from mlpiht_cli.core.method import Shape
from mlpiht_cli.core.problem import LOSSES, Problem
from mlpiht_cli.core.scoring import evaluate
from mlpiht_cli.core.task import Axes
from mlpiht_cli.linalg.blockwise import BlockSelection, Update
from mlpiht_cli.linalg.gates import TILE, GateRule
from mlpiht_cli.linalg.vector import Weights
from mlpiht_cli.rng import Streams
from mlpiht_cli.solvers import iht_vector
from mlpiht_cli.tasks.planted import Planted
from tests.solvers.vectors import classes, events, flat, method, networks, regression, run

SELECTIONS = ["count_sketch", "accumulated", "magnitude"]
each_order = pytest.mark.parametrize("order", ["blocks", "global"])


@each_order
@pytest.mark.parametrize("step", ["paper", "safeguarded"])
@pytest.mark.parametrize("selection", SELECTIONS)
def test_the_budget_holds_after_every_step(selection: str, step: str, order: str) -> None:
    settings = {"epochs": 4, "batch": 20, "selection": selection, "selection_order": order, "step": step}
    seen = [model.nnz for model in networks(events(regression(scale=0.3), 6, 9, **settings))]
    assert len(seen) == 12
    assert 0 < max(seen) <= 9
    assert run(regression(scale=0.3), 6, 9, **settings).model.nnz == seen[-1]


@each_order
@pytest.mark.parametrize("selection", SELECTIONS)
def test_no_place_of_the_budget_goes_to_an_entry_without_a_value(
    selection: str, order: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Most inputs are 0 in all samples, as pixels at the border are; a sketch mistakes them for others."""
    problem, seen = regression(n=60, d=40, scale=0.3), list[tuple[int, int]]()
    problem.x[:, 10:] = 0
    keep = BlockSelection.keep

    def watched(self: BlockSelection, updates: Callable[[], Iterator[Update]]) -> Weights:
        kept = keep(self, updates)
        assert all(bool((part.values != 0).all()) for part in kept.parts)
        possible = sum(int((update.weights + update.change != 0).sum()) for update in updates())
        seen.append((sum(len(part.index) for part in kept.parts), possible))
        return kept

    monkeypatch.setattr(BlockSelection, "keep", watched)
    run(problem, 6, 30, epochs=4, batch=20, selection=selection, selection_order=order)
    assert [kept for kept, _ in seen] == [min(30, possible) for _, possible in seen]


def test_reviving_is_a_matter_of_minibatches() -> None:
    problem, choices = regression(scale=0.3), ("every_epoch", "first_step")
    full = [flat(run(problem, 12, 8, steps=6, reinit=reinit).model) for reinit in choices]
    mini = [flat(run(problem, 12, 8, epochs=6, batch=20, reinit=reinit).model) for reinit in choices]
    one = [flat(run(problem, 12, 8, epochs=6, batch=problem.n, reinit=reinit).model) for reinit in choices]
    assert np.array_equal(full[0], full[1])
    assert not np.array_equal(mini[0], mini[1])
    assert not np.array_equal(one[0], one[1]), "a single minibatch of all samples is a minibatch"


class Largest(TorchDispatchMode):
    """The most numbers that a tensor had."""

    def __init__(self) -> None:
        super().__init__()
        self.numbers = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        parts = out if isinstance(out, list | tuple) else [out]
        self.numbers = max([self.numbers, *(part.numel() for part in parts if isinstance(part, torch.Tensor))])
        return out


@each_order
def test_memory_does_not_grow_with_the_width(order: str) -> None:
    """Weights and gradients are those of a tile or of the budget; nothing is a list of all neurons."""
    m, problem = 8_000, regression(n=40, d=30, scale=0.3)
    settings = {"epochs": 2, "batch": 20, "selection_order": order}
    with Largest() as largest:
        fit = run(problem, m, 5, **settings)
    tracemalloc.start()
    try:
        run(problem, m, 5, **settings)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert fit.model.nnz == 5
    assert largest.numbers <= TILE * (30 + 3)
    assert peak < 2 * m * (30 + 3), "bytes of arrays; all weights have eight bytes each"


def test_the_sketch_has_the_papers_width_and_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four rows of floor(s max(1, ln(N / s))) float32 numbers; what is accumulated exactly is float64."""
    tables, init = list[np.ndarray](), BlockSelection.__init__

    def watched(self: BlockSelection, *args: Any) -> None:
        tables.append(args[3])
        init(self, *args)

    monkeypatch.setattr(BlockSelection, "__init__", watched)
    for dtype in ("float32", "float64"):
        for selection in SELECTIONS:
            run(regression(scale=0.3), 100, 9, steps=1, selection=selection, dtype=dtype)
    assert [table.shape for table in tables] == 2 * [(4, 40), (1, 800), (0, 1)]  # 9 ln(800 / 9) = 40.4
    assert [str(table.dtype) for table in tables[:2]] == ["float32", "float64"]
    assert [str(table.dtype) for table in tables[3:5]] == ["float32", "float64"]


def test_a_network_beyond_the_keys_of_the_sketch_is_refused_in_every_layer() -> None:
    problem, sketch, plain = regression(d=5, k=3), method(steps=1), method(steps=1, selection="magnitude")
    least = 2**31 // 8
    assert "fewer than 2^31 weights, a layer has 2,147,483,648" in str(sketch.supports(problem, Shape(least)))
    assert sketch.supports(problem, Shape(least - 1)) is None
    assert "a layer has 2,500,150,000" in str(sketch.supports(problem, Shape(50_000, 2)))
    assert plain.supports(problem, Shape(least)) is None


def planted(s: int, seed: int, k: int = 1) -> Problem:
    return Planted(n=80, d=6, k=k).build(Axes(5, s), Streams(seed))


def test_the_papers_step_can_diverge_and_the_safeguarded_one_does_not() -> None:
    for seed in range(3):
        paper = run(planted(8, seed), 5, 8, seed, steps=60)
        assert paper.status is Status.DIVERGED
        assert paper.reason == f"the loss or the weights left the finite numbers at step {paper.iterations}"
        assert paper.model.nnz == 0
        assert [(layer.rows, layer.cols) for layer in paper.model.layers] == [(5, 6), (1, 5)]
        safe = run(planted(8, seed), 5, 8, seed, steps=60, step="safeguarded")
        assert safe.status is Status.OK
        assert safe.history[-1] < 0.5 * safe.history[0]


@pytest.mark.parametrize("selection", ["count_sketch", "magnitude"])
def test_the_safeguarded_step_needs_no_larger_loss_on_average(selection: str) -> None:
    ends = {
        step: [run(planted(20, seed, 2), 5, 20, seed, steps=40, step=step, selection=selection) for seed in range(4)]
        for step in ("paper", "safeguarded")
    }
    assert all(fit.status is Status.OK for fits in ends.values() for fit in fits)
    paper, safe = (np.mean([fit.history[-1] for fit in fits]) for fits in ends.values())
    assert safe <= paper


class Ray:
    """Watches the steps of fits: the loss of each batch before and after the step, before the selection."""

    def __init__(self, problem: Problem, m: int, patch: pytest.MonkeyPatch) -> None:
        self.problem, self.m, self.losses, self.plain = problem, m, list[tuple[float, float]](), list[bool]()
        products, advance, keep = iht_vector._Run._products, iht_vector._Run._advance, BlockSelection.keep

        def watched_products(run: iht_vector._Run, features: torch.Tensor, gates: GateRule) -> Any:
            self.x, self.gates = features.T.clone(), gates.directions(torch.arange(m))
            return products(run, features, gates)

        def watched_advance(run: iht_vector._Run, batch: iht_vector._Batch) -> float:
            self.y, self.before = batch.y.T, run.weights
            return advance(run, batch)

        def watched_keep(selection: BlockSelection, updates: Callable[[], Iterator[Update]]) -> Weights:
            self.look(list(updates()))
            return keep(selection, updates)

        patch.setattr(iht_vector._Run, "_products", watched_products)
        patch.setattr(iht_vector._Run, "_advance", watched_advance)
        patch.setattr(BlockSelection, "keep", watched_keep)

    def loss(self, weights: torch.Tensor) -> float:
        hidden, output = weights.split([self.problem.d, self.problem.k], dim=1)
        mask = self.x @ self.gates.T > 0
        return float(LOSSES[self.problem.loss]((mask * (self.x @ hidden.T)) @ output, self.y))

    def look(self, updates: list[Update]) -> None:
        """A step is plain if no block was revived before it: the history tells the loss of the network before that."""
        weights, change = torch.zeros(2, self.m, self.problem.d + self.problem.k, dtype=torch.float64)
        for update in updates:
            weights[update.ids], change[update.ids] = update.weights, update.change
        self.plain.append(torch.equal(weights, torch.cat([part.dense() for part in self.before.parts], dim=1)))
        self.losses.append((self.loss(weights), self.loss(weights + change)))


@pytest.mark.parametrize("problem", [regression(), classes()], ids=["squared", "classes"])
def test_the_safeguarded_step_never_increases_its_batch_loss_with_the_gates_fixed(
    problem: Problem, monkeypatch: pytest.MonkeyPatch
) -> None:
    ray = Ray(problem, 6, monkeypatch)
    fit = run(problem, 6, 15, epochs=8, batch=20, step="safeguarded")
    assert sum(ray.plain) >= 16
    history = [
        (before, told) for (before, _), told, same in zip(ray.losses, fit.history, ray.plain, strict=True) if same
    ]
    assert [before for before, _ in history] == pytest.approx([told for _, told in history])
    assert all(after <= before * (1 + 1e-12) for before, after in ray.losses)
    assert sum(after < before for before, after in ray.losses) > len(ray.losses) / 2


@pytest.mark.parametrize("selection", ["count_sketch", "magnitude"])
@pytest.mark.parametrize("settings", [{"epochs": 150, "batch": 30}, {"steps": 60, "step": "safeguarded"}])
def test_classes_are_learned(selection: str, settings: dict[str, object]) -> None:
    problem = classes(n=150)
    fit = run(problem, 10, 40, seed=2, selection=selection, **settings)
    assert fit.status is Status.OK
    assert evaluate(fit.model, problem).value > 0.9
    assert fit.history[-1] < 0.3 * fit.history[0]
