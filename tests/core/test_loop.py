"""The one fit loop: history, callback, settling, divergence, several budgets; and the method in Method's docstring."""

from __future__ import annotations

import doctest
import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext

import pytest
import torch

from mlpiht_cli.core import method
from mlpiht_cli.core.fit import Diverged, Events, Fit, Known, Reached, Status, Step, ignore
from mlpiht_cli.core.loop import fits
from mlpiht_cli.core.method import Method, Needs, Shape
from mlpiht_cli.core.model import SparseMLP
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.core.settings import Settings
from mlpiht_cli.plan.registry import METHODS
from mlpiht_cli.rng import Streams

SILENT = SparseMLP.silent([3, 2, 1], torch.zeros(1))
OTHER = SparseMLP.silent([3, 5, 1], torch.zeros(1))


def run(events: Iterable[Step | Reached], *budgets: int) -> list[Fit]:
    return list(fits((event for event in events), budgets, SILENT, ignore, nullcontext))


def test_a_network_answers_its_budget_with_the_steps_so_far() -> None:
    first, second = run([Step(3.0), Reached(OTHER, 9), Step(2.0), Step(1.0), Reached(OTHER, 4)], 9, 4)
    assert (first.budget, first.iterations, first.history) == (9, 1, (3.0,))
    assert (second.budget, second.iterations, second.history) == (4, 3, (3.0, 2.0, 1.0))
    assert first.settled is second.settled is None


def test_a_network_without_a_budget_answers_all_that_are_left() -> None:
    found = run([Step(3.0), Reached(OTHER, 9), Reached(OTHER)], 9, 4, 2)
    assert [fit.budget for fit in found] == [9, 4, 2]


@pytest.mark.parametrize(
    ("moved", "settled"), [([True, False, False], 1), ([True, True, False], 2), ([False, False], 0), ([None], None)]
)
def test_the_support_settles_with_its_last_change(moved: list[bool | None], settled: int | None) -> None:
    steps = [Step(1.0, moved=one) for one in moved]
    assert run([*steps, Reached(OTHER)], 1)[0].settled == settled
    assert run([*steps, Reached(OTHER, followed=False)], 1)[0].settled is None


@pytest.mark.parametrize("bad", [Step(math.nan), Step(math.inf), Step(1.0, check=-math.inf), Step(1.0, math.nan)])
def test_a_step_that_is_not_finite_ends_all_budgets_that_are_left(bad: Step) -> None:
    def path() -> Events:
        yield Step(5.0)
        yield Reached(OTHER, 9)
        yield bad
        raise AssertionError("the method goes on after it diverged")

    first, *rest = run(path(), 9, 4, 2)
    assert (first.status, first.reason, first.model) == (Status.OK, "", OTHER)
    for fit, budget in zip(rest, (4, 2), strict=True):
        assert (fit.status, fit.budget, fit.iterations, fit.model) == (Status.DIVERGED, budget, 2, SILENT)
        assert fit.reason == "the loss or the weights left the finite numbers at step 2"


def test_a_method_says_itself_that_there_is_nothing_to_compute() -> None:
    def path() -> Events:
        yield Step(1.0)
        raise Diverged("all data are zero")

    (fit,) = run(path(), 3)
    assert (fit.status, fit.reason, fit.history) == (Status.DIVERGED, "all data are zero", (1.0,))


def test_a_method_that_forgets_its_network_is_told_so() -> None:
    with pytest.raises(RuntimeError, match="a network for the budgets 3, 1: let iterate\\(\\) yield Reached"):
        run([Step(1.0)], 3, 1)


def test_threads_are_the_methods_while_it_computes_and_ours_while_a_fit_is_scored() -> None:
    inside, seen = [0], []

    @contextmanager
    def threads() -> Iterator[None]:
        inside[0] += 1
        yield
        inside[0] -= 1

    def path() -> Events:
        for budget in (2, 1):
            seen.append(inside[0])
            yield Step(1.0)
            yield Reached(OTHER, budget)

    for _ in fits(path(), [2, 1], SILENT, ignore, threads):
        seen.append(inside[0])
    assert seen == [1, 0, 1, 0]


@pytest.mark.parametrize("end", ["the callback raises", "a step is not finite", "the reader leaves", "all is reached"])
def test_the_generator_is_closed_before_anything_else_happens(end: str) -> None:
    events: list[str] = []

    def path() -> Events:
        try:
            yield Reached(OTHER, 9)
            yield Step(math.nan if end == "a step is not finite" else 1.0)
            yield Reached(OTHER, 4)
        finally:
            events.append("closed")

    def stop(*_: object) -> None:
        if end == "the callback raises":
            raise TimeoutError

    found = fits(path(), [9, 4], SILENT, stop, nullcontext)
    next(found)
    assert events == []
    if end == "the reader leaves":
        found.close()  # type: ignore[attr-defined]
    elif end == "the callback raises":
        with pytest.raises(TimeoutError):
            next(found)
    else:
        events.append(next(found).status.value)
        assert list(found) == []
    assert events == {"a step is not finite": ["closed", "diverged"], "all is reached": ["ok", "closed"]}.get(
        end, ["closed"]
    )


def test_a_callback_that_raises_is_no_divergence() -> None:
    def stop(*_: object) -> None:
        raise Diverged("says the callback")

    with pytest.raises(Diverged, match="says the callback"):
        list(fits((event for event in [Step(1.0), Reached(OTHER)]), [1], SILENT, stop, nullcontext))


def test_a_budget_that_nobody_asked_for_is_named() -> None:
    with pytest.raises(RuntimeError, match="answers the budget 7, which is none of 9, 4"):
        run([Reached(OTHER, 7)], 9, 4)


def test_facts_known_early_belong_to_a_diverged_fit_too() -> None:
    early = Known({"kept": 3})
    assert run([early, Step(math.nan)], 1)[0].facts == {"kept": 3}
    assert run([early, Step(1.0), Reached(OTHER, facts={"more": 1})], 1)[0].facts == {"kept": 3, "more": 1}


@pytest.mark.parametrize("end", ["the callback raises", "it diverges"])
def test_the_threads_come_back_however_a_search_ends(end: str) -> None:
    """The start of iht_realloc holds torch's threads while it yields steps."""
    x = torch.randn(60, 4, generator=torch.Generator().manual_seed(0))
    y = x[:, :1].relu() * (math.nan if end == "it diverges" else 1.0)

    def stop(*_: object) -> None:
        if end == "the callback raises":
            raise TimeoutError

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        path = METHODS["iht_realloc"]().fit_path(Problem(x, y, x, y, "psnr", peak=1.0), Shape(3), [4], Streams(0), stop)
        try:
            assert next(path).status is Status.DIVERGED
        except TimeoutError:
            assert end == "the callback raises"
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_shared_settings_behind_method_are_refused() -> None:
    class Shared(Settings):
        rounds: int = 3

    with pytest.raises(TypeError, match="class Wrong: list Method last"):
        type("Wrong", (Method, Shared), {"__module__": __name__})


def test_the_method_in_the_docstring_runs() -> None:
    found = doctest.testmod(method)
    assert found.attempted > 10
    assert found.failed == 0


@pytest.mark.parametrize("kind", METHODS.values(), ids=lambda kind: kind.name)
def test_methods_are_three_classes_deep_at_most(kind: type[Method]) -> None:
    def depth(one: type) -> int:
        return 0 if not issubclass(one, Settings) else 1 + max(map(depth, one.__bases__))

    assert depth(kind) <= 3


def test_a_refusal_is_made_of_what_is_needed_and_the_methods_own_name() -> None:
    x, y = torch.ones(4, 3), torch.ones(4, 2)
    two, classes = Problem(x, y, x, y, "psnr"), Problem(x, y[:, :1], x, y[:, :1], "accuracy", "cross_entropy")
    needs = Needs(outputs=1, loss="squared", depth=1, samples=9, instead="other")
    assert needs.refusal("mine", two, Shape(1)) == "mine needs one output, the problem has 2; use other"
    assert needs.refusal("mine", classes, Shape(1)) == (
        "mine needs the squared loss, the problem has cross_entropy; use other"
    )
    one = Problem(x, y[:, :1], x, y[:, :1], "psnr")
    assert "mine needs one hidden layer, asked for 2" in str(needs.refusal("mine", one, Shape(1, 2)))
    assert needs.refusal("mine", one, Shape(1)) == "mine needs 9 samples or more, the problem has 4"
    assert Needs().refusal("mine", two, Shape(1, 5)) is None
    for name in ("iht", "iht_linear", "imp_fused"):
        assert str(METHODS[name]().supports(two, Shape(1))).startswith(f"{name} needs one output")
