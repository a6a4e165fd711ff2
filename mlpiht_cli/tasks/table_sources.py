"""Public tables that come with scikit-learn and statsmodels, as data frames: features and a target called ``y``."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from mlpiht_cli.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

TableName = Literal[
    "anes96_pid",
    "anes96_vote",
    "breast_cancer",
    "diabetes",
    "digits",
    "digits_8",
    "engel",
    "grunfeld",
    "iris",
    "star98",
    "statecrime",
    "sunspots",
    "wine",
]
LAGS = 10
"""Years before that predict a year's sunspots."""


@dataclass(frozen=True)
class Source:
    """A table of a package.

    Attributes
    ----------
    make
        Makes the data frame.
    sha256
        Checksum of the frame as CSV.
    rows, inputs
        Number of rows, and of features once text is one-hot.
    classes
        Number of classes; 0 for a regression.
    package
        Package that holds the data.
    """

    make: Callable[[], pd.DataFrame]
    sha256: str
    rows: int
    inputs: int
    classes: int = 0
    package: str = "sklearn"

    def csv(self) -> bytes:
        """The table as CSV.

        Raises
        ------
        InputError
            The package is not installed.
        """
        if importlib.util.find_spec(self.package) is None:
            raise InputError(f"the table comes with {self.package}: pip install 'mlpiht[yardsticks]'")
        text: str = self.make().to_csv(index=False, lineterminator="\n")
        return text.encode()


def _sklearn(name: str, **options: Any) -> tuple[pd.DataFrame, Any, list[str]]:
    """Features, target, and names of classes."""
    found = getattr(importlib.import_module("sklearn.datasets"), f"load_{name}")(as_frame=True, **options)
    return found.data, found.target, [str(one) for one in found.get("target_names", [])]


def _statsmodels(name: str) -> pd.DataFrame:
    frame: pd.DataFrame = importlib.import_module(f"statsmodels.datasets.{name}").load_pandas().data
    return frame


def _classes(name: str) -> pd.DataFrame:
    """A table of scikit-learn whose target is the name of a class, so that it is not read as a number."""
    features, target, names = _sklearn(name)
    return features.assign(y=[names[i] if not names[i].isdigit() else f"digit {names[i]}" for i in target])


def _diabetes() -> pd.DataFrame:
    features, target, _ = _sklearn("diabetes", scaled=False)
    return features.assign(y=target)


def _digits_8() -> pd.DataFrame:
    features, target, _ = _sklearn("digits")
    return features.assign(y=["eight" if digit == 8 else "other" for digit in target])


def _star98() -> pd.DataFrame:
    frame = _statsmodels("star98")
    share = frame["NABOVE"] / (frame["NABOVE"] + frame["NBELOW"])
    return frame.drop(columns=["NABOVE", "NBELOW"]).assign(y=share)


def _anes96(target: str, *left_out: str) -> pd.DataFrame:
    frame = _statsmodels("anes96")
    return frame.drop(columns=[target, *left_out]).assign(y=frame[target])


def _anes96_vote() -> pd.DataFrame:
    frame = _anes96("vote")
    return frame.assign(y=["Dole" if vote else "Clinton" for vote in frame["y"]])


def _renamed(name: str, target: str) -> pd.DataFrame:
    frame = _statsmodels(name)
    return frame.drop(columns=target).assign(y=frame[target])


def _sunspots() -> pd.DataFrame:
    activity = _statsmodels("sunspots")["SUNACTIVITY"]
    lags = {f"{lag} years before": activity.shift(lag) for lag in range(1, LAGS + 1)}
    return activity.to_frame("y").assign(**lags).dropna()[[*lags, "y"]]


SOURCES: dict[TableName, Source] = {
    "anes96_pid": Source(
        lambda: _anes96("PID", "vote"),
        "23ba1c7d3d36e5ff14905dc37d1e88b67d8c647911b7f58dc2a5bb034b973569",
        944,
        9,
        package="statsmodels",
    ),
    "anes96_vote": Source(
        _anes96_vote,
        "7e7b495414df3d7c963c2206a6e30b2442a7d4589591120778ba72f0bb5802a5",
        944,
        10,
        2,
        package="statsmodels",
    ),
    "breast_cancer": Source(
        lambda: _classes("breast_cancer"),
        "6573132297b0aaeccc330c79c4694d568ac3ffea76de781b24913bc1cc40995b",
        569,
        30,
        2,
    ),
    "diabetes": Source(_diabetes, "ba63bdc594820f4cdf50b319675db8c94a6eb19e7ac8812b511b6d3fe9070b66", 442, 10),
    "digits": Source(
        lambda: _classes("digits"), "d49400ffb8eebc6290a4f69768ab2fc8119680597b6faf1b36a954e0df37f201", 1797, 64, 10
    ),
    "digits_8": Source(_digits_8, "adf47bcb8a35a1124d7dfeec58783eaa4aab66ecf470e17f3a824e8fe4ed6d8e", 1797, 64, 2),
    "engel": Source(
        lambda: _renamed("engel", "foodexp"),
        "4abafba33aca8e6035dbcc2cedb64360ecd9d36cf556937fbc7a3580fbcbc8b9",
        235,
        1,
        package="statsmodels",
    ),
    "grunfeld": Source(
        lambda: _renamed("grunfeld", "invest"),
        "cdc637cc8aa35c40cfe75b6be877eb32ba6f0698515c1eb20b2cb487f171afb4",
        220,
        14,
        package="statsmodels",
    ),
    "iris": Source(
        lambda: _classes("iris"), "a49c2bdbb670b47412fd51a5bed9fa91663e1adf0f6deb8263bf60c65cd45145", 150, 4, 3
    ),
    "star98": Source(
        _star98, "2e4d9d5390664360fe3423a8e2bcfb572e9276160b8a19a8169277c855ecda95", 303, 20, package="statsmodels"
    ),
    "statecrime": Source(
        lambda: _renamed("statecrime", "murder"),
        "08171a5cd5c2ba352be929eedb1b00f70d214b2052ba4d1c65c50de686bec31d",
        51,
        6,
        package="statsmodels",
    ),
    "sunspots": Source(
        _sunspots, "485cfd6208af5baee56c7f8b4665868ffb75292a7097b2807a89883d6c059ce5", 299, 10, package="statsmodels"
    ),
    "wine": Source(
        lambda: _classes("wine"), "304339f9097fde855bc55753b5576fc6dea130f1610a7bc7cce811db8680b62f", 178, 13, 3
    ),
}
