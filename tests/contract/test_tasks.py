"""What every registered task promises."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from mlpiht_cli.core.task import Axes, Task
from mlpiht_cli.plan.registry import TASKS
from mlpiht_cli.rng import Streams

# Smaller than the defaults where those take long.
SMALL: dict[str, dict[str, object]] = {
    "planted": {"n": 50, "d": 5},
    "gaussian_sparse": {"n": 20, "d": 30},
    "index_model": {"n": 20, "d": 30},
    "cifar10_binary": {"train_files": 1},
    "table": {"table": "diabetes"},
}
# Fixtures of the tasks that read a data set.
DATA = {
    "mnist_binary": "real_mnist",
    "mnist": "real_mnist",
    "inr_mnist": "real_mnist",
    "cifar10_binary": "real_cifar10",
    "inr_cifar10": "real_cifar10",
}
BASE = {"m": 3, "s": 4, "depth": 1, "seed": 0}


@pytest.fixture(params=TASKS)
def task(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Task:
    settings = SMALL.get(request.param, {})
    if request.param == "table":
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    if request.param in DATA:
        request.getfixturevalue(DATA[request.param])
    if request.param == "tabular":
        path = tmp_path / "table.csv"
        table = np.random.RandomState(0).normal(size=(30, 3))
        np.savetxt(path, table, delimiter=",", header="a,b,y", comments="")
        settings = {"path": str(path)}
    return TASKS[request.param](**settings)


def build(task: Task, **changes: int) -> tuple[torch.Tensor, ...]:
    axes = {**BASE, **changes}
    problem = task.build(Axes(axes["m"], axes["s"], axes["depth"]), Streams(axes["seed"]))
    return problem.x, problem.y, problem.x_test, problem.y_test


def same(a: tuple[torch.Tensor, ...], b: tuple[torch.Tensor, ...]) -> bool:
    return all(x.shape == y.shape and torch.equal(x, y) for x, y in zip(a, b, strict=True))


def test_dims_are_those_of_the_data(task: Task) -> None:
    task.check_data()
    x, y, _, _ = build(task)
    dims = task.dims()
    assert (dims.n, dims.d, dims.k) == (*x.shape, y.shape[1])
    assert x.dtype == y.dtype == torch.float32
    told = [(getattr(dims, axis), getattr(task, axis, None)) for axis in ("n", "d")]
    assert all(setting in (size, None) for size, setting in told), "panels vary n and d by their settings"


def test_depends_on_names_exactly_the_axes_that_change_the_data(task: Task) -> None:
    base = build(task)
    assert same(base, build(task))
    for axis, value in {"m": 4, "s": 3, "depth": 2, "seed": 1}.items():
        assert same(base, build(task, **{axis: value})) == (axis not in task.depends_on), axis


def test_settings_are_frozen_and_strict(task: Task) -> None:
    with pytest.raises(ValueError, match="frozen"):
        task.clip_budget = True
    with pytest.raises(ValueError, match="Extra inputs"):
        type(task)(**{**task.model_dump(), "no_such_field": 1})
