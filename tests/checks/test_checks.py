"""Claims: how they are measured and judged, on tables made by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hand import WIDTHS, array, broken, drawn, row, spec_with, table
from scipy import stats

from mlpiht_cli.analysis.scores import KEEP_NO_BUDGET, intact
from mlpiht_cli.checks.claims import Judged, check_claims
from mlpiht_cli.checks.measures import MEASURES, standard_error
from mlpiht_cli.checks.rules import claim_faults
from mlpiht_cli.checks.sample import Place, Sample
from mlpiht_cli.core.metric import PERFECT_DB
from mlpiht_cli.plan.registry import METHODS
from mlpiht_cli.records.rows import Row
from mlpiht_cli.specs.draft import Draft
from mlpiht_cli.specs.expand import expand
from mlpiht_cli.specs.schema import Spec


def judge(rows: list[Row], **claim: Any) -> Judged:
    (judged,) = check_claims(expand(spec_with(**claim), "paper"), rows)
    return judged


@pytest.mark.parametrize("seed", range(3))
def test_measures_agree_with_short_computations(seed: int) -> None:
    rows = [one.model_copy(update={"measures": {"says": "up" if one.value > 20 else "down"}}) for one in drawn(seed)]
    iht, imp = array(rows, "iht"), array(rows, "imp")
    a, b = iht.mean(-1), imp.mean(-1)
    spreads = np.ptp(np.clip(iht, 0, 50).mean(-1), axis=0)
    within = iht <= b[..., None] + 9
    correlations = [stats.spearmanr(WIDTHS, a[:, j]).statistic for j in range(2)]
    expected = {
        "share_not_worse": ({"against": "imp", "margin": 5}, np.mean(a >= b - 5)),
        "mean_difference": ({"against": "imp", "clip": [0, 50]}, np.mean(np.clip(iht, 0, 50) - np.clip(imp, 0, 50))),
        "spread_over_m": ({"clip": [0, 50]}, spreads.mean()),
        "worst_spread_over_m": ({"clip": [0, 50]}, spreads.max()),
        "rank_correlation_m": ({}, np.mean(correlations)),
        "median": ({}, np.median(iht)),
        "mean": ({"where": "m>=3,seed=0|2"}, iht[1:, :, [0, 2]].mean()),
        "least": ({"where": "m>=3"}, iht[1:].min()),
        "largest": ({"where": "m<=3"}, iht[:2].max()),
        "largest_distance": ({"clip": [-50, 5]}, np.abs(np.clip(iht, -50, 5)).max()),
        "share_above": ({"level": 20}, np.mean(iht >= 20)),
        "share_below": ({"level": 20}, np.mean(iht <= 20)),
        "share_saying": ({"metric": "says", "word": "up"}, np.mean(iht > 20)),
        "share_within": ({"against": "imp", "margin": 9}, within.mean()),
        "share_best_within": ({"against": "imp", "margin": 9}, within.any(-1).mean()),
        "least_rise_within": ({"against": "imp", "margin": 9}, within[:, 1].mean() - within[:, 0].mean()),
        "least_rise": ({}, (a[:, 1] - a[:, 0]).min()),
        "largest_excess": ({"against": "imp"}, (iht.max(-1) - imp.min(-1)).max()),
    }
    assert expected.keys() == MEASURES.keys()
    for measure, (claim, value) in expected.items():
        assert judge(rows, measure=measure, **claim).measured == pytest.approx(value), measure


def test_less_is_better_where_the_metric_or_the_claim_says_so() -> None:
    rows = [one.model_copy(update={"final_loss": one.value}) for one in drawn(1)]
    a, b = array(rows, "iht").mean(-1), array(rows, "imp").mean(-1)
    losses = {"measure": "share_not_worse", "against": "imp", "metric": "final_loss", "margin": 5}
    assert judge(rows, **losses).measured == pytest.approx(np.mean(a <= b + 5))
    assert judge(rows, **losses, falling=False).measured == pytest.approx(np.mean(a >= b - 5))
    scores = {**losses, "metric": "psnr"}
    assert judge(rows, **scores).measured == pytest.approx(np.mean(a >= b - 5))
    assert judge(rows, **scores, falling=True).measured == pytest.approx(np.mean(a <= b + 5))


def test_ties_share_their_rank_and_constants_have_none() -> None:
    values = [4.0, 4.0, 1.0, 9.0, 4.0, 1.0]
    sample = Sample(spec_with().claims[0], {Place("a", m, 10): {0: v} for m, v in enumerate(values)}, {})
    expected = stats.spearmanr(range(6), values).statistic
    assert MEASURES["rank_correlation_m"](sample) == pytest.approx(expected)
    rows = table(lambda m, s, _: m if s == 10 else 1, lambda *_: 0)
    assert judge(rows, measure="rank_correlation_m").measured == pytest.approx(1)
    assert judge(rows, measure="rank_correlation_m", where="s=20").verdict == "no data"
    assert judge(rows, measure="rank_correlation_m", where="m<=3").verdict == "no data"


def told(**measures: list[float | str]) -> list[Row]:
    """Rows of IHT at m = 2, 3, 5 and s = 10, 20 with three seeds, whose measures are these in turn."""
    rows = [one for one in table(lambda *_: 1, lambda *_: 1) if one.method == "iht"]
    return [
        one.model_copy(update={"measures": {name: values[i % len(values)] for name, values in measures.items()}})
        for i, one in enumerate(rows)
    ]


def test_two_scores_of_one_row_are_compared_row_by_row() -> None:
    measured, law = [0.9, 0.5, 0.3], [0.89, 0.53, 0.3]
    rows = told(tail_factor=measured, law_factor=law)
    claim = {"metric": "tail_factor", "minus": "law_factor"}
    judged = judge(rows, measure="largest_distance", **claim, at_most=0.03)
    assert (judged.measured, judged.cells_used) == (pytest.approx(0.03), 6)
    assert judge(rows, measure="largest", **claim, at_most=0).measured == pytest.approx(0.01)
    assert judge(rows, measure="least", **claim).measured == pytest.approx(-0.03)
    assert judge(rows, measure="share_below", **claim, level=0).measured == pytest.approx(2 / 3)
    ratios = [a / b for a, b in zip(measured, law, strict=True)]
    over = {"metric": "tail_factor", "over": "law_factor"}
    assert judge(rows, measure="median", **over).measured == pytest.approx(np.median(ratios))
    assert judge(rows, measure="mean", **over, clip=[1, 2]).measured == pytest.approx(np.mean(np.maximum(ratios, 1)))
    assert judge(rows, measure="mean", metric="tail_factor", over="absent").verdict == "no data"


def test_a_ratio_over_nothing_is_infinite_or_bad() -> None:
    rows = told(beta=[2.0, 2.0, 3.0], alpha=[1.0, 0.0, 1.0])
    assert judge(rows, measure="largest", metric="beta", over="alpha", at_most=9).measured == math.inf
    assert judge(rows, measure="median", metric="beta", over="alpha").measured == 3
    nothing = told(beta=[2.0, 0.0, 3.0], alpha=[1.0, 0.0, 1.0])
    judged = judge(nothing, measure="share_below", metric="beta", over="alpha", level=10)
    assert judged.measured == pytest.approx(2 / 3)
    assert "6 rows of iht diverged or failed" in judged.reason


def test_rows_are_counted_by_their_word() -> None:
    rows = told(verdict=["applies", "fails", "least squares only"])
    claim = {"measure": "share_saying", "metric": "verdict"}
    judged = judge(rows, **claim, word="fails", where="m>=3,seed=1")
    assert (judged.measured, judged.verdict, judged.cells) == (1.0, "holds", 4)
    assert judge(rows, **claim, word="fails").measured == pytest.approx(1 / 3)
    assert judge(rows, **claim, word="undecided", at_most=0).verdict == "holds"
    assert judge(broken(rows, "iht", m=2), **claim, word="undecided", at_most=0).measured == pytest.approx(1 / 3)
    assert judge(broken(rows, "iht", m=2), **claim, word="fails").measured == pytest.approx(2 / 9)
    assert judge(told(verdict=[1.0]), **claim, word="fails").verdict == "no data"


def test_a_claim_has_one_score_to_compare_with() -> None:
    for pair in ({"minus": "a", "over": "b"}, {"minus": "a", "word": "b"}):
        with pytest.raises(ValueError, match="give one of minus, over and word"):
            spec_with(**pair)


def test_jackknife_over_seeds() -> None:
    rows = drawn()
    iht = array(rows, "iht")
    left = [np.median(np.delete(iht, i, axis=2)) for i in range(3)]
    expected = math.sqrt(2 / 3 * sum((x - np.mean(left)) ** 2 for x in left))
    assert judge(rows, measure="median").se == pytest.approx(expected)
    assert judge(rows, measure="median", where="seed=1").se is None
    # The jackknife of a mean is the standard error of a mean.
    place = Place("a", 2, 10)
    sample = Sample(spec_with().claims[0], {place: {0: 1.0, 1: 2.0, 2: 6.0}}, {})
    assert standard_error(MEASURES["mean"], sample) == pytest.approx(stats.sem([1.0, 2.0, 6.0]))


def test_a_rival_of_one_seed_is_compared_with_all_seeds() -> None:
    """A yardstick that draws no numbers is run once; the jackknife leaves it in."""
    rows = [r for r in table(lambda m, s, seed: 10 * seed, lambda m, s, _: m) if r.method == "iht" or r.seed == 0]
    methods = [{"name": "iht", "steps": 4}, {"name": "imp", "epochs": 2, "seeds": [0]}]
    spec = Spec.model_validate({**spec_with().model_dump(), "methods": methods})
    claim = spec_with(measure="share_within", against="imp", margin=8.5).claims[0]
    (judged,) = check_claims(expand(spec.model_copy(update={"claims": [claim]}), "paper"), rows)
    assert judged.measured == pytest.approx((2 + 2 + 2) / 9)  # 0 and 10 are at most 2 + 8.5, 20 is not
    assert judged.se == pytest.approx(np.sqrt(2 / 3 * np.sum((np.array([1 / 2, 1 / 2, 1]) - 2 / 3) ** 2)))
    assert judged.verdict == "holds"


def test_a_perfect_fit_counts_as_a_number() -> None:
    rows = table(lambda *_: math.inf, lambda *_: 20)
    assert judge(rows, measure="mean").measured == PERFECT_DB
    assert judge(rows, measure="mean_difference", against="imp").measured == PERFECT_DB - 20
    assert judge(rows, measure="mean", clip=[0, 50]).measured == 50


def test_the_verdict_turns_at_the_threshold() -> None:
    rows = table(lambda m, s, seed: 10 + seed, lambda *_: 0)
    assert judge(rows, at_least=11).verdict == "holds"
    assert judge(rows, at_least=11 + 1e-9).verdict == "fails"
    assert judge(rows, at_most=11).verdict == "holds"
    assert judge(rows, at_most=11 - 1e-9).verdict == "fails"
    se = 1 / math.sqrt(3)
    assert judge(rows, at_least=11 - 1.99 * se).close
    assert not judge(rows, at_least=11 - 2.01 * se).close


def test_elsewhere_a_claim_is_measured_and_not_judged() -> None:
    rows = table(lambda *_: 1, lambda *_: 0)
    judged = judge(rows, at_least=50, profiles=["smoke"])
    assert (judged.verdict, judged.held, judged.measured) == ("not judged", True, 1.0)
    assert not judge(rows, at_least=50, profiles=["paper"]).held


CLAIMS: list[dict[str, Any]] = [
    {"measure": "share_not_worse", "against": "imp"},
    {"measure": "mean_difference", "against": "imp", "clip": [0, 50]},
    {"measure": "mean_difference", "against": "imp"},
    {"measure": "spread_over_m", "clip": [0, 50]},
    {"measure": "worst_spread_over_m"},
    {"measure": "rank_correlation_m"},
    {"measure": "median"},
    {"measure": "mean", "clip": [-20, 50]},
    {"measure": "share_above", "level": 20},
    {"measure": "least"},
    {"measure": "largest"},
    {"measure": "largest_distance"},
    {"measure": "share_below", "level": 20},
    {"measure": "share_saying", "metric": "says", "word": "up"},
    {"measure": "median", "over": "final_loss"},
    {"measure": "share_within", "against": "imp", "margin": 5},
    {"measure": "share_best_within", "against": "imp", "margin": -5},
    {"measure": "least_rise_within", "against": "imp"},
    {"measure": "least_rise"},
    {"measure": "largest_excess", "against": "imp"},
]


@pytest.mark.parametrize("bound", ["at_least", "at_most"])
@pytest.mark.parametrize("claim", CLAIMS, ids=str)
@pytest.mark.parametrize("where", [{"m": 2}, {"m": 5}, {"seed": 1}, {"m": 2, "s": 10, "seed": 0}, {}], ids=str)
@pytest.mark.parametrize("both", [False, True], ids=["one", "both"])
def test_divergence_never_favours(bound: str, claim: dict[str, Any], where: dict[str, int], both: bool) -> None:
    rows = [
        one.model_copy(update={"final_loss": one.value - 20, "measures": {"says": "up" if one.value > 20 else "down"}})
        for one in drawn()
    ]
    before = judge(rows, **claim, **{bound: 0}).measured
    rows = broken(rows, "imp", "failed", **where) if both else rows
    with_imp = judge(rows, **claim, **{bound: 0}).measured
    judged = judge(broken(rows, "iht", **where), **claim, **{bound: 0})
    after = judged.measured
    assert None not in (before, with_imp, after)
    sign = 1 if bound == "at_least" else -1
    assert sign * after <= sign * with_imp
    assert "rows of iht diverged or failed" in judged.reason
    assert judged.cells_used == 6


def test_a_diverged_cell_is_lost_even_where_the_other_is_as_low_as_can_be() -> None:
    rows = broken(table(lambda *_: 30, lambda *_: -40), "iht", m=2, seed=0)
    claim = {"measure": "share_not_worse", "against": "imp", "clip": [-20, 50], "margin": 99}
    assert judge(rows, **claim).measured == pytest.approx(2 / 3)
    assert judge(broken(rows, "imp", m=2), **claim).measured == pytest.approx(2 / 3)


def test_divergence_of_the_other_method_is_won() -> None:
    rows = table(lambda *_: 0, lambda *_: 10)
    claim = {"measure": "share_not_worse", "against": "imp", "at_least": 0.5}
    assert judge(rows, **claim).measured == 0
    judged = judge(broken(rows, "imp", m=2), **claim)
    assert judged.measured == pytest.approx(1 / 3)
    assert judged.reason == "6 rows of imp diverged or failed, counted as lost to the other method"


def test_missing_and_skipped_cells_are_left_out_and_told() -> None:
    rows = broken(drawn(), "imp", "skipped", m=5)
    rows = [r for r in rows if (r.method, r.m, r.seed) != ("iht", 3, 1)]
    judged = judge(rows, measure="mean_difference", against="imp")
    assert (judged.cells_used, judged.cells) == (2, 6)
    assert judged.reason == "2 places lack rows; 2 places are skipped"
    assert judged.measured == pytest.approx((array(drawn(), "iht") - array(drawn(), "imp"))[0].mean())
    assert (judged.verdict, judged.held) == ("incomplete", False)
    assert judge(rows, measure="mean_difference", against="imp", profiles=["smoke"]).verdict == "not judged"
    assert judge([], measure="mean").verdict == "no data"
    assert not judge([], measure="mean").held


def test_skipped_cells_alone_leave_a_claim_judged() -> None:
    judged = judge(broken(drawn(), "iht", "skipped", m=5), at_least=-99)
    assert (judged.verdict, judged.cells_used, judged.reason) == ("holds", 4, "2 places are skipped")


@pytest.mark.parametrize(
    ("lacking", "least", "verdict"),
    [(2, 0.51, "fails"), (2, 0.5, "incomplete"), (2, 0.17, "incomplete"), (2, 0.16, "holds"), (3, 0.5, "incomplete")],
)
def test_a_share_of_cells_is_judged_once_the_rest_cannot_change_it(lacking: int, least: float, verdict: str) -> None:
    """Of 4 cells known, 1 is won (m = 2, s = 10): the share will be 1/6 to 3/6. Of 3 none: 0 to 3/6."""
    cells = [(m, s) for m in WIDTHS for s in (10, 20)]
    won = cells[0] if lacking == 2 else None
    rows = table(lambda m, s, _: 30 if (m, s) == won else 0, lambda *_: 10)
    kept = [r for r in rows if (r.m, r.s) not in cells[-lacking:] or r.method == "iht"]
    judged = judge(kept, measure="share_not_worse", against="imp", at_least=least)
    assert judged.verdict == verdict
    assert ("cannot change the verdict" in judged.reason) == (verdict != "incomplete")
    if verdict == "incomplete":
        return
    for value in (0.0, 20.0):  # whatever the missing cells give
        filled = [r if r in kept else r.model_copy(update={"psnr": value, "value": value}) for r in rows]
        assert judge(filled, measure="share_not_worse", against="imp", at_least=least).verdict == verdict


def test_a_cell_that_is_skipped_for_a_seed_lacks_nothing() -> None:
    rows = broken(drawn(), "iht", "skipped", m=5, seed=0)
    rows = [r for r in rows if (r.method, r.m) != ("imp", 5)]
    judged = judge(rows, measure="mean_difference", against="imp", at_least=-99)
    assert (judged.verdict, judged.cells_used, judged.reason) == ("holds", 4, "2 places are skipped")


def test_rows_of_other_settings_are_left_out(caplog: pytest.LogCaptureFixture) -> None:
    rows = drawn()
    other = [rows[0].model_copy(update={"params": {"task": {"n": 99}, "method": {"steps": 4}}, "value": 1e9})]
    with caplog.at_level("WARNING", logger="mlpiht"):
        assert judge(rows + other).measured == judge(rows).measured
    assert "1 row(s) were made with other settings" in caplog.text


def test_rows_are_intact_or_not() -> None:
    good = row("iht", 2, 10, 0, 12.5)
    assert intact(good)
    assert intact(row("iht", 2, 10, 0, math.inf))
    assert intact(row("iht", 2, 10, 0, math.nan))
    assert intact(good.model_copy(update={"metric": "r2", "psnr": None}))
    assert intact(good.model_copy(update={"psnr": 12.5 * (1 + 1e-11)}))
    assert intact(good.model_copy(update={"exact": False, "nnz": 10}))
    assert all(intact(good.model_copy(update={"method": name, "nnz": 99})) for name in KEEP_NO_BUDGET)
    assert {name for name, kind in METHODS.items() if not kind.keeps_budget} == KEEP_NO_BUDGET
    assert not intact(good.model_copy(update={"metric": "r2"})), "its value would be free"
    assert not intact(good.model_copy(update={"nnz": 11}))
    assert not intact(good.model_copy(update={"exact": True}))
    assert not intact(good.model_copy(update={"metric": "support_f1", "support_f1": 12.5}))
    for change in ({"psnr": 12.6}, {"value": 12.6}, {"psnr": None}, {"value": None}, {"metric": ""}, {"metric": "x"}):
        assert not intact(good.model_copy(update=change)), change


FAULTS: dict[str, tuple[dict[str, Any], str, str]] = {
    "measure": ({"measure": "mediann"}, "measure", "unknown measure 'mediann', did you mean 'median'?"),
    "method": ({"method": "ihtt"}, "method", "no method 'ihtt' in these panels, did you mean 'iht'?"),
    "against": ({"against": "impp"}, "against", "no method 'impp' in these panels, did you mean 'imp'?"),
    "no against": ({"measure": "share_not_worse"}, "against", "needs the label of the method"),
    "no level": ({"measure": "share_above"}, "level", "needs the level"),
    "no level below": ({"measure": "share_below"}, "level", "needs the level"),
    "no word": ({"measure": "share_saying", "metric": "verdict"}, "word", "needs the word that it counts"),
    "no metric": ({"measure": "share_saying", "word": "fails"}, "metric", "needs the measure that is a word"),
    "word of numbers": ({"word": "fails"}, "word", "mean is of numbers; only share_saying counts a word"),
    "bad where": ({"where": "width=3"}, "where", "where: unknown field 'width'"),
    "empty where": ({"where": ""}, "where", "where is empty"),
    "nothing there": ({"where": "m=4"}, "where", "no cell of hand fits 'm=4'"),
    "other method": ({"where": "method=imp"}, "where", "no cell of iht in profile paper or smoke"),
    "not in a profile": ({"where": "seed=2"}, "where", "no cell of iht in profile smoke"),
    "no profile": ({"profiles": ["laptop"]}, "profiles", "the spec has no profile 'laptop'"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_faulty_claims_are_placed(name: str) -> None:
    claim, field, message = FAULTS[name]
    (fault,) = claim_faults(Draft(spec_with(**claim)))
    assert fault.location == ("claims", 0, field)
    assert message in fault.message


def test_a_claim_may_be_limited_to_profiles_that_have_its_cells() -> None:
    assert claim_faults(Draft(spec_with(where="seed=2", profiles=["paper"]))) == []


def test_faulty_pictures_are_placed() -> None:
    base = {"name": "p", "panel": "a", "m": 2, "s": [10]}
    changes: dict[str, Any] = {"panel": "b", "m": 4, "seed": 7, "s": [10, 11]}
    for field, value in changes.items():
        spec = Spec.model_validate({**spec_with().model_dump(), "pictures": [{**base, field: value}]})
        (fault,) = claim_faults(Draft(spec))
        assert fault.location[:3] == ("pictures", 0, field)
    assert fault.location == ("pictures", 0, "s", 1)
