"""Random Fourier features of coordinates."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def fourier_features(coordinates: NDArray[np.float64], frequencies: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return ``[sin(2 pi x B^T), cos(2 pi x B^T)]``: all sines, then all cosines (P1, section 4).

    Parameters
    ----------
    coordinates
        Points x, shape ``[n, c]``.
    frequencies
        Frequencies B in cycles per unit of each coordinate, shape ``[f, c]``.

    Returns
    -------
    numpy.ndarray
        Shape ``[n, 2 f]``: computed in float64, since angles are large, and rounded once.
    """
    angles = 2.0 * np.pi * coordinates @ frequencies.T
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1).astype(np.float32)
