"""What a sweep needs of a Dask cluster, as far as it can be seen from here: each fault is told in one line."""

from __future__ import annotations

import logging
import platform
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlpiht_cli import __version__
from mlpiht_cli.errors import InputError

if TYPE_CHECKING:
    from distributed import Client

log = logging.getLogger("mlpiht")

_INSTALL = "install the mlpiht of this sweep there, with its packages"
_COMPUTING = ("mlpiht", "Python", "distributed", "torch", "numpy")
_SENDING = _COMPUTING[:3]


@dataclass(frozen=True)
class Facts:
    """What a process of the cluster says of itself.

    Attributes
    ----------
    versions
        Version by package; ``none`` for a package that is not there.
    sees
        Whether it sees the file that was asked for.
    lacks
        The first module without which it cannot load a job; empty if it can.
    failures
        How many more workers a scheduler gives a job that has killed one; 0 for a worker.
    """

    versions: Mapping[str, str]
    sees: bool
    lacks: str
    failures: int = 0


def worker_facts(file: str) -> Facts:
    """Facts of the process that calls this, and whether it sees a file."""
    found = {"mlpiht": __version__, "Python": ".".join(platform.python_version_tuple()[:2])}
    for name in _COMPUTING[2:]:
        try:
            found[name] = version(name).partition("+")[0]  # a build for another device has the same version
        except PackageNotFoundError:
            found[name] = "none"
    lacks = ""
    try:
        import_module("mlpiht_cli.engine.executors.process")
    except ImportError as error:
        lacks = error.name or "a module"
    return Facts(found, Path(file).exists(), lacks)


def scheduler_facts(dask_scheduler: Any = None) -> Facts:
    """Facts of a scheduler, which calls this with itself."""
    return replace(worker_facts(""), failures=int(dask_scheduler.allowed_failures))


def check_scheduler(client: Client) -> None:
    """Warn of what a scheduler lacks.

    Raises
    ------
    InputError
        It cannot load jobs, each of which goes through it.
    """
    try:
        facts = client.run_on_scheduler(scheduler_facts)
    except (ImportError, AttributeError) as error:
        raise InputError(f"--scheduler: the scheduler has no mlpiht, or an older one; {_INSTALL}") from error
    if facts.lacks:
        raise InputError(f"--scheduler: the scheduler lacks {facts.lacks}, which jobs need; {_INSTALL}")
    _warn_of_versions("the scheduler has", [facts], _SENDING)
    if facts.failures:
        log.warning(
            "the scheduler gives a job that kills its worker to %d more: start it with "
            "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES=0, or give dask-jobqueue "
            "scheduler_options={'allowed_failures': 0}",
            facts.failures,
        )


class WorkerCheck:
    """Warns of what the workers of a cluster lack; each worker is asked once, when it is first seen.

    Parameters
    ----------
    root
        The results folder.
    """

    def __init__(self, client: Client, root: Path) -> None:
        self._client, self._root = client, root
        self._seen: set[str] = set()

    def __call__(self, threads: Mapping[str, int]) -> None:
        """Check the workers that are new, given the threads of each.

        Raises
        ------
        InputError
            They are the first, and none of them can run a cell.
        """
        first, new = not self._seen, [worker for worker in threads if worker not in self._seen]
        self._seen.update(new)
        if not new:
            return
        most = max(threads[worker] for worker in new)
        if most > 1:
            log.warning(
                "a worker runs one cell at a time, in one thread, and has %d: start workers with --nthreads 1 and as "
                "many --nworkers as processors, or give dask-jobqueue processes=<cores>",
                most,
            )
        with _marker(self._root) as file:
            answers = self._client.run(worker_facts, str(file), workers=new, on_error="return")
        found = [answer for answer in answers.values() if isinstance(answer, Facts)]
        lacks = {answer.lacks if isinstance(answer, Facts) else "mlpiht" for answer in answers.values()} - {""}
        missing = " and ".join(sorted(lacks))
        if first and all(facts.lacks for facts in found):
            raise InputError(f"--scheduler: its workers lack {missing}, which jobs need; {_INSTALL}")
        if missing:
            log.warning("workers lack %s, so that their cells fail: %s", missing, _INSTALL)
        _warn_of_versions("workers have", found, _COMPUTING)
        if not all(facts.sees for facts in found):
            log.warning(
                "workers do not see %s, so that logs of their cells stay with them: give --out a folder that they "
                "share, and start the sweep again",
                self._root,
            )


def _warn_of_versions(who: str, found: Sequence[Facts], names: Sequence[str]) -> None:
    """Warn of versions that differ from those here."""
    here = worker_facts("").versions
    differ = []
    for name in names:
        others = sorted({facts.versions[name] for facts in found} - {here[name], "none"})
        differ += [f"{name} {' and '.join(others)} for {here[name]}"] if others else []
    if differ:
        log.warning("%s %s, so that rows may differ or cells fail: install the same versions", who, ", ".join(differ))


@contextmanager
def _marker(root: Path) -> Iterator[Path]:
    """Make a file in the results folder that is there until the context ends."""
    file = root / ".records" / f".seen.{uuid.uuid4().hex}.tmp"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch()
    try:
        yield file
    finally:
        file.unlink(missing_ok=True)
