from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from mlpiht_cli.core.facts import Facts, unnamed
from mlpiht_cli.core.formula import Formula
from mlpiht_cli.core.model import SparseMLP
from mlpiht_cli.errors import InputError
from mlpiht_cli.linalg.sparse import SparseMatrix
from tests.networks import INPUTS, KINDS, networks, rows

Floats = NDArray[np.float64]


def evaluated(document: dict[str, Any], columns: dict[str, Floats]) -> Floats:
    """Outputs ``[n, k]`` of a document, from its numbers alone."""
    n = len(next(iter(columns.values())))

    def total(one: dict[str, Any], known: dict[str, Floats]) -> Floats:
        return one["constant"] + sum((t["weight"] * known[t["source"]] for t in one["terms"]), np.zeros(n))

    known = columns
    for layer in document["layers"]:
        found = {}
        for one in layer["neurons"]:
            value = total(one, known)
            is_on = total(one["gate"], known) > 0 if layer["activation"] == "gated" else value > 0
            found[one["name"]] = value * is_on
        known = found
    return np.stack([total(one, known) for one in document["outputs"]], axis=1)


@pytest.mark.parametrize("kind", KINDS)
def test_the_numbers_of_a_document_give_the_predictions(kind: str) -> None:
    model, by_hand = networks(torch.float64)[kind]
    x = rows()
    document = Formula.of(model.stages(), unnamed(INPUTS)).document()
    found = evaluated(document, {f"x{i}": x[:, i] for i in range(INPUTS)})
    np.testing.assert_allclose(found, by_hand(x), atol=1e-12)


@pytest.mark.parametrize("kind", ["fused", "two_layers", "gates", "bias_fused"])
@pytest.mark.parametrize("y_scale", [3.0, -3.0])
def test_a_document_has_the_units_of_the_table(kind: str, y_scale: float) -> None:
    names = ["a", "b", "c", "d", "e"]
    mean, scale = [3.0, -2.0, 0.5, 2000.0, 1.0], [2.0, 0.1, 1.0, 8.0, 1.0]
    units: dict[str, Any] = {"y_mean": 7.0, "y_scale": y_scale} if kind != "two_layers" else {}
    facts = Facts(names=names, mean=mean, scale=scale, intercept=True, kind="regression", **units)
    model, by_hand = networks(torch.float64)[kind]
    z = rows()
    z[:, -1] = 1.0
    raw = z[:, :-1] * scale + mean
    found = evaluated(Formula.of(model.stages(), facts).document(), dict(zip(names, raw.T, strict=True)))
    expected = by_hand(z) * units.get("y_scale", 1.0) + units.get("y_mean", 0.0)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


def test_one_output_is_a_sum_of_neurons_with_signs() -> None:
    hidden = SparseMatrix.from_dense(torch.tensor([[1.0, 0.0], [0.0, 2.0], [5.0, 0.0], [0.0, 0.0]]))
    output = SparseMatrix.from_dense(torch.tensor([[0.5, -3.0, 0.0, 1.0]]))
    document = Formula.of(SparseMLP((hidden, output)).stages(), unnamed(2)).document()
    neurons, (y,) = document["layers"][0]["neurons"], document["outputs"]
    assert [(one["name"], one["row"]) for one in neurons] == [("h1", 1), ("h2", 0)], "those that weigh most come first"
    assert neurons[0]["terms"] == [{"source": "x1", "weight": 6.0}]
    assert neurons[1]["terms"] == [{"source": "x0", "weight": 0.5}]
    assert y["terms"] == [{"source": "h1", "weight": -1.0}, {"source": "h2", "weight": 1.0}]


def test_unused_inputs_and_neurons_that_reach_nothing_are_left_out() -> None:
    first = SparseMatrix.from_dense(torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]))
    second = SparseMatrix.from_dense(torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
    third = SparseMatrix.from_dense(torch.tensor([[1.0, 0.0]]))
    formula = Formula.of(SparseMLP((first, second, third)).stages(), unnamed(3))
    document = formula.document()
    assert document["unused_inputs"] == ["x1", "x2"]
    assert [[one["name"] for one in layer["neurons"]] for layer in document["layers"]] == [["h1_1"], ["h2_1"]]


def test_parts_are_shares_of_the_output() -> None:
    model, by_hand = networks(torch.float64)["two_layers"]
    x = rows(200)
    formula = Formula.of(model.stages(), unnamed(INPUTS))
    parts = formula.parts(torch.from_numpy(x))
    y = by_hand(x)
    assert sum(part["share"] for part in parts) == pytest.approx(1.0)
    np.testing.assert_allclose(sum(np.array(part["mean"]) for part in parts), y.mean(0), atol=1e-12)
    w, v = (layer.dense().numpy() for layer in model.layers)
    neuron = {one.name: one.row for one in formula.sums(0)}
    for part in parts:
        hidden = np.maximum(x @ w[neuron[part["name"]]], 0.0)
        own = hidden[:, None] * v[:, neuron[part["name"]]]
        covariance = sum(np.cov(own[:, k], y[:, k], bias=True)[0, 1] for k in range(y.shape[1]))
        assert part["share"] == pytest.approx(covariance / y.var(axis=0).sum())
        assert part["active"] == (hidden > 0).mean()
        np.testing.assert_allclose(part["mean"], own.mean(0))


def test_outputs_that_do_not_vary_have_no_shares() -> None:
    model, _ = networks(torch.float64)["fused"]
    formula = Formula.of(model.stages(), unnamed(INPUTS))
    assert {part["share"] for part in formula.parts(torch.zeros(5, INPUTS).double())} == {None}


def test_weights_that_overflow_in_the_units_of_the_table_are_refused() -> None:
    layer = SparseMatrix.from_dense(torch.tensor([[1e30]]))
    facts = Facts(names=["a"], mean=[1e300], scale=[1e-9], intercept=False, kind="regression")
    with pytest.raises(InputError, match="too large"):
        Formula.of(SparseMLP((layer,)).stages(), facts)
