"""The kernels that most fits use, made ready for this machine."""

from __future__ import annotations

import time

from mlpiht_cli.commands._status_line import StatusLine


def ready(quiet: bool) -> str:
    """Load or compile the kernels by tiny fits, and return how long that takes."""
    import numba
    from numba.core import event

    from mlpiht_cli.baselines.imp import IMP
    from mlpiht_cli.core.fit import Fit
    from mlpiht_cli.core.method import Shape
    from mlpiht_cli.core.task import Axes
    from mlpiht_cli.rng import Streams
    from mlpiht_cli.solvers.iht import IHT
    from mlpiht_cli.tasks.planted import Planted

    start = time.perf_counter()
    problem = Planted(n=64, d=8).build(Axes(4, 8), Streams(0))
    methods = (IHT(steps=2), IHT(steps=2, dtype="float64"), IMP(epochs=1), IMP(epochs=1, dtype="float64"))
    done: list[Fit] = []

    def text() -> str:
        compiled = [one.data["dispatcher"].py_func for _, one in recorder.buffer if one.is_start]
        own = [function.__name__ for function in compiled if function.__module__.startswith("mlpiht_cli.")]
        work = f"compiling {own[-1]}" if own else "loading"
        part = min(len(done) + 1, len(methods))
        return f"kernels, part {part} of {len(methods)} ({methods[part - 1].name}): {work}"

    with event.install_recorder("numba:compile") as recorder, StatusLine(quiet, text):
        for method in methods:
            done += method.fit_path(problem, Shape(4), [8], Streams(0))
    return f"numba {numba.__version__}, ready after {time.perf_counter() - start:.1f} s (compiled once, then kept)"
