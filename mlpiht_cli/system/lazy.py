"""Modules that are loaded when they are first used: torch takes a second, and many commands compute nothing."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType
from typing import Any


class _Lazy(ModuleType):
    """A module of which ``import`` gives an empty shell, filled in place when something of it is asked for.

    The standard library's ``LazyLoader`` fills it at the second ``import`` statement already.
    """

    def __getattr__(self, name: str) -> Any:
        self.__class__ = ModuleType  # type: ignore[assignment]  # from now on an ordinary one
        spec = self.__spec__
        if spec is None or spec.loader is None:
            raise ImportError(f"{self.__name__} cannot be loaded")
        spec.loader.exec_module(self)
        return getattr(self, name)


def import_lazily(name: str) -> None:
    """Make ``import name``, wherever it stands, cost nothing until the module is used."""
    spec = None if name in sys.modules else importlib.util.find_spec(name)
    if spec is not None:
        module = importlib.util.module_from_spec(spec)
        module.__class__ = _Lazy
        sys.modules[name] = module
