"""Hermite polynomials by quadrature and by their closed forms."""

from __future__ import annotations

import math

import numpy as np
import torch

from mlpiht_cli.linalg.hermite import hermite


def test_they_are_orthonormal_by_quadrature() -> None:
    nodes, weights = np.polynomial.hermite_e.hermegauss(20)  # exact up to degree 39
    z = torch.from_numpy(nodes)
    table = np.stack([hermite(z, degree).numpy() for degree in range(8)])
    gram = (table * weights) @ table.T / math.sqrt(2 * math.pi)
    np.testing.assert_allclose(gram, np.eye(8), atol=1e-11)


def test_closed_forms() -> None:
    z = torch.linspace(-4, 4, 33, dtype=torch.float64)
    torch.testing.assert_close(hermite(z, 0), torch.ones_like(z))
    torch.testing.assert_close(hermite(z, 1), z)
    torch.testing.assert_close(hermite(z, 2), (z**2 - 1) / math.sqrt(2))
    torch.testing.assert_close(hermite(z, 3), (z**3 - 3 * z) / math.sqrt(6))
