"""Compilation of kernels with Numba."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba

# Sums may be reordered and products fused; nan and inf keep their meaning, so that divergence stays visible.
_FAST = {"reassoc", "contract", "nsz"}


def kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function at its first call, and cache the machine code if a cache folder is writable."""
    try:
        return numba.njit(function, fastmath=_FAST, nogil=True, error_model="numpy", cache=True)  # type: ignore[no-any-return]
    except RuntimeError:  # neither the package's folder nor the user's cache can be written
        return numba.njit(function, fastmath=_FAST, nogil=True, error_model="numpy")  # type: ignore[no-any-return]


def inlined(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function into each kernel that calls it; its arguments may be vectors of :mod:`.simd`."""
    return numba.njit(function, fastmath=_FAST, error_model="numpy", forceinline=True)  # type: ignore[no-any-return]
