"""A saved model with what its recipe says, as several subcommands read it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from mlpiht_cli.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

    from mlpiht_cli.core.facts import Facts
    from mlpiht_cli.core.model import SparseMLP


class Saved(NamedTuple):
    """A model on the CPU, its metadata, and the names and units of its inputs."""

    model: SparseMLP
    meta: dict[str, object]
    facts: Facts

    @property
    def of_table(self) -> bool:
        """Whether it was fitted to a table."""
        return self.facts.kind is not None


def read_model(path: Path) -> Saved:
    """Read a model file.

    Raises
    ------
    InputError
        It is no model, or its recipe is damaged.
    """
    from mlpiht_cli.core.facts import input_facts
    from mlpiht_cli.core.model import SparseMLP

    model, meta = SparseMLP.load(path)
    try:
        return Saved(model.to("cpu"), meta, input_facts(meta.get("recipe"), model.inputs))
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def rows_in_units(saved: Saved, model: Path, data: Path) -> Tensor:
    """Rows of a file as the network's inputs in the units of the table, float64 ``[n, len(names)]``.

    Raises
    ------
    InputError
        The model is of no table, or the file does not fit it.
    """
    import torch
    from pydantic import ValidationError

    from mlpiht_cli.tasks.columns import read_columns
    from mlpiht_cli.tasks.tabular import Recipe

    if not saved.of_table:
        raise InputError(f"{model}: was not fitted to a table, so it cannot say how to read {data}")
    facts = saved.facts
    try:
        recipe = Recipe.model_validate(saved.meta["recipe"])
    except ValidationError as error:
        raise InputError(f"{model}: its recipe for reading tables is damaged; fit the model again") from error
    inputs = recipe.inputs(read_columns(data, None, recipe.features))[:, : len(facts.names)].double()
    return inputs * torch.tensor(facts.scale).double() + torch.tensor(facts.mean).double()
