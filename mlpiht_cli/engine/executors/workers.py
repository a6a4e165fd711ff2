"""Worker processes: those that a sweep starts on this machine, or those of a running Dask cluster."""

from __future__ import annotations

import logging
import os
import signal
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import resource_tracker
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlpiht_cli.engine.executors.cluster import WorkerCheck, check_scheduler
from mlpiht_cli.system.signals import POLITE

if TYPE_CHECKING:
    from distributed import Client, Future

log = logging.getLogger("mlpiht")

SECONDS_TO_ANSWER = 20
SECONDS_TO_END = 1.0
"""A worker that has not ended after this time is killed."""

CONFIG: dict[str, Any] = {
    "distributed.scheduler.allowed-failures": 0,  # no other worker repeats a job that killed one
    "distributed.scheduler.worker-saturation": 1.0,
    "distributed.scheduler.worker-ttl": None,  # a busy worker need not answer
    "distributed.deploy.lost-worker-timeout": "365 days",  # its nanny replaces a dead worker, however slowly
    # glibc then maps and unmaps every array of 128 KiB or more, and clears its pages each time
    "distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": None,
    "distributed.worker.profile.enabled": False,
    "distributed.worker.http.routes": [],
    "distributed.scheduler.http.routes": [],
}


@dataclass(frozen=True)
class Worker:
    """A process that runs one job at a time, and its device."""

    name: str
    device: str


class Workers(ABC):
    """Worker processes behind a Dask client."""

    here: bool
    """Whether the workers are on this machine."""
    client: Client

    @abstractmethod
    def all(self) -> Sequence[Worker]:
        """Workers of this moment."""

    @abstractmethod
    def submit(self, worker: Worker, function: Callable[..., Any], *args: object) -> Future[Any]:
        """Call a function in a worker's process."""

    @abstractmethod
    def repair(self) -> None:
        """Replace lost workers where that is possible; called every few seconds while no job ends."""

    def died(self, error: BaseException | None) -> bool:
        """Whether an error reports the death of a worker."""
        from distributed import KilledWorker

        return isinstance(error, KilledWorker)

    def close(self) -> None:
        """Release the workers."""
        self.client.close()


class LocalWorkers(Workers):
    """One process for each device name, on this machine; the scheduler listens on the loopback interface alone.

    Workers end by themselves when this process dies. A terminal or a batch system sends Ctrl-C, SIGTERM, SIGHUP and
    SIGUSR1 to all processes; the workers ignore them, and this process decides.
    """

    here = True

    def __init__(self, devices: Sequence[str], threads: int) -> None:
        import dask
        from distributed import Client, Nanny, Scheduler, SpecCluster
        from distributed.utils import LoopRunner

        _silence()
        self._all = [Worker(f"worker-{i}", device) for i, device in enumerate(devices)]
        local: dict[str, Any] = {"host": "127.0.0.1", "dashboard": False, "dashboard_address": "127.0.0.1:0"}
        names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
        common = {**local, "nthreads": 1, "memory_limit": None, "silence_logs": logging.CRITICAL}
        common["env"] = dict.fromkeys(names, str(threads))
        workers = {
            worker.name: {"cls": Nanny, "options": {**common, "name": worker.name, "resources": {worker.name: 1}}}
            for worker in self._all
        }
        self._loop = LoopRunner()
        with _signals_held_back():
            self._loop.start()
        self._config = dask.config.set(CONFIG)  # as long as workers may have to be replaced
        self._cluster = SpecCluster(workers, {"cls": Scheduler, "options": local}, loop=self._loop.loop)
        self.client = Client(self._cluster, set_as_default=False)

    def all(self) -> Sequence[Worker]:
        """See :meth:`Workers.all`."""
        return self._all

    def submit(self, worker: Worker, function: Callable[..., Any], *args: object) -> Future[Any]:
        """Call a function in the worker's process, or in the one that replaces it after its death."""
        return self.client.submit(function, *args, pure=False, resources={worker.name: 1})

    def repair(self) -> None:
        """Replace workers whose replacement died."""
        from distributed import Status

        for name, nanny in list(self._cluster.workers.items()):
            if nanny.status in (Status.failed, Status.closed):
                del self._cluster.workers[name]
        if len(self._cluster.workers) < len(self._all):
            self._cluster.scale(len(self._all))

    def close(self) -> None:
        """End the workers, by force where they are busy."""
        self.client.close()
        self._cluster.sync(self._end_workers)
        self._cluster.close()
        self._loop.stop()
        self._config.__exit__(None, None, None)

    async def _end_workers(self) -> None:
        import asyncio

        ends = [nanny.close(timeout=SECONDS_TO_END) for nanny in self._cluster.workers.values()]
        await asyncio.gather(*ends, return_exceptions=True)


class ClusterWorkers(Workers):
    """The workers of a running Dask cluster; they may come and go.

    Parameters
    ----------
    address
        Address of the scheduler, as in ``tcp://host:8786``; TLS follows Dask's own configuration.
    device
        Name of the device, which each worker resolves on its own machine.
    root
        The results folder, which the workers should see.

    Raises
    ------
    OSError
        No scheduler answers.
    InputError
        The scheduler, or every worker, cannot load jobs.
    """

    here = False

    def __init__(self, address: str, device: str, root: Path) -> None:
        from distributed import Client
        from distributed.versions import VersionMismatchWarning

        _silence()
        warnings.simplefilter("ignore", VersionMismatchWarning)  # a table of packages, most of which do not matter
        self._device, self._warned = device, False
        self.client = Client(address, set_as_default=False, timeout=SECONDS_TO_ANSWER)
        self._check = WorkerCheck(self.client, root)
        try:
            check_scheduler(self.client)
            self._check(self.client.nthreads())
        except BaseException:
            self.close()
            raise

    def all(self) -> Sequence[Worker]:
        """Workers that are alive."""
        threads = self.client.nthreads()
        self._check(threads)
        return [Worker(f"worker-{i}", self._device) for i in range(len(threads))]

    def submit(self, worker: Worker, function: Callable[..., Any], *args: object) -> Future[Any]:
        """Call a function on a worker that the scheduler chooses; there are never more jobs than workers."""
        return self.client.submit(function, *args, pure=False)

    def repair(self) -> None:
        """Warn once that there is no worker."""
        if not self._warned and not self.client.nthreads():
            self._warned = True
            log.warning("the cluster has no worker at the moment; waiting for one")


@contextmanager
def _signals_held_back() -> Iterator[None]:
    """Keep the signals that stop a sweep from threads and processes that start in the context."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    held = {getattr(signal, name) for name in POLITE}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, held)
    resource_tracker.ensure_running()  # it ignores two of the signals, and starting it unblocks them here
    signal.pthread_sigmask(signal.SIG_BLOCK, held)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _silence() -> None:
    """Turn off Dask's messages about dead and replaced workers: the sweep reports these itself."""
    if not os.environ.get("DASK_LOGGING__DISTRIBUTED"):
        for name in ("distributed", "distributed.client", "tornado.application"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
