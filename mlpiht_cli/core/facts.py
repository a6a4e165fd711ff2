"""What the inputs and outputs of a network are called, and their units: the part of a table's recipe that is read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class Facts:
    """Names and units of a network's inputs and outputs.

    Attributes
    ----------
    names
        Names of the inputs, without the column of ones.
    mean, scale
        A network input is ``(value - mean) / scale``; one number for each name.
    intercept
        Whether a column of ones follows the named inputs.
    kind
        ``regression`` or ``classes``; None for a network that no table was fitted with.
    classes
        Labels: two with one output (a score), three or more with one output each.
    target
        Name of what is predicted.
    y_mean, y_scale
        The prediction (for two classes the score) is ``output * y_scale + y_mean``.
    """

    names: list[str]
    mean: list[float]
    scale: list[float]
    intercept: bool
    kind: Literal["regression", "classes"] | None
    classes: list[str] = field(default_factory=list)
    target: str = "y"
    y_mean: float = 0.0
    y_scale: float = 1.0

    def outputs(self, count: int) -> list[str]:
        """Names of ``count`` outputs: the target, ``score`` for two classes, or the classes."""
        if self.kind is not None and count == len(self.classes):
            return self.classes
        if count == 1:
            return [self.target if self.kind in (None, "regression") else "score"]
        return [f"{self.target}{i}" for i in range(count)]


def unnamed(inputs: int) -> Facts:
    """Facts of a network that no table was fitted with: the inputs are x0, x1, ..."""
    names = [f"x{i}" for i in range(inputs)]
    return Facts(names=names, mean=[0.0] * inputs, scale=[1.0] * inputs, intercept=False, kind=None)
