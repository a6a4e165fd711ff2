"""The hand-written backward pass against torch's autograd on a dense twin."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from mlpiht_cli.core.problem import LOSSES
from mlpiht_cli.linalg import network
from mlpiht_cli.linalg.network import along, forward, fused_gradients, gradients

EXACT = {"rtol": 1e-10, "atol": 1e-10}
sizes = st.tuples(*[st.integers(1, 7)] * 4)


def dense_twin(x: Tensor, hidden: Tensor, output: Tensor, gates: Tensor | None) -> Tensor:
    """sum_j D_j X w1_j w2_j^T, neuron by neuron; torch's own ReLU when the gates follow the weights."""
    if gates is None:
        return torch.relu(x @ hidden.T) @ output
    terms = [(x @ h > 0)[:, None] * torch.outer(x @ w, v) for h, w, v in zip(gates, hidden, output, strict=True)]
    return torch.stack(terms).sum(0)


class Case:
    """A network of normal weights, of which some neurons' gates are zero, and half of the hidden entries too."""

    def __init__(self, shape: tuple[int, int, int, int], seed: int, own: bool) -> None:
        n, d, m, k = shape
        rng = np.random.RandomState(seed)
        normal = lambda *size: torch.from_numpy(rng.normal(size=size))  # noqa: E731
        dead = torch.from_numpy(rng.uniform(size=m) < 0.3)
        self.x, self.hidden, self.output, gates = normal(n, d), normal(m, d), normal(m, k), normal(m, d)
        self.hidden *= torch.from_numpy(rng.uniform(size=(m, d)) < 0.5)
        (self.hidden if own else gates)[dead] = 0.0
        self.gates = None if own else gates
        self.dead = ~(self.hidden if own else gates).any(dim=1)
        self.classes = torch.eye(k, dtype=torch.float64)[torch.from_numpy(rng.randint(0, k, size=n))]
        self.targets, self.direction = normal(n, k), (normal(m, d), normal(m, k))

    def autograd(self, loss: str) -> tuple[Tensor, Tensor]:
        hidden, output = self.hidden.clone().requires_grad_(), self.output.clone().requires_grad_()
        prediction = dense_twin(self.x, hidden, output, self.gates)
        if loss == "squared":
            value = (prediction - self.targets).square().sum() / (2 * len(self.x))
        else:
            value = -(torch.log_softmax(prediction, dim=1) * self.classes).sum() / len(self.x)
        return torch.autograd.grad(value, (hidden, output))


@pytest.mark.parametrize("own", [True, False], ids=["own gates", "random gates"])
@pytest.mark.parametrize("loss", ["squared", "cross_entropy"])
@given(sizes, st.integers(0, 10**6))
def test_gradients_are_autograds(own: bool, loss: str, shape: tuple[int, int, int, int], seed: int) -> None:
    case = Case(shape, seed, own)
    made = forward(case.x, case.hidden, case.output, case.gates)
    expected = dense_twin(case.x, case.hidden, case.output, case.gates)
    torch.testing.assert_close(made.prediction, expected, **EXACT)
    n = len(case.x)
    residual = (expected - case.targets) / n if loss == "squared" else (expected.softmax(1) - case.classes) / n
    found = gradients(case.x, made, case.output, residual)
    for ours, theirs in zip(found, case.autograd(loss), strict=True):
        torch.testing.assert_close(ours, theirs, **EXACT)
        assert not ours[case.dead].any(), "a dead neuron has no gradient"
    assert made.live.tolist() == (~case.dead).nonzero().flatten().tolist()


@pytest.mark.parametrize("loss", ["squared", "cross_entropy"])
@given(sizes, st.integers(0, 10**6), st.sampled_from([1, 3, 512]))
def test_one_compiled_pass_gives_autograds_loss_and_gradients(
    loss: str, shape: tuple[int, int, int, int], seed: int, chunk: int
) -> None:
    case = Case(shape, seed, own=True)
    classes = loss == "cross_entropy"
    targets = case.classes if classes else case.targets
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(network, "CHUNK", chunk)
        value, found = fused_gradients(case.x.T.contiguous(), targets, case.hidden, case.output, classes)
    prediction = dense_twin(case.x, case.hidden, case.output, None)
    assert value == pytest.approx(float(LOSSES[loss](prediction, targets)), rel=1e-10)
    # The mean squared error is a mean over outputs too, and has no half.
    scale = 1.0 if classes else 2.0 / targets.shape[1]
    for ours, theirs in zip(found, case.autograd(loss), strict=True):
        torch.testing.assert_close(ours, scale * theirs, **EXACT)


@pytest.mark.parametrize("own", [True, False], ids=["own gates", "random gates"])
@given(sizes, st.integers(0, 10**6))
def test_a_ray_is_the_network_evaluated_with_its_gates_fixed(
    own: bool, shape: tuple[int, int, int, int], seed: int
) -> None:
    case = Case(shape, seed, own)
    made = forward(case.x, case.hidden, case.output, case.gates)
    first, second = along(case.x, made, case.output, case.direction)
    fixed = case.hidden if case.gates is None else case.gates
    for mu in (-2.0, -0.3, 0.0, 1e-3, 0.7, 5.0):
        moved = case.hidden + mu * case.direction[0], case.output + mu * case.direction[1]
        torch.testing.assert_close(
            made.prediction + mu * first + mu**2 * second, dense_twin(case.x, *moved, fixed), rtol=1e-9, atol=1e-9
        )


@pytest.mark.parametrize("own", [True, False], ids=["own gates", "random gates"])
def test_a_network_of_dead_neurons_predicts_zero_and_stays(own: bool) -> None:
    x, zero, some = torch.ones(3, 2), torch.zeros(4, 2), torch.ones(4, 2)
    made = forward(x, zero if own else some, some, None if own else zero)
    assert torch.equal(made.prediction, torch.zeros(3, 2))
    assert not any(part.any() for part in gradients(x, made, some, torch.ones(3, 2)))
    assert not any(part.any() for part in along(x, made, some, (some, some)))


def test_a_sample_on_the_hinge_is_closed_since_the_indicator_is_strict() -> None:
    x, output = torch.tensor([[0.0, 1.0], [1.0, 1.0]]), torch.ones(1, 1)
    assert forward(x, torch.tensor([[0.0, 3.0]]), output, torch.tensor([[1.0, 0.0]])).prediction.tolist() == [[0], [3]]
    own = forward(x, torch.tensor([[1.0, 0.0]]), output, None)
    assert gradients(x, own, output, torch.ones(2, 1))[0].tolist() == [[1.0, 1.0]], "the second sample's alone"
