"""Exact networks of one layer lose the weights that they do not need, and no others."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mlpiht_cli.solvers.realloc.blocks import Blocks, Samples
from mlpiht_cli.solvers.realloc.decode import paired, unpaired
from mlpiht_cli.solvers.realloc.finish import Finish
from mlpiht_cli.solvers.realloc.limits import Limits
from mlpiht_cli.solvers.realloc.newton import Fitted

N, D = 6000, 5

Rows = list[dict[int, float]]

PLANTED: Rows = [{0: 1.0, 1: -0.7}, {2: 1.0, 3: 0.5}, {0: 0.8}, {0: -0.4}, {3: 0.6}]


def blocks(rows: Rows) -> Blocks:
    w = torch.zeros(len(rows), D, dtype=torch.float64)
    for j, row in enumerate(rows):
        for a, value in row.items():
            w[j, a] = value
    return Blocks(w, w != 0)


def value(network: Blocks, x: torch.Tensor) -> torch.Tensor:
    out = (network.weights @ x).clamp(min=0).sum(0)
    return out if network.skip is None else out + network.skip @ x


def samples(rows: Rows) -> Samples:
    x = torch.from_numpy(np.random.default_rng(0).standard_normal((D, N)).astype(np.float32))
    return Samples(x, value(blocks(rows), x.double()).float())


def support(network: Blocks) -> list[list[int]]:
    return sorted(row.nonzero()[:, 0].tolist() for row in network.weights)


def reduced(start: Rows, data: Samples) -> Fitted:
    power = float(data.y.double().square().mean())
    finish = Finish(data, Limits(10, 20), 1e-14 * power)
    found = finish.sparsest(finish.precise(blocks(start)))
    assert found.loss <= 1e-14 * power
    return found


@pytest.mark.parametrize(
    "start",
    [
        [{0: 1.0, 1: -0.7, 4: 1e-7}, *PLANTED[1:]],
        [{0: 0.6, 1: -0.42}, {0: 0.4, 1: -0.28}, *PLANTED[1:]],
        [*PLANTED, {4: 1e-6}, {2: -1e-6, 4: 1e-6}],
    ],
    ids=["a tiny weight", "parallel neurons", "tiny neurons"],
)
def test_what_an_exact_network_does_not_need_goes(start: Rows) -> None:
    found = reduced(start, samples(PLANTED))
    assert support(found.blocks) == support(blocks(PLANTED))


def test_a_neuron_is_turned_back_where_that_takes_fewer_weights() -> None:
    """``relu(w) = relu(-w) + w``: the one-sparse neurons of both directions on its inputs take up w."""
    planted: Rows = [{0: 1.0, 1: -0.7}, {2: 1.0, 3: 0.5}, {2: -1.2}, {3: -0.9}, {0: 0.8}]
    turned: Rows = [planted[0], {2: -1.0, 3: -0.5}, {2: 1.0}, {2: -0.2}, {3: 0.5}, {3: -0.4}, {0: 0.8}]
    data = samples(planted)
    torch.testing.assert_close(value(blocks(turned), data.features.double()).float(), data.y)
    found = reduced(turned, data)
    assert support(found.blocks) == support(blocks(planted))


@pytest.mark.parametrize("small", [1e-3, 5e-5])
def test_a_small_weight_that_is_planted_stays(small: float) -> None:
    planted: Rows = [PLANTED[0], {2: 1.0, 3: 0.5, 4: small}, *PLANTED[2:]]
    found = reduced(planted, samples(planted))
    assert support(found.blocks) == support(blocks(planted))


def test_pairs_become_a_linear_part_and_pairs_again() -> None:
    network = blocks([*PLANTED, {3: -0.1}])
    one = paired(network)
    assert one.skip is not None
    assert one.skip.nonzero()[:, 0].tolist() == [0, 3]
    assert (one.weights != 0).sum() == network.nnz - 2
    x = samples(PLANTED).features.double()
    torch.testing.assert_close(value(one, x), value(network, x))
    torch.testing.assert_close(value(unpaired(one), x), value(network, x))
    assert support(unpaired(one)) == support(network)
