from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from mlpiht_cli.core.task import Axes
from mlpiht_cli.rng import Streams
from mlpiht_cli.tasks.iris import FLOWERS, SPECIES, Iris


def flowers() -> tuple[np.ndarray, list[str]]:
    lines = [line.split(",") for line in Path(FLOWERS).read_text().splitlines() if not line.startswith("#")]
    return np.array([[float(v) for v in line[:4]] for line in lines]), [line[4] for line in lines]


def test_the_table_is_fishers() -> None:
    """Means of the species as Fisher (1936) gives them; the UCI file's two wrong rows have other ones for setosa."""
    lengths, species = flowers()
    assert lengths.shape == (150, 4)
    assert species == [name for name in SPECIES for _ in range(50)]
    means = [[5.006, 3.428, 1.462, 0.246], [5.936, 2.770, 4.260, 1.326], [6.588, 2.974, 5.552, 2.026]]
    np.testing.assert_allclose(lengths.reshape(3, 50, 4).mean(axis=1), means, atol=1e-12)
    assert lengths[[34, 37]].tolist() == [[4.9, 3.1, 1.5, 0.2], [4.9, 3.6, 1.4, 0.1]]


def test_the_protocols_flower_is_left_out_and_no_other() -> None:
    lengths, species = flowers()
    gone = (lengths == [6.4, 3.2, 4.5, 1.5]).all(axis=1)
    assert gone.sum() == 1
    assert species[int(gone.argmax())] == "versicolor"
    problem = Iris().build(Axes(1, 5), Streams(0))
    assert len(problem.x) == 119
    assert len(problem.x_test) == 30
    assert torch.cat([problem.y, problem.y_test]).sum(0).tolist() == [50, 49, 50]


def test_features_are_standardised_by_the_training_rows() -> None:
    problem = Iris(split=3).build(Axes(1, 5), Streams(0))
    features = problem.x[:, :4].double()
    np.testing.assert_allclose(features.mean(0), 0.0, atol=1e-7)
    np.testing.assert_allclose(features.std(0, correction=0), 1.0, atol=1e-7)
    assert abs(problem.x_test[:, :4].mean(0)).max() > 0.01, "test rows have no part in it"
    assert bool((torch.cat([problem.x, problem.x_test])[:, 4] == 1.0).all()), "the constant column makes the bias"


def test_every_flower_is_in_one_part_of_every_split() -> None:
    lengths, _ = flowers()
    kept = lengths[(lengths != [6.4, 3.2, 4.5, 1.5]).any(axis=1)]
    seen = []
    for split in range(3):
        problem = Iris(split=split).build(Axes(1, 5), Streams(0))
        both = torch.cat([problem.x, problem.x_test])[:, :4].double().numpy()
        centred = (kept - kept.mean(axis=0)) / kept.std(axis=0)
        again = (both - both.mean(axis=0)) / both.std(axis=0)
        np.testing.assert_allclose(np.sort(again, axis=0), np.sort(centred, axis=0), atol=1e-6)
        seen.append(problem.x_test.numpy().tobytes())
    assert len(set(seen)) == 3


def test_the_split_decides_and_the_seed_does_not() -> None:
    one, other = (Iris(split=2).build(Axes(1, 5), Streams(seed)) for seed in (0, 9))
    assert torch.equal(one.x, other.x)
    assert not torch.equal(one.x, Iris(split=1).build(Axes(1, 5), Streams(2)).x)
    with pytest.raises(ValueError, match="greater than or equal to 0"):
        Iris(split=-1)


def test_equal_tasks_are_equal_whatever_they_were_used_for() -> None:
    both = [Iris(split=1), Iris(split=1)]
    for one in both:
        one.build(Axes(1, 5), Streams(0))
    assert both[0].identity == both[1].identity
    assert len({*both, Iris(split=2)}) == 2
