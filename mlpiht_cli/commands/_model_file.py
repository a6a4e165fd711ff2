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
    from mlpiht_cli.tables.read import Table
    from mlpiht_cli.tables.recipe import Recipe


class Saved(NamedTuple):
    """A model on the CPU, its metadata, how it reads a table (None: it was fitted to none), and names and units."""

    path: Path
    model: SparseMLP
    meta: dict[str, object]
    recipe: Recipe | None
    facts: Facts

    @property
    def of_table(self) -> bool:
        """Whether it was fitted to a table."""
        return self.recipe is not None

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

    def table(self, data: str) -> tuple[Recipe, Table]:
        """The recipe, and rows of a file in its form.

        Raises
        ------
        InputError
            The model is of no table, or the file does not fit it.
        """
        from mlpiht_cli.tables.rows import read_used_rows

        if self.recipe is None:
            raise InputError(f"{self.path}: was not fitted to a table, so it cannot say how to read {data}")
        return self.recipe, read_used_rows(data, self.recipe, self._used(self.recipe))

    def _used(self, recipe: Recipe) -> set[str]:
        """Columns of features of which the network uses an input; all of them if it uses none."""
        first = self.model.layers[0]
        places = {*first.col[first.values != 0].tolist()}
        if self.model.gates is not None:
            places |= {*self.model.gates.col.tolist()}
        inputs = [column.name for column in recipe.columns for _ in column.names]
        return {inputs[i] for i in places if i < len(inputs)} or {*inputs}

    def rows(self, data: str) -> Tensor:
        """Rows of a file as the network's inputs in the units of the table, float64 ``[n, len(names)]``."""
        import torch

        recipe, table = self.table(data)
        return torch.from_numpy(recipe.encoded(table.frame, table.source))


def read_model(path: Path) -> Saved:
    """Read a model file.

    Raises
    ------
    InputError
        It is no model, or its recipe is damaged.
    """
    from mlpiht_cli.core.facts import unnamed
    from mlpiht_cli.core.model import SparseMLP

    model, meta = SparseMLP.load(path)
    recipe = _recipe(path, meta.get("recipe"))
    facts = unnamed(model.inputs) if recipe is None else _facts(recipe)
    if len(facts.names) + facts.intercept != model.inputs or (recipe and recipe.outputs != model.outputs):
        raise InputError(f"{path}: the network and its recipe do not fit together; fit the model again")
    return Saved(path, model.to("cpu"), meta, recipe, facts)


def _recipe(path: Path, saved: object) -> Recipe | None:
    from pydantic import ValidationError

    from mlpiht_cli.tables.recipe import Recipe

    if saved is None or (isinstance(saved, dict) and "image" in saved):  # a network of one image reads no rows
        return None
    try:
        return Recipe.model_validate(saved)
    except ValidationError as error:
        raise InputError(
            f"{path}: its recipe for reading tables is damaged, or of another version; fit it again"
        ) from error


def _facts(recipe: Recipe) -> Facts:
    from mlpiht_cli.core.facts import Facts

    same = ("names", "mean", "scale", "intercept", "kind", "classes", "target", "y_mean", "y_scale")
    return Facts(**{name: getattr(recipe, name) for name in same})


@contextlib.contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Put the file's name before a message about it."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
