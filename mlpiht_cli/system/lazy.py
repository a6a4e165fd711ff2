"""Modules that load at their first use: torch takes a second to load, and many commands compute nothing."""

from __future__ import annotations

import atexit
import gc
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any


@contextmanager
def kept_for_good() -> Iterator[None]:
    """Keep the garbage collector from objects that are made in the context and stay until the process ends.

    Loading torch makes 150 000 of them. The collector would go through them again and again while they come, in every
    full collection afterwards, and when the process ends: a third of the time of a short command. What is alive at the
    end of the context, or of the process, is never collected.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        atexit.register(gc.freeze)
        if enabled:
            gc.enable()


class _Lazy(ModuleType):
    """An empty module that loads when one of its attributes is first used.

    The standard library's ``LazyLoader`` loads the module at the second ``import`` statement.
    """

    def __getattr__(self, name: str) -> Any:
        self.__class__ = ModuleType  # type: ignore[assignment]  # an ordinary module from now on
        spec = self.__spec__
        if spec is None or spec.loader is None:
            raise ImportError(f"{self.__name__} cannot be loaded")
        with kept_for_good():
            spec.loader.exec_module(self)
        return getattr(self, name)


def import_lazily(name: str) -> None:
    """Delay the loading of a module, for every later ``import name``, to its first use."""
    spec = None if name in sys.modules else importlib.util.find_spec(name)
    if spec is not None:
        module = importlib.util.module_from_spec(spec)
        module.__class__ = _Lazy
        sys.modules[name] = module
