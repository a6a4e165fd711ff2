from __future__ import annotations

import math

import pytest
import torch

from mlpiht_cli.core.metric import accuracy, psnr, r2
from mlpiht_cli.core.model import SparseMLP
from mlpiht_cli.core.packed import packed_size
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.core.recovery import merged_rows, planted_scores, recovery_scores
from mlpiht_cli.core.scoring import alignment, evaluate, support_f1, support_recall
from mlpiht_cli.linalg.sparse import SparseMatrix
from mlpiht_cli.system.peak import KernelPeak, release, reset_kernel_peak


def matrix(rows: list[list[float]]) -> SparseMatrix:
    return SparseMatrix.from_dense(torch.tensor(rows, dtype=torch.float32))


def test_psnr_closed_forms() -> None:
    y = torch.tensor([[1.0], [-4.0]])
    assert psnr(y + 0.04, y, peak=4.0) == pytest.approx(40.0, abs=1e-4)
    assert psnr(y, y, peak=4.0) == math.inf
    assert math.isnan(psnr(y + 1, y, peak=0.0))


def test_accuracy_of_one_and_several_outputs() -> None:
    assert accuracy(torch.tensor([[0.6], [0.4], [0.5]]), torch.tensor([[1.0], [1.0], [0.0]])) == pytest.approx(2 / 3)
    logits = torch.tensor([[1.0, 2.0, 0.0], [9.0, 1.0, 1.0]])
    assert accuracy(logits, torch.eye(3)[[1, 2]]) == 0.5


def test_r2() -> None:
    y = torch.tensor([[0.0], [2.0], [4.0]])
    assert (
        r2(
            y,
            y,
        )
        == 1.0
    )
    assert r2(torch.full_like(y, 2.0), y) == 0.0
    assert r2(y, torch.ones(3, 1)) is None


def test_support_f1_knows_no_order_of_neurons() -> None:
    truth = matrix([[1.0, 2.0, 0.0, 0.0], [0.0, 0.0, 3.0, 0.0]])
    assert support_f1(matrix([[0.0, 0.0, -1.0, 0.0], [5.0, 5.0, 0.0, 0.0]]), truth) == 1.0
    # Two of three coordinates found, one wrong: precision 2/3, recall 2/3.
    assert support_f1(matrix([[1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]]), truth) == pytest.approx(2 / 3)
    # The matching is the best one, not a greedy one: overlaps [[2, 1], [2, 0]] give 1 + 2.
    found = matrix([[1.0, 1.0, 1.0, 0.0], [1.0, 1.0, 0.0, 1.0]])
    assert support_f1(found, truth) == pytest.approx(2 * 3 / (6 + 3))
    assert support_f1(matrix([[0.0] * 4]), truth) == 0.0


def line(slope: float) -> SparseMLP:
    """The network yhat = slope * x."""
    return SparseMLP((matrix([[slope]]),))


def test_the_score_is_of_the_test_data_and_the_loss_of_the_training_data() -> None:
    x, x_test = torch.tensor([[1.0], [2.0]]), torch.tensor([[3.0], [4.0]])
    problem = Problem(x, 2 * x, x_test, 2 * x_test + 0.08, "psnr", peak=8.0)
    scores = evaluate(line(2.0), problem)
    assert scores is not None
    assert scores.final_loss == 0.0
    assert scores.value == scores.psnr == pytest.approx(40.0, abs=1e-3)
    assert scores.accuracy is None


@pytest.mark.parametrize(("error", "exact"), [(1.1e-5, False), (0.9e-5, True)])
def test_exact_means_100_db(error: float, exact: bool) -> None:
    y = torch.ones(4, 1)
    scores = evaluate(
        line(1.0 + error).to("cpu", torch.float64),
        Problem(y, y, y, y, "psnr", peak=1.0).to(torch.device("cpu"), torch.float64),
    )
    assert scores is not None
    assert scores.exact is exact


def test_each_problem_is_scored_by_its_own_metric() -> None:
    x = torch.tensor([[0.0], [1.0]])
    by_accuracy = evaluate(line(1.0), Problem(x, x, x, 1 - x, "accuracy"))
    by_r2 = evaluate(line(1.0), Problem(x, x, x, x, "r2"))
    assert by_accuracy is not None
    assert by_r2 is not None
    assert (by_accuracy.value, by_accuracy.psnr, by_accuracy.exact) == (0.0, None, None)
    assert (by_r2.value, by_r2.accuracy) == (1.0, None)


def test_predictions_that_overflow_have_no_score() -> None:
    x = torch.tensor([[1e30]])
    assert evaluate(line(1e30), Problem(x, x, x, x, "psnr", peak=1.0)) is None


def test_the_test_loss_is_measured_where_there_are_test_data() -> None:
    """Cross-entropy of the softmax, written out; none where the metric measures fit."""
    x, y = torch.tensor([[1.0], [2.0]]), torch.eye(2)
    x_test, y_test = torch.tensor([[3.0]]), torch.tensor([[0.0, 1.0]])
    model = SparseMLP((SparseMatrix.from_dense(torch.tensor([[0.5], [-0.25]])),))
    held_out = evaluate(model, Problem(x, y, x_test, y_test, "accuracy", "cross_entropy"))
    assert held_out is not None
    assert held_out.more["test_loss"] == pytest.approx(math.log(math.exp(1.5) + math.exp(-0.75)) + 0.75)
    fit = evaluate(model, Problem(x, y, x, y, "accuracy", "cross_entropy"))
    assert fit is not None
    assert "test_loss" not in fit.more


def biased(first: list[list[float]], output: list[float]) -> SparseMLP:
    return SparseMLP((matrix(first), matrix([output])), bias=torch.linspace(-1, 1, len(first)))


V = matrix([[0.6, 0.8, 0.0, 0.0]])


def test_alignment_is_the_median_cosine_whatever_sign_length_or_copies() -> None:
    assert alignment(biased([[3.0, 4.0, 0.0, 0.0]], [1.0]), V) == pytest.approx(1.0)
    assert alignment(biased([[0.0, 0.0, 2.0, 0.0]], [1.0]), V) == 0.0
    # Cosines .6, .8 and .96; five copies and a constant neuron do not count, nor does one without output.
    rows = [[0.0, 5.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0], [0.8, 0.6, 0.0, 0.0], *[[-1.0, 0.0, 0.0, 0.0]] * 4]
    rows += [[0.0] * 4, [0.0, 0.0, 0.0, 1.0]]
    assert alignment(biased(rows, [1.0] * 8 + [0.0]), V) == pytest.approx(0.8)
    assert alignment(biased([[0.0] * 4], [1.0]), V) == 0.0


def test_alignment_with_two_directions_is_with_their_span() -> None:
    plane = matrix([[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0]])
    assert alignment(biased([[0.6, 0.0, 0.8, 0.0]], [1.0]), plane) == pytest.approx(0.6)
    assert alignment(biased([[3.0, -4.0, 0.0, 0.0]], [1.0]), plane) == pytest.approx(1.0)
    turned = matrix([[0.6, 0.8, 0.0, 0.0], [-0.8, 0.6, 0.0, 0.0]])
    assert alignment(biased([[1.0, 0.0, 0.0, 1.0]], [1.0]), turned) == pytest.approx(2**-0.5)


def test_support_recall_counts_among_the_heaviest_inputs() -> None:
    wide = matrix([[0.6, 0.8, 0.0, 0.0, 0.0, 0.0]])
    assert support_recall(biased([[9.0, 1.0, 2.0, 3.0, 0.1, 0.1]], [1.0]), wide) == pytest.approx(1.0)
    assert support_recall(biased([[9.0, 0.1, 2.0, 3.0, 0.2, 0.1]], [1.0]), wide) == pytest.approx(0.36)
    assert support_recall(biased([[0.0, 1.0, 0.0, 0.0, 0.0, 0.0]], [1.0]), wide) == pytest.approx(0.64)
    assert support_recall(biased([[0.0, 0.0, 1.0, 0.0, 0.0, 0.0]], [1.0]), wide) == 0.0
    equal = matrix([[0.5, -0.5, 0.5, 0.5, 0.0, 0.0, 0.0, 0.0]])
    assert support_recall(biased([[1.0, 1.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0]], [1.0]), equal) == 0.75


def test_index_models_are_scored_alike_for_every_method() -> None:
    x = torch.tensor([[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 3.0, 0.0]])
    y = torch.tensor([[1.0], [2.0], [6.0]])
    net = biased([[0.0, 0.0, 2.0, 0.0]], [1.0])
    scores = evaluate(net, Problem(x, y, x, y, "r2", directions=V))
    assert scores is not None
    assert scores.value is not None
    index = {"mse_ratio": pytest.approx(1 - scores.value), "alignment": 0.0, "support_recall": 0.0}
    assert scores.more == {**index, "packed_bytes": packed_size(net)}
    # Predictions are relu(2 x_3 - 1) = 0, 0, 5 (one neuron: linspace gives it the bias -1).
    assert scores.more["mse_ratio"] == pytest.approx((1 + 4 + 1) / (4 + 1 + 9))
    plain = evaluate(net, Problem(x, y, x, y, "r2"))
    assert plain is not None
    assert plain.more.keys() == {"packed_bytes"}


def fused(rows: list[list[float]], signs: list[float] | None = None) -> SparseMLP:
    readout = torch.ones(len(rows)) if signs is None else torch.tensor(signs)
    return SparseMLP((SparseMatrix.from_dense(torch.tensor(rows)),), readout)


TRUE = SparseMatrix.from_dense(torch.tensor([[1.0, 0, 0], [2, 0, 0], [0, -1, 3], [0, 1, 0], [0, 0, 0]]))


def test_neurons_that_point_the_same_way_count_as_one() -> None:
    merged = {tuple(row) for row in merged_rows(TRUE).tolist()}
    assert merged == {(3.0, 0.0, 0.0), (0.0, -1.0, 3.0), (0.0, 1.0, 0.0)}
    one = fused([[0, 1, 0], [3, 0, 0], [0, -0.5, 1.5], [0, -0.5, 1.5]])
    assert recovery_scores(one, TRUE) == {"merged_f1": 1.0, "weight_error": 0.0}
    assert support_f1(one.first_layer_support(), TRUE) < 1.0
    x = torch.randn(50, 3, generator=torch.Generator().manual_seed(0))
    planted = fused(TRUE.dense().tolist())
    assert torch.allclose(one.forward(x), planted.forward(x), atol=1e-6), "which is why they count as one"


def test_recovery_scores_of_what_is_missing_wrong_or_too_much() -> None:
    turned = recovery_scores(fused([[-3.0, 0, 0], [0, -1, 3], [0, 1, 0]]), TRUE)
    assert turned["weight_error"] == 1.0, "a weight of the other sign is another neuron"
    missing = recovery_scores(fused([[3.0, 0, 0], [0, -1, 3]]), TRUE)
    assert missing == {"merged_f1": pytest.approx(2 * 3 / 7), "weight_error": pytest.approx(1 / 3)}
    near = recovery_scores(fused([[3.0003, 0, 0], [0, -1, 3], [0, 1, 0]]), TRUE)
    assert near["weight_error"] == pytest.approx(1e-4, rel=1e-3)
    assert near["merged_f1"] == 1.0
    assert recovery_scores(fused([[0.0, 0, 0]]), TRUE) == {"merged_f1": 0.0, "weight_error": 1.0}
    two_layers = SparseMLP((TRUE, SparseMatrix.from_dense(torch.ones(1, 5))))
    assert recovery_scores(two_layers, TRUE) == {"merged_f1": 1.0}, "its weights come in two factors"


MIXED = SparseMatrix.from_dense(torch.tensor([[1.0, 2, 0], [1, 2, 0], [0, 3, 0], [0, 1, 0], [0, 0, -1]]))
SIGNS = torch.tensor([1.0, -1, -1, 1, 1])


def test_output_signs_tell_neurons_apart() -> None:
    """The first two cancel, the next two leave -relu(2 x_2)."""
    right = fused([[0, 0, -1.0], [0, 2, 0]], [1, -1])
    assert recovery_scores(right, MIXED, SIGNS) == {"merged_f1": 1.0, "weight_error": 0.0}
    x = torch.randn(50, 3, generator=torch.Generator().manual_seed(0))
    planted = fused(MIXED.dense().tolist(), SIGNS.tolist())
    assert torch.allclose(right.forward(x), planted.forward(x), atol=1e-6), "which is why it is right"
    turned = recovery_scores(fused([[0, 0, -1.0], [0, 2, 0]], [1, 1]), MIXED, SIGNS)
    assert turned == {"merged_f1": 0.5, "weight_error": 1.0}, "of the wrong sign"
    # -relu(w.x) is not relu(-w.x) either.
    turned = recovery_scores(fused([[0, 0, -1.0], [0, -2, 0]], [1, 1]), MIXED, SIGNS)
    assert turned == {"merged_f1": 0.5, "weight_error": 1.0}
    near = recovery_scores(fused([[0, 0, -1.0], [0, 2.0002, 0]], [1, -1]), MIXED, SIGNS)
    assert near["weight_error"] == pytest.approx(1e-4, rel=1e-3)


def test_signs_do_not_count_where_output_weights_are_free() -> None:
    rows = [[0, 0, -1.0], [0, 2, 0]]
    free = fused(rows, [0.5, -2])
    assert set(recovery_scores(free, MIXED, SIGNS)) == {"merged_f1"}
    positive = SparseMatrix.from_dense(torch.tensor(rows))
    assert recovery_scores(fused(rows), positive) == recovery_scores(fused(rows), positive, torch.ones(2))
    assert recovery_scores(fused(rows, [1, -1]), positive)["merged_f1"] == 0.5


def planted(hidden: list[list[float]], output: list[list[float]]) -> Problem:
    """Two layers; one output that is a sum over ReLU of the second if its matrix is square, else several outputs."""
    truth = matrix(hidden), matrix(output)
    summed = truth[1].rows == truth[1].cols
    x = torch.randn(60, truth[0].cols, generator=torch.Generator().manual_seed(1))
    y = SparseMLP(truth, torch.ones(truth[1].rows) if summed else None).forward(x)
    return Problem(x, y, x, y, "psnr", peak=1.0, truth=truth)


def same_function(model: SparseMLP, problem: Problem) -> bool:
    return torch.allclose(model.forward(problem.x), problem.y, atol=1e-5)


HIDDEN = [[1.0, 0, 2], [2, 0, 4], [0, 3, 0], [0, 0, 1], [0, 0, 0]]
OUTPUT = [[1.0, 1, 0, 0, 1], [0, 0, 2, 0, 0], [0, 2, 0, 0, 0]]


def test_several_outputs_are_compared_over_both_layers() -> None:
    """Order and scale of neurons, parallel ones, and neurons without outputs or inputs do not count."""
    problem = planted(HIDDEN, OUTPUT)
    same = SparseMLP((matrix([[0, 1, 0], [2, 0, 4]]), matrix([[0, 1.5], [6, 0], [0, 2]])))
    assert same_function(same, problem)
    assert planted_scores(same, problem) == {"merged_f1": 1.0, "weight_error": pytest.approx(0.0, abs=1e-7)}
    near = SparseMLP((matrix([[0, 1, 0], [2, 0, 4]]), matrix([[0, 1.5], [6.006, 0], [0, 2]])))
    error = planted_scores(near, problem)["weight_error"]
    assert error == pytest.approx(0.006 / (4 * 5**0.5), rel=1e-3), "the largest weight of a unit row is 4 sqrt(5)"
    lacking = SparseMLP((matrix([[0, 1, 0], [2, 0, 4]]), matrix([[0, 1.5], [6, 0], [0, 0]])))
    # Three weights of the first layer and three of the second are planted; one of the second is missing.
    assert planted_scores(lacking, problem)["merged_f1"] == pytest.approx(2 * 5 / 11)
    turned = SparseMLP((matrix([[0, -1, 0], [2, 0, 4]]), matrix([[0, 1.5], [6, 0], [0, 2]])))
    assert planted_scores(turned, problem)["weight_error"] > 0.5


DEEP = [[1.0, -2, 0], [3, 1, 0], [-1, 0, -4]]


def test_two_hidden_layers_are_compared_over_both() -> None:
    """Rows of the second layer that are never negative count by their sum, and those that are never positive not."""
    hidden = [[1.0, 0, 2], [0, 3, 0], [0, 0, 1]]
    problem = planted(hidden, DEEP)
    ones = torch.ones(4)
    same = SparseMLP((matrix([[0, 1, 0], [0.5, 0, 1]]), matrix([[1, 2], [2, 4], [-6, 2], [-1, -1]])), ones)
    assert same_function(same, problem)
    assert planted_scores(same, problem) == {"merged_f1": 1.0, "weight_error": pytest.approx(0.0, abs=1e-7)}
    other = SparseMLP((matrix([[0, 1, 0], [0.5, 0, 1]]), matrix([[1, 2], [2, 4], [0, 2], [-1, -1]])), ones)
    assert not same_function(other, problem)
    # Of three hidden and four second-layer weights, (0, 2) lacks one and is linear: it is added to the other row.
    assert planted_scores(other, problem)["merged_f1"] == pytest.approx(2 * 5 / (7 + 5))
    flat = SparseMLP((matrix([[0, 1, 0], [0.5, 0, 1]]),), torch.ones(2))
    assert planted_scores(flat, problem) == {}, "it has another number of layers"


@pytest.mark.skipif(not reset_kernel_peak(), reason="the kernel keeps no peak that can be reset")
def test_scoring_takes_little_memory_where_neurons_are_many() -> None:
    """All activations of 600 live neurons would be 70 MB."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(30_000, 100, generator=generator)
    rows, cols = torch.arange(600), torch.randint(100, (600,), generator=generator)
    planted = SparseMatrix(rows * 100 + cols, torch.randn(600, generator=generator), 600, 100)
    y = torch.zeros(30_000, 1)
    problem = Problem(x, y, x, y, "psnr", peak=1.0)
    net, memory = SparseMLP((planted,), torch.ones(600)), KernelPeak()
    few = Problem(x[:99], y[:99], x[:99], y[:99], "psnr", peak=1.0)
    evaluate(net, few)  # what a first call loads is not counted
    release()
    memory.start()
    before = memory.stop()
    evaluate(net, problem)
    after = memory.stop()
    assert before is not None
    assert after is not None
    assert after - before < 25.0
