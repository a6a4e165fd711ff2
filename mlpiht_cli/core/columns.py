"""Training inputs feature by feature: made once for fits on the same inputs, and never kept for two inputs."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


class Columns:
    """Keeps the transposed inputs of one tensor: the last that was asked for, and no longer than that tensor lives."""

    def __init__(self) -> None:
        self._of: tuple[weakref.ref[Tensor], int] | None = None
        self._kept: Tensor | None = None

    def of(self, x: Tensor) -> Tensor:
        """Return ``x`` ``[n, d]`` as a contiguous tensor ``[d, n]``, made again if ``x`` was written to since."""
        kept = self.known(x)
        if kept is None:
            self.free()  # before new ones are made
            self._kept = kept = x.T.contiguous()
            self._of = weakref.ref(x, self._gone), x._version
        return kept

    def known(self, x: Tensor) -> Tensor | None:
        """Return the columns of ``x`` if they are kept."""
        return self._kept if self._of is not None and self._of[0]() is x and self._of[1] == x._version else None

    def free(self) -> None:
        """Keep nothing."""
        self._of = self._kept = None

    def _gone(self, reference: weakref.ref[Tensor]) -> None:
        """Free the columns of a tensor that is no more, unless others have taken their place."""
        if self._of is not None and self._of[0] is reference:
            self.free()


COLUMNS = Columns()
"""The columns that this process keeps."""
