"""Modules that load at their first use: torch takes a second to load, and many commands compute nothing."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType
from typing import Any


class _Lazy(ModuleType):
    """An empty module that loads when one of its attributes is first used.

    The standard library's ``LazyLoader`` loads the module at the second ``import`` statement.
    """

    def __getattr__(self, name: str) -> Any:
        self.__class__ = ModuleType  # type: ignore[assignment]  # an ordinary module from now on
        spec = self.__spec__
        if spec is None or spec.loader is None:
            raise ImportError(f"{self.__name__} cannot be loaded")
        spec.loader.exec_module(self)
        return getattr(self, name)


def import_lazily(name: str) -> None:
    """Delay the loading of a module, for every later ``import name``, to its first use."""
    spec = None if name in sys.modules else importlib.util.find_spec(name)
    if spec is not None:
        module = importlib.util.module_from_spec(spec)
        module.__class__ = _Lazy
        sys.modules[name] = module
