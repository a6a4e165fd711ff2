"""Options of a sweep that choose its workers and its time limits, and the executor that follows from them."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mlpiht_cli.commands._common import options
from mlpiht_cli.errors import InputError

if TYPE_CHECKING:
    from mlpiht_cli.engine.executors.base import Executor

UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
LONGEST = 365 * 86400
"""A year; a timer in C takes no more than a few hundred."""


def _duration(_: click.Context, __: click.Parameter, value: str | None) -> float | None:
    """Return the seconds of 90, 90s, 5m or 2h."""
    if value is None:
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", value.strip())
    seconds = float(match[1]) * UNITS[match[2]] if match else 0.0
    if not 0 < seconds <= LONGEST:
        raise click.BadParameter(f"'{value}' is not a duration; write 90, 90s, 5m or 2h")
    return seconds


def _jobs(_: click.Context, __: click.Parameter, value: str | None) -> int | None:
    """Return the number of processes; ``auto`` is one for each processor that this process may use."""
    if value == "auto":
        from dask.system import CPU_COUNT

        return int(CPU_COUNT)
    if value is not None and not (value.isdecimal() and int(value)):
        raise click.BadParameter(f"'{value}' is neither a number of processes nor auto")
    return None if value is None else int(value)


executor_options = options(
    click.option("--jobs", "-j", callback=_jobs, metavar="N|auto", help="Number of worker processes, one thread each."),
    click.option("--devices", metavar="LIST", help="One worker for each device, e.g. cuda:0,cuda:1."),
    click.option("--scheduler", metavar="ADDR", help="Use the workers of a Dask cluster, e.g. tcp://host:8786."),
    click.option("--retries", type=click.IntRange(0), default=0, metavar="N", help="Try failed cells N more times."),
    click.option("--cell-timeout", callback=_duration, metavar="T", help="Stop a cell after 90, 90s, 5m or 2h."),
    click.option("--max-time", callback=_duration, metavar="T", help="Start no new cell after T; exit code 75."),
    click.option("--fail-fast", is_flag=True, help="Stop at the first cell that fails or diverges."),
)


def check(chosen: Mapping[str, Any]) -> tuple[int, str]:
    """Refuse options that contradict each other, and devices that this machine lacks.

    Returns
    -------
    tuple
        Number of workers (1 for a cluster, whose workers come and go) and kind of their device.

    Raises
    ------
    InputError
        Options contradict each other, or a device is not there.
    """
    from mlpiht_cli.engine.runner import pick_device

    given = [name for name in ("jobs", "devices", "scheduler") if chosen[name] is not None]
    if len(given) > 1:
        raise InputError(f"--{given[0]} and --{given[1]}: give one of them; each says how many workers there are")
    if chosen["devices"] is not None and chosen["device"] != "auto":
        raise InputError("--device and --devices: give one of them")
    names = _devices(chosen)
    if chosen["scheduler"] is None:
        return len(names), [pick_device(name).type for name in names][-1]
    return 1, names[0].partition(":")[0].replace("auto", "cpu")


def make(chosen: Mapping[str, Any], root: Path, jobs: int) -> Executor:
    """Start the executor that the options ask for, with at most one worker for each job.

    Raises
    ------
    InputError
        No scheduler answers.
    """
    import torch

    from mlpiht_cli.engine.executors.base import WorkerSettings
    from mlpiht_cli.engine.executors.serial import Serial

    devices, remote = _devices(chosen), chosen["scheduler"] is not None
    threads = torch.get_num_threads() if len(devices) == 1 and not remote else 1
    own = {name: value for name, value in os.environ.items() if name.startswith("MLPIHT_") and value}
    variables = tuple(sorted(own.items()))
    settings = WorkerSettings(root.resolve(), chosen["device"], threads, chosen["cell_timeout"], variables)
    if not jobs or not (remote or len(devices) > 1 or chosen["devices"] or chosen["cell_timeout"]):
        return Serial(settings)
    from mlpiht_cli.engine.executors.pool import Pool
    from mlpiht_cli.engine.executors.workers import ClusterWorkers, LocalWorkers

    if not remote:
        return Pool(settings, LocalWorkers(devices[:jobs], threads))
    try:
        return Pool(settings, ClusterWorkers(chosen["scheduler"], chosen["device"], settings.root))
    except (OSError, ValueError, TypeError) as error:  # TypeError: tls:// without a certificate
        why = f" ({error.strerror})" if isinstance(error, OSError) and error.strerror else ""
        hint = "start `dask scheduler`, and write its address as tcp://host:port"
        raise InputError(f"--scheduler {chosen['scheduler']}: no scheduler answers there{why}; {hint}") from error


def _devices(chosen: Mapping[str, Any]) -> list[str]:
    """Device of each local worker."""
    if chosen["devices"] is not None:
        names = [name.strip() for name in chosen["devices"].split(",")]
        if "" in names:
            raise InputError(f"--devices {chosen['devices']}: write a list such as cuda:0,cuda:1")
        return names
    return [chosen["device"]] * (chosen["jobs"] or 1)
