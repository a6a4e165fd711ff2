"""Gate rules: which neurons are live, where they stand among the live ones, and what opens them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mlpiht_cli.linalg import gated
from mlpiht_cli.linalg.compiled import CompiledOperator
from mlpiht_cli.linalg.gated import TorchOperator
from mlpiht_cli.linalg.gates import RandomGates, SomeGates, WeightGates, rows_at
from mlpiht_cli.linalg.sparse import SparseMatrix
from mlpiht_cli.rng import Streams

M, D = 9, 4
some_neurons = st.sets(st.integers(0, M - 1)).map(lambda ids: torch.tensor(sorted(ids), dtype=torch.int64))


class Counting:
    """A stream of rows that counts the rows drawn from it."""

    def __init__(self) -> None:
        self.dim, self.spans = D, list[tuple[int, int]]()

    def rows(self, start: int, stop: int) -> np.ndarray:
        self.spans.append((start, stop))
        return Streams(0).gates(D).rows(start, stop)


@given(st.sets(st.integers(0, 40)), st.sampled_from([torch.float32, torch.float64]))
def test_rows_are_drawn_run_by_run_in_the_dtype_of_their_use(ids: set[int], dtype: torch.dtype) -> None:
    stream, wanted = Counting(), sorted(ids)
    found = rows_at(stream, torch.tensor(wanted, dtype=torch.int64), torch.zeros(1, dtype=dtype))  # type: ignore[arg-type]
    assert found.dtype == dtype
    assert torch.equal(found, torch.from_numpy(Streams(0).gates(D).rows(0, 41)[wanted]).to(dtype).reshape(-1, D))
    drawn = [j for start, stop in stream.spans for j in range(start, stop)]
    assert drawn == wanted
    assert len(stream.spans) == sum(j - 1 not in ids for j in ids), "one call for each run of neighbours"


def weights() -> SparseMatrix:
    matrix = torch.from_numpy(np.random.RandomState(0).normal(size=(M, D)))
    matrix[::3] = 0.0
    return SparseMatrix.from_dense(matrix)


@pytest.mark.parametrize("kind", ["random", "weights"])
@given(some_neurons, st.integers(1, 4))
def test_some_gates_are_those_of_another_rule_and_all_others_are_dead(kind: str, some: torch.Tensor, size: int) -> None:
    matrix = weights()
    rule = RandomGates(Streams(0).gates(D), M, matrix.values) if kind == "random" else WeightGates(matrix)
    few, ids = SomeGates(rule, some), torch.arange(M)
    assert few.few
    assert few.count == len(some)
    tiles = list(few.tiles(size))
    assert [j for tile in tiles for j in tile.tolist()] == some.tolist()
    assert all(0 < len(tile) <= size for tile in tiles)
    expected = [some.tolist().index(j) if j in some else len(some) for j in range(M)]
    assert few.places(ids).tolist() == (expected if len(some) else [0] * M)
    assert torch.equal(few.directions(some), rule.directions(some))


@pytest.mark.parametrize("held", [True, False], ids=["held", "computed again"])
@pytest.mark.parametrize("form", [CompiledOperator, TorchOperator])
@given(some_neurons)
def test_masks_of_the_others_are_closed(
    form: type[CompiledOperator] | type[TorchOperator], held: bool, some: torch.Tensor
) -> None:
    x = torch.from_numpy(np.random.RandomState(1).normal(size=(50, D)))
    every = RandomGates(Streams(0).gates(D), M, x)
    with pytest.MonkeyPatch.context() as patch:
        if not held:
            patch.setattr(gated, "HELD_BYTES", 0)
        masks = form(x.T.contiguous(), SomeGates(every, some), M).masks(torch.arange(M))
    expected = torch.from_numpy(Streams(0).gates(D).rows(0, M)) @ x.T > 0
    expected[[j for j in range(M) if j not in some]] = False
    assert torch.equal(masks, expected)


def test_a_rule_follows_the_very_weights_it_was_made_of() -> None:
    matrix, ids = weights(), torch.tensor([1, 2])
    random, own = RandomGates(Streams(0).gates(D), M, matrix.values), WeightGates(matrix)
    assert own.follows(matrix)
    assert not own.follows(weights()), "equal weights are not the same ones"
    assert not random.follows(matrix)
    assert SomeGates(own, ids).follows(matrix)
    assert not SomeGates(random, ids).follows(matrix)
    assert (random.few, own.few) == (False, True)


@pytest.mark.parametrize("asked", [[], [0], [2, 5, 9], [5], [5, 9], [4, 5], [11]])
def test_rows_drawn_before_do_not_change_what_is_drawn_next(asked: list[int]) -> None:
    stream = Streams(0).gates(3)
    rule, ids = RandomGates(stream, 12, torch.ones(1)), torch.tensor(asked, dtype=torch.int64)
    for before in ([2, 5, 9], [], [10, 11]):
        rule.directions(torch.tensor(before, dtype=torch.int64))
        assert torch.equal(rule.directions(ids), torch.from_numpy(stream.rows(0, 12)).float()[ids])
