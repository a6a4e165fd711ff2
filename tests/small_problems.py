"""A small problem that a network of two neurons an output solves, for methods that train and prune."""

from __future__ import annotations

import numpy as np
import torch

from mlpiht_cli.core.problem import Loss, Problem


def some(k: int = 1, loss: Loss = "squared", dtype: torch.dtype = torch.float64) -> Problem:
    """120 samples of 8 inputs; output j is the difference of two inputs' positive parts, or classes by the largest."""
    rng = np.random.RandomState(3)
    x = torch.from_numpy(rng.normal(size=(120, 8))).to(dtype)
    y = torch.stack([x[:, j].relu() - x[:, j + 1].relu() for j in range(k)], 1)
    if loss == "cross_entropy":
        y = torch.nn.functional.one_hot(y.argmax(1), k).to(dtype)
    return Problem(x, y, x, y, "psnr", loss, peak=1.0)
