"""Jobs one after the other in this process: the default."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from mlpiht_cli.engine.executors.work import Bench, Executor, Site, Work
from mlpiht_cli.records.rows import Row


class Serial(Executor):
    """Runs jobs here; it stops at the end of a cell."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def run(self, works: Iterable[Work], stopped: Callable[[], bool]) -> Iterator[Row]:
        """See :meth:`Executor.run`."""
        bench = Bench(self._site)
        for work in works:
            if stopped():
                return
            work.log(bench.store).unlink(missing_ok=True)  # of a sweep that was killed
            for row in bench.perform(work):
                yield row
                if stopped():
                    return
