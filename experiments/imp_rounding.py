"""IMP on the MNIST image by three programs of one protocol: what rounding alone does to its scores.

Run as ``python experiments/imp_rounding.py``; needs MNIST. It writes results/imp_rounding.csv: the PSNR of networks of
ten neurons with 200 and 50 weights by our compiled kernels, by our torch form, and by ``torch.nn.Linear`` with
``torch.nn.utils.prune``, which shares nothing with them but the initial weights.
"""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import nn
from torch.nn.utils import prune

from mlpiht_cli import generate
from mlpiht_cli.baselines.imp import IMP, dropped
from mlpiht_cli.core.method import Shape
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.linalg.gated import BACKEND
from mlpiht_cli.rng import Streams

SEEDS, WIDTH, BUDGETS, EPOCHS = (0, 1, 2), 10, (200, 50), 100
OUT = Path("results/imp_rounding.csv")


def psnr(found: torch.Tensor, target: torch.Tensor) -> float:
    """PSNR of an image with values from 0 to 1."""
    return -10 * math.log10(float(((found - target).double() ** 2).mean()))


def ours(problem: Problem, seed: int, backend: str) -> Iterator[tuple[int, float]]:
    """Budgets and PSNR by mlpiht, on the given backend."""
    os.environ[BACKEND] = backend
    fits = IMP(epochs=EPOCHS).fit_path(problem, Shape(WIDTH), BUDGETS, Streams(seed))
    for s, fit in zip(BUDGETS, fits, strict=True):
        yield s, psnr(fit.model.forward(problem.x), problem.y)


def plain(problem: Problem, seed: int, budgets: Sequence[int]) -> Iterator[tuple[int, float]]:
    """Budgets and PSNR by torch's own layers and pruning."""
    torch.manual_seed(seed)
    sizes = (problem.d, WIDTH, problem.k)
    hidden, output = (nn.Linear(sizes[i], sizes[i + 1], bias=False) for i in range(2))
    network, layers = nn.Sequential(hidden, nn.ReLU(), output), [(hidden, "weight"), (output, "weight")]
    start = [layer.weight.detach().clone() for layer, _ in layers]
    for layer, name in layers:
        prune.identity(layer, name)
    total = left = sum(weight.numel() for weight in start)
    waiting = list(budgets)
    while waiting:
        adam = torch.optim.Adam(network.parameters(), lr=1e-3)
        for _ in range(EPOCHS):
            adam.zero_grad()
            nn.functional.mse_loss(network(problem.x), problem.y).backward()
            adam.step()
        count = dropped(left, total, 0.1)
        prune.global_unstructured(layers, pruning_method=prune.L1Unstructured, amount=count)
        left -= count
        with torch.no_grad():
            while waiting and left <= waiting[0]:
                yield waiting.pop(0), psnr(network(problem.x), problem.y)
            for (layer, _), weight in zip(layers, start, strict=True):
                layer.weight_orig.copy_(weight)


def main() -> None:
    """Run all, on one thread, and write the table."""
    torch.set_num_threads(1)
    lines = [("seed", "s", "program", "psnr")]
    for seed in SEEDS:
        problem = generate("inr_mnist", seed=seed)
        programs = {name: ours(problem, seed, name) for name in ("compiled", "torch")}
        for name, found in {**programs, "torch.nn": plain(problem, seed, BUDGETS)}.items():
            lines += [(str(seed), str(s), name, f"{value:.2f}") for s, value in found]
            print(*lines[-1])
    with OUT.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows(lines)
    print(f"{OUT} written")


if __name__ == "__main__":
    main()
