"""Networks with one hidden layer, written with two."""

from __future__ import annotations

from mlpiht_cli.core.model import SparseMLP
from mlpiht_cli.linalg.sparse import SparseMatrix


def one_layer_limits(m: int, budget: int) -> tuple[int, int]:
    """Return the neurons and weights of the largest one-layer network that two layers hold within ``budget``.

    A neuron takes one weight of the second layer. A planted network spends half of its budget on each layer, so that
    one without neurons of mixed signs in its second layer keeps these limits.
    """
    neurons = min(m, budget // 2)
    return neurons, budget - neurons


def embedded(model: SparseMLP, m: int) -> SparseMLP:
    """Return the network ``sum_j relu(u_j . x)`` with a second layer of ``m`` neurons, one of which is that sum.

    The sum is not negative, so that its ReLU changes nothing. The second layer takes one weight of 1 for each neuron,
    which is the fewest that can be.

    Parameters
    ----------
    model
        A network with one hidden layer of at most ``m`` neurons and output signs of +1.
    m
        Neurons of each layer.
    """
    first = model.layers[0].compact()
    live = first.live_rows()
    first = SparseMatrix(first.index, first.values, m, first.cols)
    sums = SparseMatrix(live, first.values.new_ones(len(live)), m, m)
    return SparseMLP((first, sums), first.values.new_ones(1).expand(m))
