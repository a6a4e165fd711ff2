"""IHT against the protocol written out with a dense A in float64 NumPy, and its invariants."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from mlpiht_cli.core.fit import Fit, Status
from mlpiht_cli.core.method import Shape
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.core.scoring import evaluate
from mlpiht_cli.core.task import Axes
from mlpiht_cli.linalg import compiled, gated
from mlpiht_cli.linalg.gated import BACKEND
from mlpiht_cli.linalg.sparse import SparseMatrix
from mlpiht_cli.rng import Streams
from mlpiht_cli.solvers.iht import IHT
from mlpiht_cli.tasks.planted import Planted


def planted(m: int, s: int, seed: int, n: int = 300, d: int = 8) -> Problem:
    return Planted(n=n, d=d).build(Axes(m, s), Streams(seed))


def run(method: IHT, problem: Problem, m: int, s: int, seed: int = 0) -> Fit:
    return next(iter(method.fit_path(problem, Shape(m), [s], Streams(seed))))


def literal_step(x: np.ndarray, y: np.ndarray, w: np.ndarray, h: np.ndarray, s: int, inner: int) -> np.ndarray:
    """One step of protocol.md, section 1, with A written down; f is evaluated wherever it is named."""
    m, d = w.shape
    a = np.hstack([(x @ h[j] > 0)[:, None] * x for j in range(m)])

    def f(v: np.ndarray) -> float:
        return float(((a @ v - y) ** 2).sum())

    flat = w.flatten()
    support = np.flatnonzero(flat)
    mu = 1e-14
    if len(support):
        g = a[:, support].T @ (a @ flat - y)
        mu = (g @ g) / (((a[:, support] @ g) ** 2).sum() + 1e-8)
    z = flat - mu * (a.T @ (a @ flat - y))
    kept = np.sort(np.argsort(-np.abs(z), kind="stable")[:s])
    kept = kept[z[kept] != 0]
    thresholded = np.zeros(m * d)
    thresholded[kept] = z[kept]
    v = thresholded.copy()
    for _ in range(inner):
        g = np.zeros(m * d)
        g[kept] = a[:, kept].T @ (a @ v - y)
        for _ in range(11):
            if f(v) - f(v - mu * g) >= 0.9 * mu * (g @ g):
                break
            mu /= 2
        else:
            return thresholded.reshape(m, d)
        v = v - mu * g
    return v.reshape(m, d)


@pytest.mark.parametrize("backend", ["compiled", "torch"])
@pytest.mark.parametrize(("m", "s"), [(1, 3), (4, 6), (5, 40), (12, 7)])
@pytest.mark.parametrize("period", [1, 3])
def test_iterates_are_those_of_the_protocol(
    m: int, s: int, period: int, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(BACKEND, backend)
    problem = planted(m, min(s, 8 * m), seed=2)
    x, y = problem.x.double().numpy(), problem.y[:, 0].double().numpy()
    w, h = np.zeros((m, 8)), Streams(5).gates(8).rows(0, m)
    for step in range(8):
        w = literal_step(x, y, w, h, s, inner=10)
        found = run(IHT(steps=step + 1, gate_period=period, dtype="float64"), problem, m, s, seed=5)
        # Near an exact fit the literal f(w) - f(w - mu g) drowns in rounding, so its halvings go astray a little.
        np.testing.assert_allclose(found.model.layers[0].dense().numpy(), w, rtol=1e-5, atol=1e-9)
        if step and step % period == 0:
            h = w.copy()


@pytest.mark.parametrize("period", [1, 2])
def test_minibatch_steps_keep_the_random_gates_for_one_epoch_and_one_batch(period: int) -> None:
    m, s, batch = 4, 6, 100
    problem = planted(m, s, seed=1)
    x, y = problem.x.double().numpy(), problem.y[:, 0].double().numpy()
    order = torch.Generator().manual_seed(5 + 3)
    w, h, step = np.zeros((m, 8)), Streams(5).gates(8).rows(0, m), 0
    for epoch in range(3):
        for rows in torch.randperm(300, generator=order).split(batch):
            w = literal_step(x[rows], y[rows], w, h, s, inner=10)
            if epoch > 0 and step % period == 0:
                h = w.copy()
            step += 1
    found = run(IHT(epochs=3, batch=batch, gate_period=period, dtype="float64"), problem, m, s, seed=5)
    np.testing.assert_allclose(found.model.layers[0].dense().numpy(), w, rtol=1e-6, atol=1e-9)
    assert found.iterations == 9


def test_the_history_is_the_loss_of_the_operator() -> None:
    """With gates h = w the operator's prediction is the network's, so the next loss is the last score."""
    problem = planted(4, 6, seed=0)
    short = run(IHT(steps=5, dtype="float64"), problem, 4, 6)
    longer = run(IHT(steps=6, dtype="float64"), problem, 4, 6)
    exact = problem.to(torch.device("cpu"), torch.float64)
    assert longer.history[5] == pytest.approx(evaluate(short.model, exact).final_loss, rel=1e-9)
    assert longer.history[:5] == short.history


@pytest.mark.parametrize("backend", ["compiled", "torch"])
@pytest.mark.parametrize(("tile", "words"), [(1, 1), (3, 2), (100, 64)])
def test_tiles_and_chunks_change_nothing_but_rounding(
    backend: str, tile: int, words: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    problem = planted(7, 9, seed=0)
    base = run(IHT(steps=8, dtype="float64"), problem, 7, 9).model.layers[0].dense()
    monkeypatch.setenv(BACKEND, backend)
    monkeypatch.setattr(gated, "TILE_NUMBERS", tile * problem.n)
    monkeypatch.setattr(compiled, "TILE", tile)
    monkeypatch.setattr(compiled, "CHUNK_BYTES", 32 * 8 * words)
    tiled = run(IHT(steps=8, dtype="float64"), problem, 7, 9).model.layers[0].dense()
    torch.testing.assert_close(tiled, base, rtol=1e-9, atol=1e-12)


def test_a_fixed_point_under_old_gates_is_no_end() -> None:
    """The next refresh may let the fit go on, here to the exact network."""
    problem = planted(2, 3, seed=1, n=200, d=6)
    fit = run(IHT(steps=180, gate_period=60, dtype="float64"), problem, 2, 3, seed=1)
    assert fit.iterations > 60
    assert evaluate(fit.model, problem.to(torch.device("cpu"), torch.float64)).exact


@pytest.mark.parametrize("seed", range(60))
def test_both_forms_fit_the_same_network(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small problems of all kinds: targets mostly zero, supports that do not fill the budget, dead networks."""
    rng = np.random.RandomState(seed)
    # Few samples would show several neurons the same, and rounding would choose among them.
    n, d, m = rng.randint(60, 120), rng.randint(4, 8), rng.randint(1, 6)
    x = torch.from_numpy(rng.normal(size=(n, d)))
    y = torch.from_numpy(rng.normal(size=(n, 1)) * (rng.uniform(size=(n, 1)) < rng.choice([0.02, 1.0])))
    problem = Problem(x, y, x, y, "psnr", peak=1.0)
    batch = int(rng.choice([0, 25, 40]))
    settings = {
        **{"epochs" if batch else "steps": 5, "batch": batch, "dtype": "float64"},
        **{"gate_period": int(rng.choice([1, 3])), "gates": str(rng.choice(["sequential", "fixed"]))},
        **{"signs": str(rng.choice(["positive", "both"])), "inner_steps": int(rng.choice([0, 10]))},
    }
    fits, s = [], int(rng.randint(1, m * d + 1))
    for backend in ("compiled", "torch"):
        monkeypatch.setenv(BACKEND, backend)
        fits.append(run(IHT.model_validate(settings), problem, m, s, seed))
    # Predictions, not weights: of two equal neurons either may lose an entry.
    ours, theirs = (fit.model.forward(x) for fit in fits)
    torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-9)
    assert fits[0].model.nnz == fits[1].model.nnz
    for a, b in zip(fits[0].history, fits[1].history, strict=False):  # one may see a step earlier that nothing changes
        assert a == pytest.approx(b, rel=1e-6, abs=1e-12)


@pytest.mark.parametrize("settings", [{}, {"gates": "fixed"}, {"gate_period": 3}])
def test_stopping_early_gives_what_all_steps_give(settings: dict[str, object], monkeypatch: pytest.MonkeyPatch) -> None:
    """A fixed point is reached only where rounding lets it, as with a zero residual."""
    x = torch.eye(4).repeat(8, 1)
    y = x[:, :1].clone()
    problem = Problem(x, y, x, y, "psnr", peak=1.0)
    early = run(IHT.model_validate({**settings, "steps": 60}), problem, 3, 1)
    monkeypatch.setattr(SparseMatrix, "equals", lambda self, other: False)
    full = run(IHT.model_validate({**settings, "steps": 60}), problem, 3, 1)
    assert early.iterations < full.iterations == 60
    assert torch.equal(early.model.layers[0].dense(), full.model.layers[0].dense())
    assert early.history == full.history[: len(early.history)]
    assert set(full.history[len(early.history) :]) <= {early.history[-1]}


def test_one_neuron_is_recovered_exactly() -> None:
    problem = planted(1, 4, seed=0, n=2000, d=20)
    fit = run(IHT(), problem, 1, 4)
    scores = evaluate(fit.model, problem)
    assert scores.exact
    assert scores.support_f1 == 1.0
    assert problem.truth is not None
    torch.testing.assert_close(fit.model.layers[0].dense(), problem.truth[0].dense(), rtol=1e-4, atol=1e-5)


def test_fixed_gates_give_a_gated_network_that_scores_as_its_operator() -> None:
    problem = planted(5, 6, seed=0)
    fit = run(IHT(steps=10, gates="fixed", dtype="float64"), problem, 5, 6)
    assert fit.model.gates is not None
    h = Streams(0).gates(8).rows(0, 5)
    w = fit.model.layers[0].dense().numpy()
    x = problem.x.double().numpy()
    expected = ((x @ h.T > 0) * (x @ w.T)).sum(1)
    np.testing.assert_allclose(fit.model.forward(torch.from_numpy(x))[:, 0].numpy(), expected, rtol=1e-9)
    assert fit.model.nnz <= 6


def test_signs_of_both_kinds_fit_a_negative_target() -> None:
    problem = planted(4, 6, seed=0, n=500)
    negative = Problem(problem.x, -problem.y, problem.x, -problem.y, "psnr", peak=problem.peak)
    plain = evaluate(run(IHT(steps=20), negative, 8, 12).model, negative).value
    signed = evaluate(run(IHT(steps=20, signs="both"), negative, 8, 12).model, negative).value
    assert signed > plain + 3.0


def test_a_zero_target_leaves_a_zero_network() -> None:
    problem = planted(3, 4, seed=0)
    silent = Problem(problem.x, torch.zeros_like(problem.y), problem.x, problem.y, "psnr", peak=1.0)
    fit = run(IHT(steps=5), silent, 3, 4)
    assert fit.status is Status.OK
    assert fit.model.nnz == 0


def test_overflow_is_divergence_with_a_reason() -> None:
    problem = planted(3, 4, seed=0)
    huge = Problem(problem.x * 1e30, problem.y * 1e30, problem.x, problem.y, "psnr", peak=1.0)
    fit = run(IHT(steps=5), huge, 3, 4)
    assert fit.status is Status.DIVERGED
    assert "step" in fit.reason


def test_steps_and_epochs_are_one_count() -> None:
    assert IHT().steps == 15
    assert IHT(epochs=3) == IHT(steps=3), "in full batch an epoch is a step"
    assert (IHT(batch=10).epochs, IHT(batch=10).steps) == (15, None)
    with pytest.raises(ValidationError, match="set epochs, not steps"):
        IHT(batch=10, steps=3)
    with pytest.raises(ValidationError, match="set steps alone"):
        IHT(steps=3, epochs=4)
    assert IHT.merge({"steps": 15}, {"epochs": 4}) == {"steps": 4}
    assert IHT.merge({"steps": 15}, {"epochs": 4, "steps": 5}) == {"steps": 5}
    assert IHT.merge({"epochs": 15, "batch": 10}, {"epochs": 4}) == {"epochs": 4, "batch": 10}


def test_unsupported_problems_come_with_a_reason() -> None:
    problem = Planted(n=20, d=3, k=2).build(Axes(4, 6), Streams(0))
    assert IHT().supports(problem, Shape(4)) == "iht needs one output, the problem has 2; use iht_vector"
    assert "one hidden layer" in str(IHT(gates="fixed").supports(planted(4, 4, 0), Shape(4, depth=2)))


@pytest.mark.parametrize(
    ("settings", "seed", "settles"),
    [({}, 3, True), ({}, 0, False), ({"gate_period": 3}, 0, False), ({"gates": "fixed"}, 1, False)],
)
def test_settled_is_the_last_step_that_changed_the_support(
    settings: dict[str, object], seed: int, settles: bool
) -> None:
    problem, steps = planted(4, 6, seed), 12
    fits = [run(IHT.model_validate({**settings, "steps": t}), problem, 4, 6) for t in range(1, steps + 1)]
    supports = [[], *(fit.model.layers[0].index.tolist() for fit in fits)]
    for t, fit in enumerate(fits, 1):
        assert fit.settled == max(i for i in range(1, t + 1) if supports[i] != supports[i - 1])
    assert (fits[-1].settled <= 6) == settles


def test_settled_counts_minibatch_steps() -> None:
    problem = planted(4, 6, seed=5)
    fits = [run(IHT(epochs=t, batch=100), problem, 4, 6) for t in range(1, 9)]
    supports = [fit.model.layers[0].index.tolist() for fit in fits]
    assert supports[1] != supports[2] == supports[-1], "the last change is in the third epoch of three batches"
    assert 7 <= fits[-1].settled <= 9
