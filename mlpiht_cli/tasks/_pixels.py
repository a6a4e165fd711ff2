"""How much pixels may change before the class of an image may."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from mlpiht_cli.core.problem import Ball

LEVELS = 255.0
"""Largest level of a pixel; the least is 0."""
RADIUS = 0.01
"""Largest change of a pixel, as a share of its range: 2.55 levels."""


def pixel_ball(mean: Sequence[float], std: Sequence[float]) -> Ball:
    """Images that differ from one by 1 % of the range of levels in no pixel, as the network gets them.

    Parameters
    ----------
    mean, std
        An input is ``(level - mean) / std``: one number of each for all pixels, or one for each pixel.
    """
    shift, scale = np.asarray(mean, dtype=np.float64), np.asarray(std, dtype=np.float64)
    parts = (RADIUS * LEVELS / scale, (0.0 - shift) / scale, (LEVELS - shift) / scale)
    return Ball(*(torch.from_numpy(part) for part in parts))
