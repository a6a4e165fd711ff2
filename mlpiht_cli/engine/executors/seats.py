"""Worker processes to give jobs to: our own on this machine, or those of a cluster."""

from __future__ import annotations

import logging
import os
import signal
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import resource_tracker
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from distributed import Client, Future

log = logging.getLogger("mlpiht")

SECONDS_TO_ANSWER = 20
SECONDS_TO_END = 1.0
"""How long a worker that is told to end may take before it is killed."""

CONFIG: dict[str, Any] = {
    "distributed.scheduler.allowed-failures": 0,  # a job that killed its worker is not tried on the others
    "distributed.scheduler.worker-saturation": 1.0,
    "distributed.scheduler.worker-ttl": None,  # a busy worker need not answer
    "distributed.deploy.lost-worker-timeout": "365 days",  # one that died is replaced by its nanny, however slowly
    "distributed.worker.profile.enabled": False,
    "distributed.worker.http.routes": [],
    "distributed.scheduler.http.routes": [],
}


@dataclass(frozen=True)
class Seat:
    """Room for one job at a time, and the device that goes with it."""

    name: str
    device: str


class Seats(ABC):
    """Workers behind a Dask client."""

    here: bool
    """Whether the workers are on this machine."""
    client: Client

    @abstractmethod
    def all(self) -> Sequence[Seat]:
        """Seats there are at the moment."""

    @abstractmethod
    def submit(self, seat: Seat, function: Callable[..., Any], *args: object) -> Future[Any]:
        """Call a function in a seat's process."""

    @abstractmethod
    def mend(self) -> None:
        """Look after the workers; called every few seconds while nothing comes."""

    def died(self, error: BaseException | None) -> bool:
        """Whether an error says that a worker died."""
        from distributed import KilledWorker

        return isinstance(error, KilledWorker)

    def close(self) -> None:
        """Let go of the workers."""
        self.client.close()


class LocalSeats(Seats):
    """One process for each device name, on this machine; the scheduler listens on the loopback interface alone.

    Workers end by themselves when this process dies. Ctrl-C and the polite signals, which a terminal or a batch system
    sends to all processes, are for this process to judge: the workers do not see them.
    """

    here = True

    def __init__(self, devices: Sequence[str], threads: int) -> None:
        import dask
        from distributed import Client, Nanny, Scheduler, SpecCluster
        from distributed.utils import LoopRunner

        _silence()
        self._seats = [Seat(f"seat-{i}", device) for i, device in enumerate(devices)]
        local: dict[str, Any] = {"host": "127.0.0.1", "dashboard": False, "dashboard_address": "127.0.0.1:0"}
        names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
        common = {**local, "nthreads": 1, "memory_limit": None, "silence_logs": logging.CRITICAL}
        common["env"] = dict.fromkeys(names, str(threads))
        workers = {
            seat.name: {"cls": Nanny, "options": {**common, "name": seat.name, "resources": {seat.name: 1}}}
            for seat in self._seats
        }
        self._loop = LoopRunner()
        with _signals_held_back():
            self._loop.start()
        self._config = dask.config.set(CONFIG)  # for as long as workers may have to be replaced
        self._cluster = SpecCluster(workers, {"cls": Scheduler, "options": local}, loop=self._loop.loop)
        self.client = Client(self._cluster, set_as_default=False)

    def all(self) -> Sequence[Seat]:
        """See :meth:`Seats.all`."""
        return self._seats

    def submit(self, seat: Seat, function: Callable[..., Any], *args: object) -> Future[Any]:
        """Call a function in the seat's process, or in the one that takes its place when it has died."""
        return self.client.submit(function, *args, pure=False, resources={seat.name: 1})

    def mend(self) -> None:
        """Replace workers that died while they were being replaced."""
        from distributed import Status

        for name, nanny in list(self._cluster.workers.items()):
            if nanny.status in (Status.failed, Status.closed):
                del self._cluster.workers[name]
        if len(self._cluster.workers) < len(self._seats):
            self._cluster.scale(len(self._seats))

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


class ClusterSeats(Seats):
    """The workers of a running Dask cluster; they may come and go.

    Parameters
    ----------
    address
        The scheduler's, as in ``tcp://host:8786``; TLS is set as for any Dask client, by its configuration.
    device
        Name of the device of each worker, resolved there.

    Raises
    ------
    OSError
        No scheduler answers.
    """

    here = False

    def __init__(self, address: str, device: str) -> None:
        from distributed import Client

        _silence()
        self._device, self._told = device, False
        self.client = Client(address, set_as_default=False, timeout=SECONDS_TO_ANSWER)

    def all(self) -> Sequence[Seat]:
        """One seat for each worker that is alive."""
        return [Seat(f"seat-{i}", self._device) for i in range(len(self.client.nthreads()))]

    def submit(self, seat: Seat, function: Callable[..., Any], *args: object) -> Future[Any]:
        """Call a function on a worker of the scheduler's choice: there are never more jobs than workers."""
        return self.client.submit(function, *args, pure=False)

    def mend(self) -> None:
        """Say once that there is nobody to work."""
        if not self._told and not self.client.nthreads():
            self._told = True
            log.warning("the cluster has no worker at the moment; waiting for one")


@contextmanager
def _signals_held_back() -> Iterator[None]:
    """Threads and processes started in the context do not receive the signals that stop a sweep."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # whoever starts it lets two of the signals through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGUSR1})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _silence() -> None:
    """Dask's messages about deaths and replacements are ours to give, in the sweep's words."""
    if not os.environ.get("DASK_LOGGING__DISTRIBUTED"):
        for name in ("distributed", "distributed.client", "tornado.application"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
