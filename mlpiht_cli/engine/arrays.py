"""Bash scripts of array jobs, for SLURM and PBS."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

from mlpiht_cli.errors import InputError

_HEADERS = {
    "slurm": (
        "#SBATCH --job-name={name}",
        "#SBATCH --array=1-{count}",
        "#SBATCH --cpus-per-task=1",
        "#SBATCH --time={time}",
        "#SBATCH --signal=B:USR1@120",
        "#SBATCH --output={name}-%A_%a.log",
    ),
    "pbs": (
        "#PBS -N {name}",
        "#PBS -J 1-{count}",
        "#PBS -l select=1:ncpus=1",
        "#PBS -l walltime={time}",
        "#PBS -j oe",
    ),
}
_FOLDER = {"slurm": "SLURM_SUBMIT_DIR", "pbs": "PBS_O_WORKDIR"}
SCHEDULERS = tuple(_HEADERS)


def script(scheduler: str, count: int, time: str, name: str, words: Sequence[str]) -> str:
    """Return the Bash script of an array job in which each task runs its shard.

    Parameters
    ----------
    scheduler
        One of :data:`SCHEDULERS`.
    count
        Number of tasks in the array.
    time
        Time limit of a task, ``HH:MM:SS``.
    name
        Name of the spec, which becomes the job's name.
    words
        The command without ``--shard``.

    Raises
    ------
    InputError
        The time limit is malformed, or the scheduler takes no array of this size.
    """
    if not re.fullmatch(r"[0-9]{1,3}:[0-5][0-9]:[0-5][0-9]", time):
        raise InputError(f"--time {time}: write hours, minutes and seconds, as in 12:00:00")
    if scheduler == "pbs" and count == 1:
        raise InputError("--array 1: PBS needs at least two tasks; give --array 2 or more")
    header = [line.format(name=f"mlpiht-{name}"[:60], count=count, time=time) for line in _HEADERS[scheduler]]
    lines = [
        "#!/bin/bash",
        *header,
        "",
        "# All tasks write to one results folder; to resume, submit this script again.",
        "set -eu",
        f'cd "${{{_FOLDER[scheduler]}:-.}}"',
        "export OMP_NUM_THREADS=1",
        f"exec {shlex.join([*words, '--shard', f'auto/{count}'])}",
    ]
    return "\n".join(lines) + "\n"
