"""A saved model with what its recipe says, as several subcommands read it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from mlpiht_cli.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

    from mlpiht_cli.core.facts import Facts
    from mlpiht_cli.core.formula import Formula
    from mlpiht_cli.core.model import SparseMLP
    from mlpiht_cli.core.stages import Stage


class Saved(NamedTuple):
    """A model on the CPU, its metadata, and the names and units of its inputs."""

    path: Path
    model: SparseMLP
    meta: dict[str, object]
    facts: Facts

    @property
    def of_table(self) -> bool:
        """Whether it was fitted to a table."""
        return self.facts.kind is not None

    def stages(self, in_table: bool) -> list[Stage]:
        """The network as a chain of layers, in the units of its table or in its own."""
        from mlpiht_cli.core.stages import in_units

        with _naming(self.path):
            return in_units(self.model.stages(), self.facts) if in_table else self.model.stages()

    def formula(self) -> Formula:
        """The network neuron by neuron."""
        from mlpiht_cli.core.formula import Formula

        with _naming(self.path):
            return Formula.of(self.model.stages(), self.facts)

    def rows(self, data: Path) -> Tensor:
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

        if not self.of_table:
            raise InputError(f"{self.path}: was not fitted to a table, so it cannot say how to read {data}")
        try:
            recipe = Recipe.model_validate(self.meta["recipe"])
        except ValidationError as error:
            raise InputError(f"{self.path}: its recipe for reading tables is damaged; fit the model again") from error
        inputs = recipe.inputs(read_columns(data, None, recipe.features))[:, : len(self.facts.names)].double()
        return inputs * torch.tensor(self.facts.scale).double() + torch.tensor(self.facts.mean).double()


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
    with _naming(path):
        return Saved(path, model.to("cpu"), meta, input_facts(meta.get("recipe"), model.inputs))


@contextlib.contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Put the file's name before a message about it."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
