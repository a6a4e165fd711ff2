"""Certified accuracy: right answers that provably stay the same near a test sample, by interval bound propagation.

S. Gowal et al., "On the Effectiveness of Interval Bound Propagation for Training Verifiably Robust Models", 2018,
section 3: bounds of affine and of monotonic layers, and the last layer left to the differences of outputs ("elision").
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from mlpiht_cli.core.classes import THRESHOLD, class_of
from mlpiht_cli.core.metric import METRICS
from mlpiht_cli.core.model import SparseMLP
from mlpiht_cli.core.problem import Ball, Problem
from mlpiht_cli.core.products import factor, samples_at_a_time
from mlpiht_cli.core.stages import Stage

if TYPE_CHECKING:
    from torch import Tensor


def certified_accuracy(model: SparseMLP, problem: Problem, prediction: Tensor) -> float | None:
    """Share of test samples whose class is right and provably the same for every input in the problem's ball.

    Intervals are sound and not tight: the share of samples that no change of the input turns may be larger. They are
    computed in float64, whose own rounding is neglected.

    Parameters
    ----------
    model
        The network, ReLU or linear, of any number of layers and outputs.
    problem
        Its ball says how far inputs may move.
    prediction
        Outputs ``[n, k]`` on the test inputs.

    Returns
    -------
    None without a ball, for a metric that counts no classes, and for a gated network: its gates cut its output off in
    steps, which the bounds of the paper, for continuous monotonic activations, do not cover.
    """
    if problem.ball is None or not METRICS[problem.metric].classes or model.gates is not None:
        return None
    true = class_of(problem.y_test)
    right = torch.nonzero(class_of(prediction) == true).flatten()
    stages = [_double(stage) for stage in model.stages()]
    used = torch.nonzero(stages[0].weights.any(0)).flatten()
    stages[0] = stages[0].reading(used)
    step = samples_at_a_time([len(used), *(len(stage.weights) for stage in stages)], right.device)
    kept = 0
    for start in range(0, len(right), step):
        rows = right[start : start + step]
        low, high = _input_bounds(problem.x_test[rows][:, used], problem.ball, used)
        middle, radius = _last_inputs(low, high, stages[:-1])
        kept += int(_keeps_class(middle, radius, stages[-1], true[rows]).sum())
    return kept / len(true) if len(true) else None


def _double(stage: Stage) -> Stage:
    bias = None if stage.bias is None else stage.bias.double()
    return Stage(stage.weights.double(), stage.rows, bias, stage.relu)


def _input_bounds(x: Tensor, ball: Ball, used: Tensor) -> tuple[Tensor, Tensor]:
    """Bounds ``[used, b]`` of the inputs in the ball around samples ``[b, used]``."""
    x = x.double()
    radius, least, most = (
        part.to(x).expand(len(used)) if len(part) == 1 else part.to(x)[used]
        for part in (ball.radius, ball.low, ball.high)
    )
    # A sample is in its own ball, even if rounding puts it outside the range.
    low, high = torch.minimum(x, (x - radius).maximum(least)), torch.maximum(x, (x + radius).minimum(most))
    return low.T, high.T


def _last_inputs(low: Tensor, high: Tensor, stages: Sequence[Stage]) -> tuple[Tensor, Tensor]:
    """Middle and half width ``[in, b]`` of the intervals that the last layer gets, from bounds of the inputs."""
    for stage in stages:
        middle, radius = (low + high) / 2, (high - low) / 2
        middle, radius = factor(stage.weights) @ middle, factor(stage.weights.abs()) @ radius
        if stage.bias is not None:
            middle = middle + stage.bias[:, None]
        low, high = middle - radius, middle + radius
        if stage.relu:
            low, high = low.relu(), high.relu()
    return (low + high) / 2, (high - low) / 2


def _keeps_class(middle: Tensor, radius: Tensor, last: Stage, true: Tensor) -> Tensor:
    """Whether the last layer gives samples their class ``[b]`` on the whole intervals ``[in, b]`` of its inputs.

    Bounds are of the difference of the true output and each other one, which are tighter than those of the outputs.
    """
    bias = last.weights.new_zeros(len(last.weights)) if last.bias is None else last.bias
    if len(last.weights) == 1:
        out, width = last.weights @ middle + bias[:, None], last.weights.abs() @ radius
        is_second = true == 1
        return torch.where(is_second, (out - width)[0] > THRESHOLD, (out + width)[0] <= THRESHOLD)
    kept = torch.zeros_like(true, dtype=torch.bool)
    for one in sorted(set(true.tolist())):
        rows = torch.nonzero(true == one).flatten()
        margin = last.weights[one] - last.weights
        least = margin @ middle[:, rows] - margin.abs() @ radius[:, rows] + (bias[one] - bias)[:, None]
        before = torch.arange(len(margin), device=true.device)[:, None] < one  # of equal outputs the first counts
        kept[rows] = torch.where(before, least > 0.0, least >= 0.0).all(0)
    return kept
