"""mlpiht: recover sparse ReLU networks by iterative hard thresholding.

Names of the library load at their first use, so that ``import mlpiht_cli`` loads neither torch nor scikit-learn. The
class of every method in ``METHODS`` is such a name.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlpiht_cli.api.fits import Fitted, evaluate, fit, load_model
    from mlpiht_cli.api.guarantee import diagnose
    from mlpiht_cli.api.problems import generate, problem
    from mlpiht_cli.api.sweeps import sweep
    from mlpiht_cli.baselines.imp import IMP
    from mlpiht_cli.core.model import SparseMLP
    from mlpiht_cli.core.problem import Problem
    from mlpiht_cli.errors import InputError
    from mlpiht_cli.estimators.classifier import SparseReLUClassifier
    from mlpiht_cli.estimators.regressor import SparseReLURegressor
    from mlpiht_cli.plan import METHODS, TASKS
    from mlpiht_cli.solvers.iht import IHT
    from mlpiht_cli.solvers.iht_linear import IHTLinear
    from mlpiht_cli.solvers.iht_logistic import IHTLogistic
    from mlpiht_cli.solvers.iht_realloc import IHTRealloc
    from mlpiht_cli.solvers.iht_vector import IHTVector

__version__ = "0.2.0"

__all__ = [
    "IHT",
    "IMP",
    "METHODS",
    "TASKS",
    "Fitted",
    "IHTLinear",
    "IHTLogistic",
    "IHTRealloc",
    "IHTVector",
    "InputError",
    "Problem",
    "SparseMLP",
    "SparseReLUClassifier",
    "SparseReLURegressor",
    "__version__",
    "diagnose",
    "evaluate",
    "fit",
    "generate",
    "load_model",
    "problem",
    "sweep",
]

_MODULES = {
    "api.fits": ("Fitted", "evaluate", "fit", "load_model"),
    "api.guarantee": ("diagnose",),
    "api.problems": ("generate", "problem"),
    "api.sweeps": ("sweep",),
    "baselines.imp": ("IMP",),
    "core.model": ("SparseMLP",),
    "core.problem": ("Problem",),
    "errors": ("InputError",),
    "estimators.classifier": ("SparseReLUClassifier",),
    "estimators.regressor": ("SparseReLURegressor",),
    "plan": ("METHODS", "TASKS"),
    "solvers.iht": ("IHT",),
    "solvers.iht_linear": ("IHTLinear",),
    "solvers.iht_logistic": ("IHTLogistic",),
    "solvers.iht_realloc": ("IHTRealloc",),
    "solvers.iht_vector": ("IHTVector",),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}


if not TYPE_CHECKING:  # a type checker would take any name for one of the library

    def __getattr__(name: str) -> Any:
        value = getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name) if name in _MODULE_OF else _method(name)
        globals()[name] = value
        return value


def _method(name: str) -> Any:
    """Return the class of a method by its name; each is a name of the library, also those that are not listed above."""
    if name[:1].isupper():
        from mlpiht_cli.plan import METHODS

        for kind in METHODS.values():
            if kind.__name__ == name:
                return kind
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
