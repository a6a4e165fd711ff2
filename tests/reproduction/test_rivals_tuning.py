"""The rule that chooses step sizes and epochs of the rivals, and that the spec has what it chooses."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from experiments import tuning
from experiments.tuning import Trial, choose, missing

ROOT = Path(__file__).resolve().parents[2]


def trials(panel: str, losses: dict[tuple[float, int], tuple[float, float, float]]) -> list[Trial]:
    return [
        Trial(panel, "snip", lr, epochs, seed, 10, 50, loss, float(epochs), 1.5)
        for (lr, epochs), three in losses.items()
        for seed, loss in zip(tuning.FEWER.get(panel, tuning.SEEDS), three, strict=False)
    ]


def test_the_step_size_of_least_median_loss_wins_whatever_one_lucky_seed_does() -> None:
    found = choose(trials("planted_10", {(0.001, 150): (0.0, 9.0, 9.0), (0.01, 150): (5.0, 5.0, 9.0)}))
    assert (found.lr, found.epochs, found.cost_s) == (0.01, 150, 9.0)
    tie = choose(trials("planted_10", {(0.03, 150): (1.0, 1.0, 1.0), (0.01, 150): (1.0, 1.0, 1.0)}))
    assert tie.lr == 0.01


def test_a_step_size_that_diverges_never_wins() -> None:
    inf = float("inf")
    assert choose(trials("planted_10", {(0.001, 150): (7.0, 7.0, 7.0), (0.1, 150): (0.0, inf, inf)})).lr == 0.001


def test_the_least_number_of_epochs_that_is_as_good_wins() -> None:
    near = {(0.01, 25): (1.5, 1.5, 1.5), (0.01, 50): (1.01, 1.01, 1.01), (0.01, 100): (1.0, 1.0, 1.0)}
    assert choose(trials("digits", near)).epochs == 50
    assert choose(trials("digits", near | {(0.01, 50): (1.03, 1.03, 1.03)})).epochs == 100


def test_epochs_are_tried_at_the_best_step_size_only() -> None:
    (panel,) = [one for one in tuning.panels() if one.name == "digits"]
    first = list(missing(panel, "snip", []))
    assert first == [(lr, 50, seed) for lr in tuning.RATES for seed in tuning.FEWER["digits"]]
    done = trials("digits", {(lr, 50): (2.0, 2.0, 2.0) for lr in tuning.RATES} | {(0.003, 50): (1.0, 1.0, 1.0)})
    assert list(missing(panel, "snip", done)) == [
        (0.003, n, seed) for n in (25, 100) for seed in tuning.FEWER["digits"]
    ]
    done += trials("digits", {(0.003, 25): (1.0, 1.0, 1.0), (0.003, 100): (1.0, 1.0, 1.0)})
    assert not list(missing(panel, "snip", done))


def test_a_table_is_read_as_it_was_written(tmp_path: Path) -> None:
    found = trials("digits", {(0.003, 25): (1.0, float("inf"), 0.1)})
    tuning.write(tmp_path / "table.csv", found)
    assert tuning.read(tmp_path / "table.csv") == sorted(found, key=lambda one: one.place)


@pytest.fixture(scope="module")
def committed() -> list[Trial]:
    return tuning.read(ROOT / "results" / tuning.TABLE)


def test_the_spec_has_what_the_rule_chooses(committed: list[Trial]) -> None:
    found = tuning.choices(committed)
    tuned = 0
    for panel in yaml.safe_load(tuning.SPEC.read_text(encoding="utf-8"))["panels"]:
        for entry in panel["methods"]:
            if "lr" in entry:
                one = found[tuning.TAKEN.get(panel["name"], panel["name"]), entry.get("label", entry["name"])]
                assert entry["lr"] == one.lr, (panel["name"], entry)
                if panel["name"] in tuning.EPOCHS and entry.get("label") not in tuning.OF_A_ROUND:
                    assert entry["epochs"] == one.epochs, (panel["name"], entry)
                tuned += 1
    assert tuned == sum(1 for panel in tuning.panels() for _ in panel.methods) + sum(
        1 for panel, _ in found for taken in tuning.TAKEN.values() if taken == panel
    )


def test_the_spec_reports_no_seed_that_was_tuned_on(committed: list[Trial]) -> None:
    used = {one.seed for one in committed}
    assert used == set(tuning.SEEDS)
    assert not any(used & set(panel["seeds"]) for panel in yaml.safe_load(tuning.SPEC.read_text())["panels"])
