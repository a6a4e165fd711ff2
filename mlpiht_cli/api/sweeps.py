"""Sweeps of specs, as ``mlpiht sweep`` runs them, with the table as a data frame."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlpiht_cli import plan
from mlpiht_cli.engine.executors.base import Executor, WorkerSettings
from mlpiht_cli.engine.executors.serial import Serial
from mlpiht_cli.engine.runner import pick_device
from mlpiht_cli.engine.sweep import Policy, Sweep, survey
from mlpiht_cli.errors import InputError, did_you_mean, shown
from mlpiht_cli.records.rows import Row
from mlpiht_cli.records.store import Store
from mlpiht_cli.records.table import PROFILES, read_csv
from mlpiht_cli.specs.filters import parse_only
from mlpiht_cli.specs.find import find_spec
from mlpiht_cli.system.files import check_writable

if TYPE_CHECKING:
    import pandas as pd


def sweep(
    spec: str | Path,
    profile: str = "paper",
    out: str | Path = "results",
    *,
    jobs: int = 1,
    only: str | None = None,
    settings: Mapping[str, Any] | None = None,
    device: str = "auto",
) -> pd.DataFrame:
    """Run the cells of a spec that are not done, record each at once, write the table and return its rows.

    The same call again runs what is left. A script that asks for several jobs needs the usual
    ``if __name__ == "__main__":``, since each worker process imports it.

    Parameters
    ----------
    spec
        Path of a spec, or a name such as "figure1".
    profile
        "smoke", "laptop" or "paper".
    out
        Results folder; tables and records are the same as those of the command.
    jobs
        Worker processes; 1 runs in this process.
    only
        Conditions such as "method=iht,m<=100"; other cells neither run nor are returned.
    settings
        Settings that replace the spec's, such as ``{"task.n": 1000}``.
    device
        "auto", "cpu", "cuda" or "cuda:i".

    Returns
    -------
    DataFrame
        A row for each cell that has one, with the columns of the table. Failed cells have their status and reason.

    Raises
    ------
    InputError
        The spec, a name or a value is wrong, or data are missing.
    """
    if profile not in PROFILES:
        raise InputError(f"unknown profile {shown(profile)}{did_you_mean(str(profile), PROFILES)}")
    if jobs < 1:
        raise InputError(f"jobs={shown(jobs)}: it must be a whole number of 1 or more")
    experiment, wanted = plan.load(find_spec(str(spec)), settings), parse_only(only)
    every, store = experiment.cells(profile), Store(Path(out))
    chosen = [cell for cell in every if wanted.admits(cell.point)]
    if not chosen:
        raise InputError(f"only={shown(only)}: no cell of {experiment.spec.name} fits")
    ledger = survey(chosen, store, device=pick_device(device).type)
    ledger.check_data()
    check_writable(Path(out) / ".records")
    table = store.table(experiment.spec.name, profile)
    with _executor(WorkerSettings(Path(out).resolve(), device), min(jobs, len(ledger.parts))) as executor:
        Sweep(every, ledger, store, table).run(executor, _ignore, Policy())
    return _frame(table, {cell.key for cell in chosen})


def _executor(settings: WorkerSettings, jobs: int) -> Executor:
    if jobs <= 1:
        return Serial(settings)
    from mlpiht_cli.engine.executors.pool import Pool
    from mlpiht_cli.engine.executors.workers import LocalWorkers

    return Pool(settings, LocalWorkers([settings.device] * jobs, 1))


def _frame(table: Path, cells: set[str]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame([row.model_dump(by_alias=True) for row in read_csv(table) if row.cell in cells])


def _ignore(_: Row) -> None:
    """Show no progress."""
