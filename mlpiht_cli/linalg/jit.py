"""How kernels are compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba

# Sums may be reordered and products fused; nan and inf keep their meaning, for divergence must stay visible.
_FAST = {"reassoc", "contract", "nsz"}


def kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function when it is first called, and keep the machine code where there is a place to write."""
    try:
        return numba.njit(function, fastmath=_FAST, nogil=True, error_model="numpy", cache=True)  # type: ignore[no-any-return]
    except RuntimeError:  # neither the package's folder nor the user's cache can be written
        return numba.njit(function, fastmath=_FAST, nogil=True, error_model="numpy")  # type: ignore[no-any-return]
