from __future__ import annotations

import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex

from mlpiht_cli.core.facts import Facts, unnamed
from mlpiht_cli.core.formula import Formula
from mlpiht_cli.core.model import SparseMLP
from mlpiht_cli.figures import network as module
from mlpiht_cli.linalg.sparse import SparseMatrix

FACTS = Facts(
    names=["$age$", "b"], mean=[5.0, 0.0], scale=[10.0, 0.5], intercept=False, kind="regression", target="price"
)


def test_dots_are_the_effects_on_the_prediction() -> None:
    """Two neurons with signs: colour and area follow sign x weight, per standard deviation of the input."""
    layer = SparseMatrix.from_dense(torch.tensor([[4.0, 0.0], [1.0, -2.0]]))
    formula = Formula.of(SparseMLP((layer,), torch.tensor([1.0, -1.0])).stages(), FACTS)
    figure = module.network(formula)
    axes, bars = figure.axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ["+h1", "\N{MINUS SIGN}h2"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["$age$", "b"]
    (dots,) = axes.collections
    found = {
        (int(x), int(y)): (to_hex(colour).upper(), size)
        for (x, y), colour, size in zip(dots.get_offsets(), dots.get_facecolors(), dots.get_sizes(), strict=True)
    }
    assert {place: colour for place, (colour, _) in found.items()} == {
        (0, 0): module.UP,
        (1, 0): module.DOWN,
        (1, 1): module.UP,
    }
    largest = found[0, 0][1]
    assert [found[place][1] / largest for place in ((1, 0), (1, 1))] == pytest.approx([1 / 4, 2 / 4])
    assert [bar.get_width() for bar in bars.patches] == pytest.approx([5.0, 2.0])
    assert figure.get_suptitle() == "price: 2 neurons, 2 inputs"


def test_a_linear_model_has_bars_with_signs() -> None:
    layer = SparseMatrix.from_dense(torch.tensor([[4.0, -5.0]]))
    _, bars = module.network(Formula.of(SparseMLP((layer,)).stages(), FACTS)).axes
    assert [bar.get_width() for bar in bars.patches] == pytest.approx([-5.0, 4.0])


def test_wide_networks_show_what_weighs_most() -> None:
    rng = np.random.RandomState(0)
    layer = SparseMatrix.from_dense(torch.from_numpy(rng.normal(size=(80, 90))))
    model = SparseMLP((layer,), torch.ones(80))
    figure = module.network(Formula.of(model.stages(), unnamed(90)))
    axes = figure.axes[0]
    assert len(axes.get_yticks()) == len(axes.get_xticks()) == module.MOST
    assert "30 inputs and 20 columns of less weight left out" in axes.get_title(loc="left")
    width, height = figure.get_size_inches()
    assert max(width, height) < 25


def test_a_network_without_weights_says_so() -> None:
    model = SparseMLP.silent((3, 2, 1), torch.zeros(1))
    figure = module.network(Formula.of(model.stages(), unnamed(3)))
    assert [text.get_text() for text in figure.texts] == ["No weight reaches an output."]
