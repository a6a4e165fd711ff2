"""IHT with several outputs against the protocol written out neuron by neuron in float64 NumPy."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from mlpiht_cli.core.fit import Fit, Status
from mlpiht_cli.core.method import Shape
from mlpiht_cli.core.problem import LOSSES, Problem
from mlpiht_cli.core.scoring import evaluate
from mlpiht_cli.core.task import Axes
from mlpiht_cli.rng import Streams
from mlpiht_cli.solvers import iht_vector
from mlpiht_cli.solvers.iht_vector import RESIDUALS, IHTVector, paper_step
from mlpiht_cli.tasks.planted import Planted

Weights = tuple[np.ndarray, np.ndarray]


def regression(n: int = 45, d: int = 5, k: int = 3, scale: float = 1.0, seed: int = 0) -> Problem:
    rng = np.random.RandomState(seed)
    x = torch.from_numpy(scale * rng.normal(size=(n, d)))
    y = torch.relu(x @ torch.from_numpy(rng.normal(size=(d, 4)))) @ torch.from_numpy(rng.normal(size=(4, k)))
    return Problem(x, y, x, y, "psnr", peak=float(y.abs().max()))


def classes(n: int = 45, d: int = 5, k: int = 3, scale: float = 20.0, seed: int = 0) -> Problem:
    """One class around each of the first axes; large inputs, as raw pixels are."""
    rng = np.random.RandomState(seed)
    own = torch.from_numpy(rng.randint(0, k, size=n))
    x = scale * (3.0 * torch.eye(k, d)[own] + torch.from_numpy(rng.normal(size=(n, d))))
    y = torch.eye(k, dtype=torch.float64)[own]
    return Problem(x, y, x, y, "accuracy", "cross_entropy")


def run(problem: Problem, m: int, s: int, seed: int = 0, **settings: object) -> Fit:
    method = IHTVector.model_validate({"dtype": "float64", **settings})
    return next(iter(method.fit_path(problem, Shape(m), [s], Streams(seed))))


def parts(fit: Fit) -> Weights:
    hidden, output = (layer.dense().numpy() for layer in fit.model.layers)
    return hidden, output.T


def literal_sketch(size: int, s: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Buckets and signs ``[4, size]`` by exact integers, and an empty table."""
    width = int(s * max(1.0, math.log(size / s)))
    bits = [[((a * i + b) % 2**64) >> 32 for i in range(size)] for a, b in Streams(seed).hashes(4).tolist()]
    buckets = np.array([[((u >> 1) * width) >> 31 for u in row] for row in bits])
    return buckets, np.array([[1 if u & 1 else -1 for u in row] for row in bits]), np.zeros((4, width))


def literal(
    problem: Problem, m: int, s: int, seed: int, passes: int, batch: int, selection: str, reinit: str
) -> Weights:
    """Protocol, section 1, vector output; a neuron's w1 lies beside its w2 in the vector of all weights."""
    x, y = problem.x.numpy(), problem.y.numpy()
    (n, d), k = x.shape, y.shape[1]
    w1, w2, h = np.zeros((m, d)), np.zeros((m, k)), Streams(seed).gates(d).rows(0, m)
    buckets, signs, table = literal_sketch(m * (d + k), s, seed)
    total = np.zeros(m * (d + k))
    revival, order = Streams(seed).revival(), torch.Generator().manual_seed(seed + 3)
    mu = 0.001 if problem.loss == "cross_entropy" else 2.0 if s < 6 * m**0.536 else 0.005
    for epoch in range(passes):
        batches = [np.arange(n)] if not batch else [b.numpy() for b in torch.randperm(n, generator=order).split(batch)]
        for number, rows in enumerate(batches):
            old1, old2 = w1.copy(), w2.copy()  # residual and gates are those of the network before it is revived
            if number == 0 and (epoch == 0 or (batch and reinit == "every_epoch")):
                new1 = revival.uniform(-1 / np.sqrt(d * m), 1 / np.sqrt(d * m), size=(m, d))
                new2 = revival.uniform(-1 / np.sqrt(m * k), 1 / np.sqrt(m * k), size=(m, k))
                for j in range(m):
                    w1[j] = new1[j] if w1[j].max() == 0 else w1[j]
                    w2[j] = new2[j] if w2[j].max() == 0 else w2[j]
            if epoch > 0:
                h = old1
            dx = [(x[rows] @ h[j] > 0)[:, None] * x[rows] for j in range(m)]
            yhat = sum(dx[j] @ np.outer(old1[j], old2[j]) for j in range(m))
            if problem.loss == "cross_entropy":
                e = np.exp(yhat - yhat.max(axis=1, keepdims=True))
                yhat = e / e.sum(axis=1, keepdims=True)
            r = (yhat - y[rows]) / len(rows)
            p = [dx[j].T @ r for j in range(m)]
            update = np.array([np.concatenate([-mu * p[j] @ w2[j], -mu * p[j].T @ w1[j]]) for j in range(m)]).flatten()
            moved = np.hstack([w1, w2]).flatten() + update
            for row in range(4):
                np.add.at(table[row], buckets[row], signs[row] * update)
            seen = np.median([table[row][buckets[row]] * signs[row] for row in range(4)], axis=0)
            total += update
            rank = np.abs({"count_sketch": seen, "accumulated": total, "magnitude": moved}[selection]) * (moved != 0)
            kept = [i for i in np.argsort(-rank, kind="stable")[:s] if rank[i] > 0]
            w = np.zeros(m * (d + k))
            w[kept] = moved[kept]
            w1, w2 = np.split(w.reshape(m, d + k), [d], axis=1)
            w1, w2 = w1.copy(), w2.copy()
    return w1, w2


@pytest.mark.parametrize("selection", ["count_sketch", "accumulated", "magnitude"])
@pytest.mark.parametrize("reinit", ["every_epoch", "first_step"])
@pytest.mark.parametrize("batch", [0, 20])  # 45 samples: the last batch is smaller
@pytest.mark.parametrize(
    ("problem", "m", "s"),
    [(regression(scale=0.3), 6, 9), (regression(scale=2.0), 4, 13), (classes(), 4, 9)],
    ids=["step 2", "step 0.005", "classes"],
)
def test_weights_are_those_of_the_protocol(
    problem: Problem, m: int, s: int, batch: int, reinit: str, selection: str
) -> None:
    passes = 5
    count = {"batch": batch, "epochs": passes} if batch else {"steps": passes}
    fit = run(problem, m, s, seed=4, selection=selection, reinit=reinit, **count)
    expected = literal(problem, m, s, 4, passes, batch, selection, reinit)
    assert fit.status is Status.OK
    for found, wanted in zip(parts(fit), expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-12)
    assert fit.iterations == passes * (3 if batch else 1)


@pytest.mark.parametrize("loss", ["squared", "cross_entropy"])
def test_residuals_are_gradients_of_the_protocols_losses(loss: str) -> None:
    rng = np.random.RandomState(0)
    prediction = torch.from_numpy(rng.normal(size=(7, 3))).requires_grad_()
    y = classes(n=7).y
    value = LOSSES[loss](prediction, y) * (1.5 if loss == "squared" else 1.0)  # mean over n k entries: |.|^2 / 2n
    (expected,) = torch.autograd.grad(value, prediction)
    torch.testing.assert_close(RESIDUALS[loss](prediction.detach(), y), expected)


@pytest.mark.parametrize(("m", "edge"), [(10, 20.61), (1, 6.0), (200, 102.65), (1000, 243.29)])
def test_the_papers_step(m: int, edge: float) -> None:
    assert paper_step(m, math.ceil(edge) - 1, "squared") == 2.0
    assert paper_step(m, math.ceil(edge), "squared") == 0.005
    assert paper_step(m, 1, "cross_entropy") == paper_step(m, 1000, "cross_entropy") == 0.001


@pytest.mark.parametrize("step", ["paper", "safeguarded"])
@pytest.mark.parametrize("selection", ["count_sketch", "magnitude"])
def test_the_budget_holds_after_every_step(selection: str, step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    keep = iht_vector._Selection.keep

    def watched(self: object, weights: torch.Tensor, update: torch.Tensor) -> torch.Tensor:
        kept = keep(self, weights, update)
        seen.append(int((kept != 0).sum()))
        return kept

    monkeypatch.setattr(iht_vector._Selection, "keep", watched)
    fit = run(regression(scale=0.3), 6, 9, epochs=4, batch=20, selection=selection, step=step)
    assert len(seen) == 12
    assert 0 < max(seen) <= 9
    assert fit.model.nnz == seen[-1]


@pytest.mark.parametrize("selection", ["count_sketch", "accumulated", "magnitude"])
def test_no_place_of_the_budget_goes_to_an_entry_without_a_value(
    selection: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Most inputs are 0 in all samples, as pixels at the border are; a sketch mistakes them for others."""
    problem, seen = regression(n=60, d=40, scale=0.3), []
    problem.x[:, 10:] = 0
    keep = iht_vector._Selection.keep

    def watched(self: object, weights: torch.Tensor, update: torch.Tensor) -> torch.Tensor:
        kept = keep(self, weights, update)
        seen.append((int((kept != 0).sum()), int((weights + update != 0).sum())))
        return kept

    monkeypatch.setattr(iht_vector._Selection, "keep", watched)
    run(problem, 6, 30, epochs=4, batch=20, selection=selection)
    assert [kept for kept, _ in seen] == [min(30, possible) for _, possible in seen]


def test_reviving_is_a_matter_of_minibatches() -> None:
    problem, choices = regression(scale=0.3), ("every_epoch", "first_step")
    full = [parts(run(problem, 12, 8, steps=6, reinit=reinit)) for reinit in choices]
    mini = [parts(run(problem, 12, 8, epochs=6, batch=20, reinit=reinit)) for reinit in choices]
    assert np.array_equal(full[0][0], full[1][0])
    assert not np.array_equal(mini[0][0], mini[1][0])


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


@pytest.mark.parametrize("problem", [regression(), classes()], ids=["squared", "classes"])
def test_the_safeguarded_step_never_increases_its_batch_loss_with_the_gates_fixed(
    problem: Problem, monkeypatch: pytest.MonkeyPatch
) -> None:
    d, losses, plain = problem.d, list[tuple[float, float]](), list[bool]()
    advance, keep = iht_vector._Run._advance, iht_vector._Selection.keep
    batches: list[tuple[iht_vector._Batch, torch.Tensor]] = []

    def watched_advance(self: object, batch: iht_vector._Batch, start: torch.Tensor) -> float:
        batches.append((batch, self.weights))
        return advance(self, batch, start)

    def watched_keep(self: object, weights: torch.Tensor, update: torch.Tensor) -> torch.Tensor:
        (features, y, gates), old = batches[-1]  # before blocks were revived: the gates are those of that network
        x = features.T
        plain.append(weights is old)
        mask = x @ (old[:, :d] if gates is None else gates).T > 0
        before, after = (
            float(LOSSES[problem.loss]((mask * (x @ w[:, :d].T)) @ w[:, d:], y)) for w in (weights, weights + update)
        )
        losses.append((before, after))
        return keep(self, weights, update)

    monkeypatch.setattr(iht_vector._Run, "_advance", watched_advance)
    monkeypatch.setattr(iht_vector._Selection, "keep", watched_keep)
    fit = run(problem, 6, 15, epochs=8, batch=20, step="safeguarded")
    assert sum(plain) >= 16
    history = [(before, told) for (before, _), told, same in zip(losses, fit.history, plain, strict=True) if same]
    assert [before for before, _ in history] == pytest.approx([told for _, told in history])
    assert all(after <= before * (1 + 1e-12) for before, after in losses)
    assert sum(after < before for before, after in losses) > len(losses) / 2


@pytest.mark.parametrize("selection", ["count_sketch", "magnitude"])
@pytest.mark.parametrize("settings", [{"epochs": 150, "batch": 30}, {"steps": 60, "step": "safeguarded"}])
def test_classes_are_learned(selection: str, settings: dict[str, object]) -> None:
    problem = classes(n=150)
    fit = run(problem, 10, 40, seed=2, selection=selection, **settings)
    assert fit.status is Status.OK
    assert evaluate(fit.model, problem).value > 0.9
    assert fit.history[-1] < 0.3 * fit.history[0]
