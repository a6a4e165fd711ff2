"""Problems from arrays, or from a task by its name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike

from mlpiht_cli import plan
from mlpiht_cli.core.metric import task_metrics
from mlpiht_cli.core.problem import LOSSES, Loss, Problem
from mlpiht_cli.core.task import Axes
from mlpiht_cli.errors import CellSkipped, InputError, did_you_mean, shown
from mlpiht_cli.rng import Streams
from mlpiht_cli.specs.point import MAX_SEED

Data = ArrayLike | torch.Tensor
DTYPES = (torch.float32, torch.float64)


def problem(
    x: Data,
    y: Data,
    x_test: Data | None = None,
    y_test: Data | None = None,
    *,
    loss: Loss = "squared",
    metric: str | None = None,
) -> Problem:
    """Return a problem of arrays or tensors.

    Parameters
    ----------
    x, y
        Training inputs ``[n, d]`` and targets ``[n]`` or ``[n, k]``; one-hot rows for ``loss="cross_entropy"``. Floats
        of 32 or 64 bits are taken as they are, if possible without a copy; other numbers become float64.
    x_test, y_test
        What scores are computed on; the training data if left out.
    loss
        "squared" or "cross_entropy".
    metric
        Score of a network; by default r2, or accuracy for cross-entropy.

    Raises
    ------
    InputError
        A name is unknown, shapes do not belong together, or a value is missing or not finite.
    """
    if loss not in LOSSES:
        raise InputError(f"unknown loss {shown(loss)}{did_you_mean(str(loss), LOSSES)}")
    name = metric or ("r2" if loss == "squared" else "accuracy")
    if name not in task_metrics():
        raise InputError(f"unknown metric {shown(name)}{did_you_mean(name, task_metrics())}")
    if (x_test is None) != (y_test is None):
        raise InputError("give both x_test and y_test, or neither")
    train = _pair(x, y, ("x", "y"))
    test = train if x_test is None or y_test is None else _pair(x_test, y_test, ("x_test", "y_test"))
    for one, other, what in zip(train, test, ("columns in x and x_test", "outputs in y and y_test"), strict=True):
        if one.shape[1] != other.shape[1]:
            raise InputError(f"the numbers of {what} differ: {one.shape[1]} and {other.shape[1]}")
    for part, what in zip((train[1], test[1]), ("y", "y_test"), strict=True):
        if loss == "cross_entropy" and not bool(((part >= 0).all(1) & ((part.sum(1) - 1.0).abs() < 1e-5)).all()):
            raise InputError(f"{what}: cross-entropy needs probabilities in each row, as in np.eye(k)[labels]")
    return Problem(*train, *test, metric=name, loss=loss, peak=float(test[1].abs().max()))


def generate(task: str, m: int = 1, s: int = 1, *, seed: int = 0, depth: int = 1, **settings: Any) -> Problem:
    """Make the data of a task by its name, as ``mlpiht generate`` does.

    Parameters
    ----------
    task
        One of ``TASKS``.
    m, s, depth
        Width, budget and hidden layers of what is planted; other tasks do not look at them.
    seed
        Seed of everything that is drawn.
    settings
        Fields of the task, such as ``n`` and ``d``.

    Raises
    ------
    InputError
        A name or value is wrong, data are missing, or the task has no such data.
    """
    made = plan.make_task(task, {f"task.{name}": value for name, value in settings.items()})
    check_whole({"m": m, "s": s, "depth": depth}, seed)
    try:
        return made.build(Axes(m, s, depth), Streams(seed))
    except CellSkipped as why:
        raise InputError(str(why)) from why


def check_whole(values: Mapping[str, object], seed: object) -> None:
    """Raise an InputError for a size below 1 or a seed out of range."""
    for name, value in {**values, "seed": seed}.items():
        least = 0 if name == "seed" else 1
        if not isinstance(value, int | np.integer) or isinstance(value, bool) or not least <= int(value) <= MAX_SEED:
            raise InputError(f"{name}={shown(value)}: it must be a whole number from {least} to {MAX_SEED}")


def _pair(x: Data, y: Data, names: Sequence[str]) -> tuple[torch.Tensor, torch.Tensor]:
    """Inputs and targets of one type and device, ``[n, d]`` and ``[n, k]``."""
    inputs, targets = (matrix(part, name) for part, name in zip((x, y), names, strict=True))
    if len(inputs) != len(targets):
        raise InputError(f"{names[0]} has {len(inputs)} rows, {names[1]} has {len(targets)}")
    dtype = torch.promote_types(inputs.dtype, targets.dtype)
    return inputs.to(dtype), targets.to(inputs.device, dtype)


def matrix(data: Data, name: str) -> torch.Tensor:
    """Return a tensor ``[n, columns]`` of finite floats; one dimension becomes a column if it is a target.

    Raises
    ------
    InputError
        The data are not such numbers; ``name`` says which data in the message.
    """
    tensor = data.detach() if isinstance(data, torch.Tensor) else _from_array(data, name)
    tensor = tensor if tensor.dtype in DTYPES else tensor.double()
    if tensor.ndim == 1 and name.startswith("y"):
        tensor = tensor[:, None]
    if tensor.ndim != 2 or not tensor.numel():
        shape = tuple(tensor.shape)
        raise InputError(f"{name} has shape {shape}; it needs rows and columns" + ", or rows" * name.startswith("y"))
    bad = (~(tensor.abs() <= torch.finfo(torch.float32).max)).nonzero()
    if len(bad):
        row, column = bad[0].tolist()
        raise InputError(f"{name}[{row}, {column}] is {tensor[row, column].item()}: not a finite number of float32")
    return tensor


def _from_array(data: ArrayLike, name: str) -> torch.Tensor:
    try:
        array = np.asarray(data)
    except ValueError as error:
        raise InputError(f"{name} is no array: its rows have different lengths, or hold lists") from error
    if array.dtype.kind not in "biuf":
        raise InputError(f"{name} has values of type {array.dtype}; they must be numbers")
    if array.dtype not in (np.float32, np.float64):
        array = array.astype(np.float64)
    if not array.flags.writeable or min(array.strides, default=0) < 0:  # torch takes neither
        array = array.copy()
    return torch.from_numpy(array)
