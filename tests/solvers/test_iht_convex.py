"""IHT with fixed gates: the operator, least squares on a support, the law of the last steps, and recovery."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from mlpiht_cli.core.fit import Fit
from mlpiht_cli.core.method import Shape
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.core.recovery import merged_rows
from mlpiht_cli.core.scoring import evaluate
from mlpiht_cli.core.task import Axes
from mlpiht_cli.linalg.gated import BACKEND
from mlpiht_cli.linalg.gates import GivenGates
from mlpiht_cli.linalg.sparse import SparseMatrix
from mlpiht_cli.rng import Streams
from mlpiht_cli.solvers.convex import Convex
from mlpiht_cli.solvers.iht_convex import IHTConvex
from mlpiht_cli.tasks.planted import Planted
from mlpiht_cli.theory.law import LAST, Stretches, law, tail_factor


def planted(m: int, s: int, n: int, seed: int = 0, **settings: object) -> Problem:
    made = Planted.model_validate({"n": n, "d": 100, **settings}).build(Axes(m, s), Streams(seed))
    return made.to(torch.device("cpu"), torch.float64)


def fitted(problem: Problem, m: int, s: int, seed: int = 0, **settings: object) -> Fit:
    return IHTConvex.model_validate({"gates": "planted", **settings}).fit(problem, Shape(m), s, Streams(seed))


def exact(problem: Problem, fit: Fit) -> bool:
    scores = evaluate(fit.model, problem)
    return scores is not None and bool(scores.exact)


def small(signs: bool = False) -> tuple[Convex, np.ndarray]:  # type: ignore[type-arg]
    """A convex problem of four gates (the third is dead), and its matrix A of unit columns, zeros where A is zero."""
    generator = np.random.default_rng(3)
    x, gates = generator.standard_normal((60, 5)), generator.standard_normal((4, 5))
    x[:, 2] = 0.0
    sign = np.array([1.0, -1.0, 1.0, -1.0]) if signs else np.ones(4)
    rule = GivenGates(torch.tensor([0, 1, 3]), torch.from_numpy(gates[[0, 1, 3]]))
    y = torch.from_numpy(generator.standard_normal(60))
    features = torch.from_numpy(np.ascontiguousarray(x.T))
    convex = Convex(features, y, rule, 4, torch.from_numpy(sign) if signs else None, True)
    blocks = [sign[j] * (x @ gates[j] > 0)[:, None] * x * (j != 2) for j in range(4)]
    a = np.concatenate(blocks, 1)
    norms = np.linalg.norm(a, axis=0)
    return convex, a / np.where(norms > 0, norms, 1.0)


@pytest.mark.parametrize("backend", ["compiled", "torch"])
@pytest.mark.parametrize("signs", [False, True])
def test_the_unit_operator_is_the_matrix(monkeypatch: pytest.MonkeyPatch, backend: str, signs: bool) -> None:
    monkeypatch.setenv(BACKEND, backend)
    convex, a = small(signs)
    v = torch.zeros(4, 5, dtype=torch.float64)
    v[0, 1], v[1, 4], v[3, 0] = 1.5, -2.0, 0.5
    weights = SparseMatrix.from_dense(v)
    found = convex.operator.descend(weights, convex.y)
    residual = a @ v.flatten().numpy() - convex.y.numpy()
    np.testing.assert_allclose(found.residual.numpy(), residual, atol=1e-12)
    gradient = a.T @ residual
    np.testing.assert_allclose(found.gradient.numpy(), gradient[weights.index.numpy()], atol=1e-12)
    for rows, values in found.tiles:
        live = rows < 4
        np.testing.assert_allclose(values[live].numpy(), gradient.reshape(4, 5)[rows[live].numpy()], atol=1e-12)
    model = found.support.quadratic(weights.values, convex.y, 3)
    part = a[:, weights.index.numpy()]
    np.testing.assert_allclose(model.gradient.numpy(), part.T @ residual, atol=1e-12)
    change, curvature = model.normal(torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64))
    np.testing.assert_allclose(change.numpy(), part.T @ part @ [1, 2, 3], atol=1e-12)
    assert float(curvature) == pytest.approx(float(np.sum((part @ [1, 2, 3]) ** 2)))
    assert convex.used.tolist() == np.flatnonzero(np.abs(a).sum(0)).tolist()


@pytest.mark.parametrize("signs", [False, True])
def test_least_squares_on_a_support(signs: bool) -> None:
    convex, a = small(signs)
    index = torch.tensor([1, 3, 9, 15])
    found, loss = convex.solve(index)
    right, rest, *_ = np.linalg.lstsq(a[:, index.numpy()], convex.y.numpy(), rcond=None)
    np.testing.assert_allclose(found.values.numpy(), right, atol=1e-12)
    assert loss == pytest.approx(float(rest[0]))


def test_the_spectrum_is_that_of_the_matrix(monkeypatch: pytest.MonkeyPatch) -> None:
    convex, a = small()
    values = np.linalg.eigvalsh(a[:, np.abs(a).sum(0) > 0].T @ a[:, np.abs(a).sum(0) > 0])
    assert convex.spectrum == pytest.approx((values[0], values[-1]), abs=1e-12)
    monkeypatch.setattr("mlpiht_cli.solvers.convex.MOST", 3)
    assert small()[0].spectrum == pytest.approx((0.0, values[-1]), rel=1e-5), "by products alone"


@pytest.mark.parametrize(("m", "s", "n"), [(5, 10, 100), (10, 20, 200)])
def test_known_gates_recover_from_few_samples(m: int, s: int, n: int) -> None:
    """There are 2.2 s ln d samples: the gates are the obstacle, not the samples."""
    made = [(planted(m, s, n, seed), seed) for seed in range(10)]
    assert sum(exact(problem, fitted(problem, m, s, seed, relax=2)) for problem, seed in made) >= 9


def test_decoys_do_not_hinder_the_exact_step_and_stop_the_theorem_s() -> None:
    made = [(planted(5, 10, 400, seed), seed) for seed in range(5)]
    hits = {
        step: sum(exact(p, fitted(p, 5, 10, seed, relax=2, decoys=95, step=step)) for p, seed in made)
        for step in ("exact", "theorem")
    }
    assert hits["exact"] >= 4
    assert hits["theorem"] == 0


@pytest.mark.parametrize("relax", [1, 2, 4])
@pytest.mark.parametrize(("m", "s"), [(5, 10), (10, 20)])
def test_the_loss_falls_by_the_law(m: int, s: int, relax: int) -> None:
    facts = fitted(planted(m, s, 2000), m, s, relax=relax, step="theorem").facts
    assert abs(float(facts["tail_factor"]) - float(facts["law_factor"])) <= 0.02
    assert float(facts["tail_factor"]) < float(facts["bound_factor"]) < 1


def test_the_loss_after_some_steps_is_told_with_what_the_law_and_the_bound_say() -> None:
    """Written out for columns of unit norm: hard thresholding of plain gradient steps, budget s."""
    problem, steps = planted(2, 4, 300), 5
    x, w = problem.x.numpy(), problem.planted_layer
    assert w is not None
    a = np.concatenate([(x @ row.numpy() > 0)[:, None] * x for row in w.dense()], 1)
    norms = np.linalg.norm(a, axis=0)
    there, own = norms > 0, w.dense().numpy().ravel() != 0
    a, y = a[:, there] / norms[there], problem.y[:, 0].numpy()
    v, true = np.zeros(a.shape[1]), a[:, own[there]]
    values = np.linalg.eigvalsh(a.T @ a)
    eta = 2 / (3 * values[-1])
    for _ in range(steps):
        v = v - eta * a.T @ (a @ v - y)
        v[np.argsort(-np.abs(v))[4:]] = 0
    facts = fitted(problem, 2, 4, relax=1, step="theorem", steps=steps).facts
    assert facts["loss_ratio"] == pytest.approx(np.sum((a @ v - y) ** 2) / np.sum(y**2), rel=1e-9)
    assert facts["law_ratio"] == pytest.approx((1 - eta * np.linalg.eigvalsh(true.T @ true)[0]) ** (2 * steps))
    assert facts["bound_ratio"] == pytest.approx((1 - eta * values[0]) ** (2 * steps))
    random = fitted(problem, 2, 4, gates="random", step="theorem", steps=steps).facts
    assert "law_ratio" not in random, "weights of other gates say nothing of these columns"


def test_the_tail_is_measured_until_it_drowns_in_the_floor() -> None:
    """A sum of two modes on a floor: the slow one is left, and the losses end at the floor."""
    floor, stretches = 1e-8, Stretches()
    stretches.add(torch.tensor([1]), 50.0)
    for t in range(400):
        stretches.add(torch.tensor([2, 5]), floor + 10 * 0.5**t + 3 * 0.9**t)
    longest, *_ = stretches.longest
    excess = longest.excess(floor, stretches.first)
    assert longest.index.tolist() == [2, 5]
    assert LAST < len(excess) < 400
    assert tail_factor(excess) == pytest.approx(0.9, abs=1e-4)


def test_the_law_is_that_of_gradient_descent() -> None:
    generator = np.random.default_rng(0)
    a = generator.standard_normal((50, 4))
    values = np.linalg.eigvalsh(a.T @ a)
    eta, w = 2 / (3 * values[-1]), generator.standard_normal(4)
    losses = []
    for _ in range(300):
        losses.append(float(np.sum((a @ w) ** 2)))
        w = w - eta * a.T @ (a @ w)
    assert losses[-1] / losses[-2] == pytest.approx(law(eta, float(values[0])), rel=1e-6)


def test_noise_leaves_the_error_of_the_oracle() -> None:
    found = []
    for seed in range(6):
        problem = planted(5, 6, 1000, seed, d=20, noise=0.1, noise_unit="rms")
        found.append(float(fitted(problem, 5, 6, seed, relax=2).facts["over_oracle"]))
    assert np.median(found) <= 1.1
    assert min(found) >= 0.9


def test_planted_signs_are_those_of_the_columns() -> None:
    problem = planted(5, 10, 400, 1, signs="mixed")
    assert problem.truth_readout is not None
    assert len(set(problem.truth_readout.tolist())) == 2
    assert exact(problem, fitted(problem, 5, 10, 1))


def test_without_unit_columns_it_still_recovers() -> None:
    problem = planted(5, 10, 400)
    assert exact(problem, fitted(problem, 5, 10, normalise=False))


def test_planted_gates_need_a_planted_network() -> None:
    problem = replace(planted(5, 10, 50), truth=None)
    reason = IHTConvex(gates="planted").supports(problem, Shape(5))
    assert reason is not None
    assert "gates: random" in reason


def test_random_gates_fit_within_the_budget() -> None:
    problem = planted(5, 10, 300)
    fit = IHTConvex(gates="random", steps=50).fit(problem, Shape(20), 15, Streams(0))
    assert 0 < fit.model.nnz <= 15
    assert fit.model.gates is not None
    assert fit.history[-1] < fit.history[0]


@pytest.mark.parametrize(("inputs", "d"), [("gaussian", 100), ("absolute", 100), ("gaussian", 3)])
def test_undetermined_weights_are_what_the_rank_lacks(inputs: str, d: int) -> None:
    """On inputs of one sign gates that are always open share columns; with three inputs, neurons are parallel."""
    found, expected = [], []
    for seed in range(3):
        problem = planted(10, 20, 800, seed, inputs=inputs, d=d)
        assert problem.planted_layer is not None
        rows = merged_rows(problem.planted_layer)
        j, a = np.nonzero(rows)
        x = problem.x.numpy()
        columns = (x @ rows.T > 0)[:, j] * x[:, a]
        expected.append(len(j) - np.linalg.matrix_rank(columns / (np.linalg.norm(columns, axis=0) + 1e-30)))
        found.append(fitted(problem, 10, 20, seed, steps=1).facts["undetermined"])
    assert found == expected
    assert (sum(expected) > 0) == (inputs == "absolute")
