"""Training inputs feature by feature: made once for fits on the same inputs, and never kept for two inputs."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


class Columns:
    """Keeps the transposed inputs of the last owner that asked, and no longer than that owner lives.

    The owner is a problem, whose tensors do not change; or the tensor of its inputs, if they are shared.

    Attributes
    ----------
    shared
        Whether problems with the same tensor of inputs share their columns. A runner turns it on, because nobody else
        writes to the inputs that it makes.
    """

    def __init__(self) -> None:
        self.shared = False
        self._of: tuple[weakref.ref[object], int] | None = None
        self._kept: Tensor | None = None

    def of(self, x: Tensor, problem: object) -> Tensor:
        """Return the inputs ``x`` ``[n, d]`` of a problem as a contiguous tensor ``[d, n]``.

        They are made again if torch wrote to ``x`` since.
        """
        owner = x if self.shared else problem
        kept = self._found(owner, x)
        if kept is None:
            self.free()  # before new ones are made
            self._kept = kept = x.T.contiguous()
            self._of = weakref.ref(owner, self._gone), _version(x)
        return kept

    def known(self, x: Tensor) -> Tensor | None:
        """Return the columns of ``x`` if they are kept and shared."""
        return self._found(x, x) if self.shared else None

    def _found(self, owner: object, x: Tensor) -> Tensor | None:
        return self._kept if self._of is not None and self._of[0]() is owner and self._of[1] == _version(x) else None

    def free(self) -> None:
        """Keep nothing."""
        self._of = self._kept = None

    def _gone(self, reference: weakref.ref[object]) -> None:
        """Free the columns of an owner that is no more, unless others have taken their place."""
        if self._of is not None and self._of[0] is reference:
            self.free()


def _version(x: Tensor) -> int:
    """Return how often torch wrote to ``x``; tensors of inference mode do not count it."""
    return 0 if x.is_inference() else x._version


COLUMNS = Columns()
"""The columns that this process keeps."""
