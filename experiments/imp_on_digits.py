"""Follow one IMP run through all rounds to see why it stays at chance on digits 0 and 1; see docs/imp_on_digits.md.

Run as ``python experiments/imp_on_digits.py [--out DIR]``; needs MNIST (see docs/data_and_rows.md).
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from matplotlib.figure import Figure
from torch import Tensor

from mlpiht_cli.baselines.imp import IMP, prune
from mlpiht_cli.baselines.training import Trainer
from mlpiht_cli.core.method import Shape
from mlpiht_cli.core.metric import accuracy
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.core.task import Axes
from mlpiht_cli.rng import Streams
from mlpiht_cli.tasks.mnist import MNISTBinary

FIELDS = (
    "pixels",
    "round",
    "weights",
    "trained",
    "after_prune",
    "on_black",
    "firing",
    "silent",
    "first_loss",
    "last_loss",
)


def follow(problem: Problem, seed: int, stop: int) -> tuple[list[dict[str, float]], list[list[float]]]:
    """Run IMP (m = 10, the paper's settings) down to ``stop`` weights; return its rounds and their training losses.

    A round trains the remaining weights from their initial values and prunes 10 %. The values of a round are:
    ``trained``, the test accuracy before the prune; ``after_prune`` (the paper's score), the test accuracy after it;
    ``firing``, the number of hidden neurons that are on for at least one training image; ``silent``, the share of
    training images for which no neuron is on, so that the prediction is 0; ``on_black``, the share of remaining hidden
    weights on pixels that no training image uses.
    """
    method = IMP(batch=1000, epochs=15)
    trainer = Trainer(problem, Shape(10), Streams(seed), method.batch)
    masks = [torch.ones_like(weight, dtype=torch.bool) for weight in trainer.initial]
    black = problem.x.abs().amax(dim=0) == 0
    rounds: list[dict[str, float]] = []
    curves = []
    while sum(int(mask.sum()) for mask in masks) > stop:
        weights, losses = train(trainer, masks, method)
        curves.append(losses)
        one = {"round": len(rounds) + 1, "trained": score(problem, weights, masks)}
        on = (problem.x @ (weights[0] * masks[0]).T) > 0
        one |= {"firing": int(on.any(dim=0).sum()), "silent": float((~on.any(dim=1)).double().mean())}
        masks = prune(weights, masks, method.rate)
        one |= {"after_prune": score(problem, weights, masks), "first_loss": curves[-1][0], "last_loss": curves[-1][-1]}
        one |= {"weights": sum(int(mask.sum()) for mask in masks)}
        one["on_black"] = float(masks[0][:, black].sum()) / max(1, int(masks[0].sum()))
        rounds.append(one)
    return rounds, curves


def train(trainer: Trainer, masks: Sequence[Tensor], method: IMP) -> tuple[list[Tensor], list[float]]:
    """Run one round; return the trained weights and the loss before each step."""
    steps, losses = trainer.train(masks, method.epochs, method.lr), list[float]()
    while True:
        try:
            losses.append(next(steps).loss)
        except StopIteration as end:
            return end.value, losses


def score(problem: Problem, weights: Sequence[Tensor], masks: Sequence[Tensor]) -> float:
    """Return the test accuracy of the masked network."""
    hidden, output = (weight * mask for weight, mask in zip(weights, masks, strict=True))
    return accuracy((problem.x_test @ hidden.T).relu() @ output.T, problem.y_test)


def draw(rounds: dict[str, list[dict[str, float]]], curves: dict[str, list[list[float]]]) -> Figure:
    """Draw the loss within rounds (left) and accuracy and silence over the rounds; raw pixels are above scaled ones."""
    figure = Figure(figsize=(10.0, 6.2), layout="constrained")
    styles = [("#0072B2", "-"), ("#009E73", "--"), ("#D55E00", "-.")]
    of_rounds = [("#000000", "-"), ("#CC79A7", "--"), ("#E69F00", "-.")]  # distinct from the series on the right
    for row, pixels in zip(figure.subplots(2, 2, sharex="col"), rounds, strict=True):
        left, right = row
        for i, (colour, line) in zip((0, 13, 29), of_rounds, strict=True):
            before = 7850 if i == 0 else int(rounds[pixels][i - 1]["weights"])
            left.plot(curves[pixels][i], color=colour, linestyle=line, label=f"round {i + 1}, of {before} weights")
        left.axhline(0.5, color="0.6", linewidth=0.8, label="always answering 0")
        left.set(yscale="log", ylabel="training loss", title=f"{pixels}: training at a mask")
        left.legend(fontsize=8, frameon=False)
        x = [one["weights"] for one in rounds[pixels]]
        series = {
            "accuracy, trained at the mask before": [one["trained"] for one in rounds[pixels]],
            "accuracy right after the prune (paper)": [one["after_prune"] for one in rounds[pixels]],
            "images for which no neuron fires": [one["silent"] for one in rounds[pixels]],
        }
        for (words, values), (colour, line) in zip(series.items(), styles, strict=True):
            right.plot(x, values, color=colour, linestyle=line, label=words)
        right.set(xscale="log", ylabel="share", title=f"{pixels}: rounds of one run", ylim=(-0.02, 1.04))
    left.set_xlabel("Adam step in the round")
    right.set_xlabel("weights left after the prune")
    right.invert_xaxis()
    handles, words = right.get_legend_handles_labels()
    figure.legend(handles, words, loc="outside lower center", ncols=3, fontsize=9, frameon=False)
    return figure


def main() -> None:
    """Write the table and the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("results"))
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    raw = MNISTBinary().build(Axes(10, 20), Streams(options.seed))
    problems = {"raw pixels 0..255": raw, "scaled to 0..1": replace(raw, x=raw.x / 255, x_test=raw.x_test / 255)}
    found = {name: follow(problem, options.seed, 20) for name, problem in problems.items()}
    rounds, curves = ({name: one[i] for name, one in found.items()} for i in (0, 1))
    (options.out / "figures").mkdir(parents=True, exist_ok=True)
    with (options.out / "imp_on_digits.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
        writer.writeheader()
        for name, every in rounds.items():
            writer.writerows({"pixels": name, **{key: f"{v:.6g}" for key, v in one.items()}} for one in every)
    draw(rounds, curves).savefig(options.out / "figures" / "imp_on_digits.png", dpi=110)


if __name__ == "__main__":
    main()
