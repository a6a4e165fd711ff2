"""Settings of methods that suit tables of tens to thousands of rows."""

from __future__ import annotations

from collections.abc import Mapping

TABLE_HINTS: Mapping[str, object] = {
    # A sum of ReLUs with positive signs is convex and nonnegative; a table's target need not be.
    "signs": "both",
}
