"""docs/tables.md holds the results of the committed table."""

from __future__ import annotations

import pandas as pd

from experiments.tables import PAGE, RESULTS, page


def test_the_page_shows_the_committed_results() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run `python -m experiments.tables page`"


def test_a_number_of_the_page_is_a_mean_of_rows() -> None:
    rows = pd.read_csv(RESULTS)
    own = rows[(rows["panel"] == "diabetes") & (rows["method"] == "lasso_cv") & (rows["s"] == 40)]
    assert len(own) == 5
    shown = f"{sum(own['value']) / 5:.3f} ({sum(own['nnz']) / 5:.3g})"
    assert any(line.startswith("| diabetes |") and shown in line for line in PAGE.read_text().splitlines())
