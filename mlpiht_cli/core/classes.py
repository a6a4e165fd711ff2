"""Classes of outputs and targets. Loads without torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

THRESHOLD = 0.5
"""Output above which a network of one output says the second class."""


def class_of(outputs: Tensor) -> Tensor:
    """Class ``[n]`` of outputs or targets ``[n, k]``: threshold 0.5 for one output, the first largest for several."""
    return (outputs[:, 0] > THRESHOLD).long() if outputs.shape[1] == 1 else outputs.argmax(1)


def of_one_class(targets: Tensor) -> str | None:
    """Why an accuracy on targets ``[n, k]`` says nothing: all are of one class; None if they are not."""
    true = class_of(targets)
    if not len(true) or bool((true != true[0]).any()):
        return None
    return "the held-out rows are of one class, and the model that always says it is right in all of them"
