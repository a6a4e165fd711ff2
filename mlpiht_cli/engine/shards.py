"""One sweep in many processes that do not communicate: each process computes the same division of the jobs."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from mlpiht_cli.engine.cost import job_total, work
from mlpiht_cli.errors import InputError
from mlpiht_cli.plan.cells import Cell, Job, jobs

MAX_SHARDS = 100_000


@dataclass(frozen=True)
class Shard:
    """Part ``index`` (from 1) of ``count``."""

    index: int
    count: int


def parse_shard(text: str, environment: Mapping[str, str]) -> Shard:
    """Read ``I/N``, or ``auto/N`` or ``auto`` with the array index that the scheduler sets.

    ``auto/N`` uses the scheduler's index unchanged, so that single tasks can be submitted again. ``auto`` counts from
    the first index of the array, which must have no gaps.

    Raises
    ------
    InputError
        The text is no shard, or this is no array job.
    """
    index, slash, count = text.partition("/")
    if index == "auto":
        name = next((one for one in _INDEX if environment.get(one)), None)
        if name is None:
            raise InputError(
                f"--shard {text}: this is no array job ({', '.join(_INDEX)} are not set); give I/N, as in 1/4"
            )
        index = environment[name]
        if not slash:
            index, count = _from_slurm(environment, name, index)
    numbers = [int(part) for part in (index, count) if re.fullmatch(r"[0-9]{1,9}", part)]
    if len(numbers) < 2 or not 1 <= numbers[0] <= numbers[1] <= MAX_SHARDS:
        meant = f" (task {index} of {count})" if text.startswith("auto") else ""
        raise InputError(f"--shard {text}{meant}: give I/N with I from 1 to N, as in 1/4")
    return Shard(*numbers)


_INDEX = ("SLURM_ARRAY_TASK_ID", "PBS_ARRAY_INDEX", "PBS_ARRAYID")


def _from_slurm(environment: Mapping[str, str], name: str, index: str) -> tuple[str, str]:
    """Index from 1 and size of a SLURM array; other schedulers do not give the size."""
    read = {key: environment.get(f"SLURM_ARRAY_TASK_{key}", "") for key in ("COUNT", "MIN", "MAX")}
    if name != _INDEX[0] or not read["COUNT"].isdecimal():
        raise InputError("--shard auto: the scheduler does not give the size of the array; give auto/N")
    first = int(read["MIN"]) if read["MIN"].isdecimal() else 1
    if read["MAX"].isdecimal() and int(read["MAX"]) - first + 1 != int(read["COUNT"]):
        raise InputError("--shard auto: the array has gaps, so its tasks cannot be counted; give auto/N")
    return str(int(index) - first + 1) if index.isdecimal() else index, read["COUNT"]


def split(parts: Sequence[Job], count: int, cost: Callable[[Cell], float] = work) -> list[list[Job]]:
    """Divide jobs among shards; the same jobs give the same division on every machine and at any time.

    Costs of different methods can be compared only with finished rows, whose number grows while shards run. So each
    method is divided by itself: the largest job goes to the shard with the least work of this method, and of equal
    shards to the one with the least work of all methods.
    """
    by_method: dict[str, list[tuple[float, Job]]] = {}
    for job in parts:
        by_method.setdefault(job.first.point.method, []).append((job_total(job, [cost(c) for c in job.cells]), job))
    shards: list[list[Job]] = [[] for _ in range(count)]
    shares = [0.0] * count
    for found in by_method.values():
        total = sum(size for size, _ in found) or 1.0
        loads = [0.0] * count
        for size, job in sorted(found, key=lambda pair: -pair[0]):
            least = min(range(count), key=lambda i: (loads[i], shares[i]))
            loads[least] += size / total
            shards[least].append(job)
        shares = [a + b for a, b in zip(shares, loads, strict=True)]
    return shards


def cells_of(cells: Sequence[Cell], shard: Shard | None) -> list[Cell]:
    """Cells of a shard, in their order. All cells count, done or not, so that every process finds the same parts."""
    if shard is None:
        return list(cells)
    mine = {cell.key for job in split(jobs(list(cells)), shard.count)[shard.index - 1] for cell in job.cells}
    return [cell for cell in cells if cell.key in mine]
