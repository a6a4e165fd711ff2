"""Compare every step of IHT with trajectories of the authors' code: ``python -m tests.reference.trajectories FOLDER``.

A trajectory is an .npz file with a small problem, everything random of its run, and the weights after every step. The
keys are ``x``, ``y``, ``gates``, ``order`` (minibatches), ``weights``, ``m``, ``s``, ``batch``, ``epochs`` and
``gate_period``; with several outputs also ``revival_hidden``, ``revival_output``, ``buckets``, ``signs``, ``width`` and
``loss``. What is random enters through the streams of the seed, as in every fit.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import click
import numpy as np
import torch

from mlpiht_cli.core.fit import Step
from mlpiht_cli.core.method import Method, Shape
from mlpiht_cli.core.model import SparseMLP
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.rng import Streams
from mlpiht_cli.solvers.iht import IHT
from mlpiht_cli.solvers.iht_vector import IHTVector

TOLERANCES = {"float64": 1e-6, "float32": 1e-3}
"""Largest difference that counts as equal, relative to the largest weight after the step."""
Trajectory = Mapping[str, np.ndarray]


class Rows:
    """Recorded rows in place of a matrix of a counter-based generator."""

    def __init__(self, known: np.ndarray) -> None:
        self._known, self.dim = known, known.shape[1]

    def rows(self, start: int, stop: int) -> np.ndarray:
        return self._known[start:stop]


class Orders:
    """Recorded orders in place of permutations of a generator."""

    def __init__(self, known: np.ndarray) -> None:
        self._known = iter(known)

    def draw(self, n: int) -> torch.Tensor:
        order = torch.from_numpy(next(self._known))
        assert len(order) == n
        return order


class Hashes:
    """Recorded buckets and signs in place of hash functions."""

    def __init__(self, buckets: np.ndarray, signs: np.ndarray) -> None:
        self._codes = np.where(signs > 0, buckets, ~buckets).astype(np.int32)

    def codes(self, keys: np.ndarray) -> np.ndarray:
        return self._codes[keys]


@dataclass(frozen=True)
class Recorded(Streams):
    """The streams of a trajectory."""

    file: Trajectory = field(default_factory=dict)

    def gates(self, dim: int) -> Any:
        return Rows(self.file["gates"])

    def batch_order(self) -> Any:
        return Orders(self.file["order"]) if "order" in self.file else super().batch_order()

    def revival(self, dim: int) -> Any:
        """One row of numbers per neuron makes its hidden and its output weights, so the longer of the two is it."""
        return Rows(max(_numbers(self.file), key=lambda rows: rows.shape[1]))

    def hashes(self, count: int, width: int) -> Any:
        known = self.file["buckets"].shape[1], int(self.file["width"])
        if known != (count, width):
            raise Unusable(f"the file has {known} hash functions and buckets, the method {(count, width)}")
        return Hashes(self.file["buckets"], self.file["signs"])


def _numbers(file: Trajectory) -> list[np.ndarray]:
    """Return the numbers on (-1, 1) that hidden and output blocks restart from."""
    return [file[name] * np.sqrt(file[name].size) for name in ("revival_hidden", "revival_output")]


class Unusable(Exception):
    """A file that is no trajectory, or one that our streams cannot make again."""


def checked(file: Trajectory) -> Trajectory:
    """Return the trajectory with its defaults: the full batch, and gates that follow every step.

    Raises
    ------
    Unusable
        A key is missing, or what is recorded does not fit together.
    """
    vector = "revival_hidden" in file
    needs = ["x", "y", "gates", "weights", "s", "epochs"]
    needs += ["revival_output", "buckets", "signs", "width", "loss"] if vector else []
    needs += ["order"] if file.get("batch") else []
    if missing := [name for name in needs if name not in file]:
        raise Unusable(f"no key {', '.join(missing)}")
    whole = {"m": np.array(len(file["gates"])), "batch": np.array(0), "gate_period": np.array(1), **file}
    n, epochs = len(whole["x"]), int(whole["epochs"])
    steps_ = epochs * -(-n // (int(whole["batch"]) or n))
    if len(whole["weights"]) != steps_:
        raise Unusable(f"{len(whole['weights'])} steps are recorded, {epochs} epochs have {steps_}")
    if whole["batch"] and len(whole["order"]) != epochs:
        raise Unusable(f"{len(whole['order'])} orders are recorded for {epochs} epochs")
    if vector and int(whole["gate_period"]) != 1:
        raise Unusable(f"gate_period is {whole['gate_period']}, with several outputs the gates follow every step")
    if vector:
        hidden, output = (rows[:, : min(part.shape[1] for part in _numbers(whole))] for rows in _numbers(whole))
        if not np.allclose(hidden, output, rtol=1e-9, atol=1e-12):
            raise Unusable("hidden and output blocks do not restart from the same numbers")
    return whole


class Difference(NamedTuple):
    """How two trajectories differ: first step that does (from 0; None: none), largest difference, steps compared."""

    first: int | None
    largest: float
    steps: int


def solver(file: Trajectory, dtype: str) -> Method:
    """Return the method that makes the trajectory, with the paper's settings."""
    passes = {"batch": int(file["batch"]), "epochs" if file["batch"] else "steps": int(file["epochs"])}
    if "revival_hidden" in file:
        return IHTVector.model_validate({"dtype": dtype, **passes})
    return IHT.model_validate({"dtype": dtype, "gate_period": int(file["gate_period"]), **passes})


def problem_of(file: Trajectory, dtype: str) -> Problem:
    """Return the problem of the trajectory."""
    x, y = (torch.from_numpy(np.ascontiguousarray(file[name])) for name in ("x", "y"))
    problem = Problem(x, y.reshape(len(x), -1), x, y.reshape(len(x), -1), "psnr", str(file.get("loss", "squared")))
    return problem.to(x.device, getattr(torch, dtype))


def flat(model: SparseMLP) -> np.ndarray:
    """Return the weights in the order of the files: hidden neuron by neuron, then output weights neuron by neuron."""
    hidden, *output = (layer.dense().double().numpy() for layer in model.layers)
    return np.concatenate([hidden.ravel(), *[layer.T.ravel() for layer in output]])


def steps(file: Trajectory, dtype: str) -> Iterator[np.ndarray]:
    """Yield the weights after every step of our method."""
    method, shape = solver(file, dtype), Shape(int(file["m"]))
    for event in method.iterate(problem_of(file, dtype), shape, [int(file["s"])], Recorded(0, file=file)):
        if isinstance(event, Step):
            assert event.network is not None
            yield flat(event.network())


def compare(file: Trajectory, dtype: str = "float64") -> Difference:
    """Compare our weights after each step with those of the file, support included, up to a step that diverges.

    A run of one output that ends early has come to rest: its last weights stand for the steps that are left.

    Raises
    ------
    Unusable
        See :func:`checked`.
    """
    file = checked(file)
    first, largest, count, ours = None, 0.0, 0, np.zeros(file["weights"].shape[1])
    found, rests = steps(file, dtype), "revival_hidden" not in file
    for count, theirs in enumerate(file["weights"], 1):
        ours = next(found, ours if rests else np.full_like(ours, np.nan))
        if not np.isfinite(theirs).all():
            differs = bool(np.isfinite(ours).all())
        else:
            gap = (
                float(np.abs(ours - theirs).max() / np.abs(theirs).max()) if theirs.any() else float(np.abs(ours).max())
            )
            differs = not gap <= TOLERANCES[dtype] or not np.array_equal(ours != 0, theirs != 0)
            largest = max(largest, gap if np.isfinite(gap) else np.inf)
        if differs and first is None:
            first = count - 1
        if not np.isfinite(theirs).all():
            break
    return Difference(first, largest, count)


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--dtype", type=click.Choice(list(TOLERANCES)), default="float64", show_default=True)
def main(folder: Path, dtype: str) -> None:
    """Compare our steps with every trajectory of FOLDER; exit with 1 if any differs."""
    files = sorted(folder.glob("*.npz"))
    if not files:
        raise click.UsageError(f"{folder} holds no .npz file")
    equal = 0
    for path in files:
        try:
            with np.load(path, allow_pickle=False) as data:
                found = compare(dict(data), dtype)
        except (Unusable, OSError, ValueError) as error:
            click.echo(f"{path.name}: cannot be compared: {error}")
            continue
        equal += found.first is None
        words = "equal at every step" if found.first is None else f"differs from step {found.first} on"
        click.echo(f"{path.name}: {words} ({found.steps} steps, largest difference {found.largest:.1e})")
    click.echo(f"{equal} of {len(files)} equal at every step ({dtype}, to {TOLERANCES[dtype]:g} of the largest weight)")
    sys.exit(equal < len(files))


if __name__ == "__main__":
    main()
