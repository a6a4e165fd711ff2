"""What both estimators share: parameters, inputs of the network, attributes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from numbers import Integral
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from mlpiht_cli.core.problem import Problem
from mlpiht_cli.errors import InputError, did_you_mean, shown
from mlpiht_cli.estimators.rows import naming_words
from mlpiht_cli.estimators.search import Search
from mlpiht_cli.specs.point import MAX_SEED

if TYPE_CHECKING:
    from mlpiht_cli.core.model import SparseMLP

Floats = NDArray[np.float64]


class SparseReLU(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Base class of the estimators.

    Parameters
    ----------
    m
        Hidden width; "auto": chosen by cross-validation.
    s
        Budget: the most weights that are not zero; "auto": chosen by cross-validation.
    method
        Name of the method; "auto": one that suits the target.
    starts
        Random starts of a method that has such, of which the least training loss is kept; cross-validation has at
        most three.
    cv
        Folds of the cross-validation that chooses m or s, as many as there are rows if these are fewer; not used where
        both are given.
    fit_intercept
        Whether the network may have offsets: it gets a column of ones, whose weights count in ``s``, and inputs and the
        target of a regression are centred.
    standardise
        Whether inputs are divided by their standard deviation.
    random_state
        Seed of folds and starts: a number gives the same network each time; None draws one from NumPy's global state.
    """

    methods: ClassVar[Sequence[str]]
    """Names of methods that an estimator takes."""

    def __init__(
        self,
        m: int | Literal["auto"] = "auto",
        s: int | Literal["auto"] = "auto",
        method: str = "auto",
        *,
        starts: int = 10,
        cv: int = 5,
        fit_intercept: bool = True,
        standardise: bool = True,
        random_state: int | np.random.RandomState | None = 0,
    ) -> None:
        self.m = m
        self.s = s
        self.method = method
        self.starts = starts
        self.cv = cv
        self.fit_intercept = fit_intercept
        self.standardise = standardise
        self.random_state = random_state

    def _search(self, method: str) -> Search:
        """Return the parameters, checked; ``method`` is what "auto" stands for.

        Raises
        ------
        ValueError
            A parameter is not what it may be.
        """
        if str(self.method) not in ("auto", *self.methods):
            raise ValueError(f"method={shown(self.method)} is unknown{did_you_mean(str(self.method), self.methods)}")
        m, s = (None if is_auto(value) else whole(value, name, 1) for name, value in (("m", self.m), ("s", self.s)))
        starts, cv = whole(self.starts, "starts", 1), whole(self.cv, "cv", 2)
        name = method if self.method == "auto" else self.method
        for flag in ("fit_intercept", "standardise"):
            if not isinstance(getattr(self, flag), bool | np.bool_):
                raise ValueError(f"{flag}={shown(getattr(self, flag))}: it must be True or False")
        return Search(name, m, s, starts, cv, seed_of(self.random_state))

    def _learn(self, x: Floats, y: Floats, search: Search, kind: tuple[Any, str]) -> Floats:
        """Fit inputs ``[n, n_features]`` and targets ``[n, k]``, and set the attributes; ``kind``: loss and metric.

        Returns the network's outputs ``[n, k]`` for the inputs.
        """
        scaler = None
        if self.standardise or self.fit_intercept:
            scaler = StandardScaler(with_mean=self.fit_intercept, with_std=self.standardise).fit(x)
        inputs, targets = _inputs(x, scaler, self.fit_intercept), torch.from_numpy(y)
        loss, metric = kind
        with as_value_error(f"n_samples = {x.shape[0]}, n_features = {x.shape[1]}"):
            found = search.run(Problem(inputs, targets, inputs, targets, metric, loss))
        self.scaler_, self.model_ = scaler, found.model
        self.method_, self.m_, self.s_ = found.candidate.method.name, found.candidate.m, found.candidate.s
        self.n_iter_, self.loss_, self.cv_results_ = found.iterations, found.loss, found.table
        self.support_ = _used(found.model)[: x.shape[1]]
        return np.asarray(found.model.forward(inputs).numpy())

    def _outputs(self, x: Any) -> Floats:
        """Outputs of the network for raw rows, ``[n, k]``."""
        check_is_fitted(self)
        with naming_words(X=x):
            checked = validate_data(self, x, reset=False, dtype=np.float64)
        has_ones = self.model_.inputs > self.n_features_in_
        out = self.model_.forward(_inputs(checked, self.scaler_, has_ones))
        return np.asarray(out.numpy(), dtype=np.float64)


def _inputs(x: Floats, scaler: Any, ones: bool) -> torch.Tensor:
    """Inputs of the network, float64 ``[n, d]``."""
    scaled = x if scaler is None else scaler.transform(x)
    columns = np.column_stack([scaled, np.ones(len(x))]) if ones else scaled
    return torch.from_numpy(np.require(columns, np.float64, ["C", "W"]))


def _used(model: SparseMLP) -> NDArray[np.bool_]:
    """Inputs with a weight that reaches the output, ``[d]``."""
    first = model.first_layer_support()
    used = np.zeros(model.inputs, dtype=bool)
    used[first.col[first.values != 0].numpy()] = True
    return used


def is_auto(value: object) -> bool:
    """Whether a parameter is left to the estimator; arrays, which compare by element, are not."""
    return isinstance(value, str) and value == "auto"


def whole(value: object, name: str, least: int) -> int:
    """Return a whole number that is at least ``least``.

    Raises
    ------
    ValueError
        It is none.
    """
    number = int(value) if isinstance(value, Integral) and not isinstance(value, bool) else None
    if number is None or number < least:
        auto = " or 'auto'" if name in ("m", "s") else ""
        raise ValueError(f"{name}={shown(value)}: it must be a whole number of {least} or more{auto}")
    return number


def seed_of(random_state: object) -> int:
    """Return the seed that a ``random_state`` stands for: a number itself, otherwise a number drawn from it.

    Raises
    ------
    ValueError
        It is none of what scikit-learn takes, or out of range.
    """
    if isinstance(random_state, Integral):
        seed = whole(random_state, "random_state", 0)
        if seed > MAX_SEED:
            raise ValueError(f"random_state={seed}: the largest seed is {MAX_SEED}")
        return seed
    try:
        return int(check_random_state(random_state).randint(2**31 - 1))
    except ValueError as error:
        raise ValueError(
            f"random_state={shown(random_state)}: it must be a whole number, None or a numpy.random.RandomState"
        ) from error


@contextmanager
def as_value_error(size: str) -> Iterator[None]:
    """Raise errors of the input as ``ValueError``, which scikit-learn's tools expect, with the size of the data."""
    try:
        yield
    except InputError as error:
        raise ValueError(f"{error} ({size})") from error
