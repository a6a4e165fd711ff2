"""``mlpiht check`` as a user meets it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hand import SPEC, broken, table

from mlpiht_cli.records.rows import Row
from mlpiht_cli.records.table import to_csv

Run = Callable[..., Any]


@pytest.fixture
def rows() -> list[Row]:
    return table(lambda m, s, seed: 40 + m + seed, lambda m, s, seed: 10 + m + seed)


def put(rows: list[Row], name: str = "results/hand.csv") -> None:
    Path("hand.yaml").write_text(SPEC)
    Path("results").mkdir(exist_ok=True)
    Path(name).write_text(to_csv(rows))


def test_claims_that_hold(mlpiht: Run, rows: list[Row]) -> None:
    put(rows)
    result = mlpiht("check", "hand")
    assert result.code == 0
    assert "robust    1 ± 0     >= 1       holds    6 of 6" in result.out
    assert "IHT is at least as good as IMP." in result.out
    assert "2 of 2 claims hold" in result.out
    assert mlpiht("check", "results/hand.csv").out == result.out
    document = mlpiht("check", "hand", "--json").json
    assert document["ok"]
    assert [claim["verdict"] for claim in document["claims"]] == ["holds", "holds"]


def swapped(rows: list[Row]) -> list[Row]:
    """Values of the methods exchanged, in both columns."""
    other = {"iht": "imp", "imp": "iht"}
    found = {(r.method, r.m, r.s, r.seed): r.value for r in rows}
    values = [found[other[r.method], r.m, r.s, r.seed] for r in rows]
    return [r.model_copy(update={"value": v, "psnr": v}) for r, v in zip(rows, values, strict=True)]


DOCTORS: dict[str, tuple[Callable[[list[Row]], list[Row]], str]] = {
    "swapped": (swapped, ""),
    "value": (lambda rows: [rows[0].model_copy(update={"value": 41.0}), *rows[1:]], "1 rows whose value is not"),
    "psnr": (lambda rows: [rows[0].model_copy(update={"psnr": 99.0}), *rows[1:]], "1 rows whose value is not"),
    "diverged": (lambda rows: broken(rows, "iht", m=5), "6 rows of iht diverged or failed"),
    "empty": (lambda _: [], "6 places lack rows"),
    "partly there": (lambda rows: rows[1:], "1 place lacks rows"),
    "metric": (lambda rows: [rows[0].model_copy(update={"metric": "r2"}), *rows[1:]], "1 rows whose value is not"),
}


@pytest.mark.parametrize("name", DOCTORS)
def test_a_table_that_does_not_bear_the_claims_out_exits_1(mlpiht: Run, rows: list[Row], name: str) -> None:
    change, reason = DOCTORS[name]
    put(change(rows))
    result = mlpiht("check", "hand", "--json")
    assert result.code == 1
    failed = {
        claim["name"]: claim
        for claim in result.json["claims"]
        if claim["verdict"] in ("fails", "incomplete", "no data")
    }
    assert "robust" in failed
    assert reason in failed["robust"]["reason"]
    assert "robust" in mlpiht("check", "hand").out


def test_a_method_that_is_not_there_exits_2_with_its_place(mlpiht: Run, rows: list[Row]) -> None:
    put(rows)
    Path("hand.yaml").write_text(SPEC.replace("against: imp", "against: impp"))
    for command in ("check", "validate"):
        result = mlpiht(command, "hand.yaml")
        assert result.code == 2
        message = "hand.yaml:20:5: claims[0].against: no method 'impp' in these panels, did you mean 'imp'?"
        assert message in result.err


def test_bad_input_exits_2(mlpiht: Run, rows: list[Row]) -> None:
    put(rows)
    put([*rows[1:], rows[0].model_copy(update={"profile": "smoke"})], "mixed.csv")
    cases = {
        ("nothing",): "no spec 'nothing'",
        ("nothing.csv",): "cannot be read",
        ("mixed.csv",): "it holds paper, smoke",
        ("hand", "--profile", "smoke"): "no table yet; make it with `mlpiht sweep hand --profile smoke`; there is",
        ("hand", "--mode", "close"): "--mode close, exact and stat need one",
        ("hand", "--mode", "claims", "--reference", "mixed.csv"): "--mode claims takes no --reference",
        ("hand", "--only", "m=2"): "need --reference",
        ("hand", "--reference", "nothing.csv"): "cannot be read",
        ("hand", "--reference", "mixed.csv", "--tolerance", "nan"): "nan",
        ("hand", "--reference", "mixed.csv", "--tolerance", "inf"): "give a finite number",
        ("hand", "--reference", "mixed.csv", "--only", "m=77"): "no row fits --only m=77",
    }
    for words, message in cases.items():
        result = mlpiht("check", *words)
        assert result.code == 2, words
        assert message in result.err


def test_a_spec_without_claims_says_so(mlpiht: Run) -> None:
    Path("none.yaml").write_text(SPEC[: SPEC.index("claims:")] + SPEC[SPEC.index("profiles:") :])
    result = mlpiht("check", "none.yaml")
    assert result.code == 0
    assert "the spec makes no claims" in result.out


def test_the_table_that_is_read_is_named(mlpiht: Run, rows: list[Row]) -> None:
    """A spec that takes its cells from another one has no table of its own."""
    put(rows)
    head, _, tail = SPEC.partition("seeds:")
    head = head.replace("name: hand", "name: spread") + "cells_of: hand\n"
    claims = tail[tail.index("claims:") : tail.index("profiles:")]
    for text in ("figure: {label: Spread, kind: std}\n", "figure: {label: Spread}\n" + claims):
        Path("spread.yaml").write_text(head + text)
        result = mlpiht("check", "spread")
        assert result.code == 0
        assert result.out.splitlines()[0] == "spread (paper), results/hand.csv"
        assert mlpiht("check", "spread", "--json").json["table"] == "results/hand.csv"
    Path("results/hand.csv").unlink()
    Path("spread.yaml").write_text(head + "figure: {label: Spread}\n")
    assert mlpiht("check", "spread").out.startswith("spread (paper), results/hand.csv\n"), "which a sweep of hand makes"


def test_rows_of_a_method_may_be_in_the_table_of_another_spec(mlpiht: Run, rows: list[Row]) -> None:
    """The rows of IMP are those of hand; its rows of iht stand for nothing in this spec, which has its own."""
    put(rows)
    Path("hand.yaml").write_text(SPEC)
    text = SPEC.replace("name: hand", "name: mine", 1).replace("{name: imp", "{name: imp, rows_of: hand", 1)
    Path("mine.yaml").write_text(text)
    own = [r.model_copy(update={"spec": "mine", "value": 0.0, "psnr": 0.0}) for r in rows if r.method == "iht"]
    Path("results/mine.csv").write_text(to_csv(own))
    result = mlpiht("check", "mine", "--json")
    assert result.code == 1
    assert {claim["name"]: claim["measured"] for claim in result.json["claims"]}["robust"] == 0.0, "IMP has 10 and more"
    assert mlpiht("plot", "mine", "--format", "png").code == 0
    Path("results/hand.csv").unlink()
    left = mlpiht("check", "mine", "--json").json["claims"]
    assert {claim["verdict"] for claim in left if claim["name"] == "robust"} == {"no data"}


def test_references_are_compared(mlpiht: Run, rows: list[Row]) -> None:
    put(rows)
    assert mlpiht("check", "hand", "--reference", "results/hand.csv", "--mode", "exact").code == 0
    lines = [f"iht,2,{s},{seed},{42 + seed + 0.4}" for s in (10, 20) for seed in (0, 1, 2)]
    Path("r.csv").write_text("\n".join(["method,m,s,seed,psnr_db", *lines, "iht,3,10,0,nan", "iht,4,10,0,1"]))
    result = mlpiht("check", "hand", "--reference", "r.csv")
    assert result.code == 1
    assert result.out.splitlines()[1:] == [
        "differ:",
        "method  m  s   seed  metric  ours  reference",
        "iht     3  10  0     psnr    43    diverged",
        "missing:",
        "method  m  s   seed  metric  ours  reference",
        "iht     4  10  0     psnr    -     1",
        "close: 6 equal, 1 different, 1 missing of the reference's rows; 29 rows of ours have no reference",
    ]
    document = mlpiht("check", "hand", "--reference", "r.csv", "--only", "m=2", "--tolerance", "0.1", "--json").json
    assert (document["equal"], len(document["different"]), document["ok"]) == (0, 6, False)
    for words in ((), ("--mode", "exact"), ("--mode", "stat")):
        assert mlpiht("check", "results/hand.csv", "--reference", "results/hand.csv", *words).code == 0
        some = mlpiht("check", "hand", "--reference", "results/hand.csv", "--only", "m=2", *words)
        assert some.code == 0, "the rest of the reference is not asked for"
