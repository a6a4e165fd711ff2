"""mlpiht: recover sparse ReLU networks by iterative hard thresholding.

Names of the library load at their first use, so that ``import mlpiht_cli`` loads neither torch nor scikit-learn.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlpiht_cli.api.fits import Fitted, evaluate, fit, load_model
    from mlpiht_cli.api.problems import generate, problem
    from mlpiht_cli.api.sweeps import sweep
    from mlpiht_cli.baselines.best_subset import BestSubset
    from mlpiht_cli.baselines.dense import Dense
    from mlpiht_cli.baselines.imp import IMP, IMPFused
    from mlpiht_cli.baselines.mlp import MLP
    from mlpiht_cli.baselines.zero import Zero
    from mlpiht_cli.core.model import SparseMLP
    from mlpiht_cli.core.problem import Problem
    from mlpiht_cli.errors import InputError
    from mlpiht_cli.estimators.classifier import SparseReLUClassifier
    from mlpiht_cli.estimators.regressor import SparseReLURegressor
    from mlpiht_cli.plan import METHODS, TASKS
    from mlpiht_cli.solvers.feature_learning import FeatureLearning
    from mlpiht_cli.solvers.iht import IHT
    from mlpiht_cli.solvers.iht_linear import IHTLinear
    from mlpiht_cli.solvers.iht_logistic import IHTLogistic
    from mlpiht_cli.solvers.iht_realloc import IHTRealloc
    from mlpiht_cli.solvers.iht_smooth import GradientDescent, IHTSmooth
    from mlpiht_cli.solvers.iht_vector import IHTVector

__version__ = "0.2.0.dev0"

__all__ = [
    "IHT",
    "IMP",
    "METHODS",
    "MLP",
    "TASKS",
    "BestSubset",
    "Dense",
    "FeatureLearning",
    "Fitted",
    "GradientDescent",
    "IHTLinear",
    "IHTLogistic",
    "IHTRealloc",
    "IHTSmooth",
    "IHTVector",
    "IMPFused",
    "InputError",
    "Problem",
    "SparseMLP",
    "SparseReLUClassifier",
    "SparseReLURegressor",
    "Zero",
    "__version__",
    "evaluate",
    "fit",
    "generate",
    "load_model",
    "problem",
    "sweep",
]

_MODULES = {
    "api.fits": ("Fitted", "evaluate", "fit", "load_model"),
    "api.problems": ("generate", "problem"),
    "api.sweeps": ("sweep",),
    "baselines.best_subset": ("BestSubset",),
    "baselines.dense": ("Dense",),
    "baselines.imp": ("IMP", "IMPFused"),
    "baselines.mlp": ("MLP",),
    "baselines.zero": ("Zero",),
    "core.model": ("SparseMLP",),
    "core.problem": ("Problem",),
    "errors": ("InputError",),
    "estimators.classifier": ("SparseReLUClassifier",),
    "estimators.regressor": ("SparseReLURegressor",),
    "plan": ("METHODS", "TASKS"),
    "solvers.feature_learning": ("FeatureLearning",),
    "solvers.iht": ("IHT",),
    "solvers.iht_linear": ("IHTLinear",),
    "solvers.iht_logistic": ("IHTLogistic",),
    "solvers.iht_realloc": ("IHTRealloc",),
    "solvers.iht_smooth": ("GradientDescent", "IHTSmooth"),
    "solvers.iht_vector": ("IHTVector",),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}


if not TYPE_CHECKING:  # a type checker would take any name for one of the library

    def __getattr__(name: str) -> Any:
        if name not in _MODULE_OF:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
