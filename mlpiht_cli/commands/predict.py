"""``mlpiht predict``: apply a saved model to new rows."""

from __future__ import annotations

from pathlib import Path

import click

from mlpiht_cli.commands import _common as common
from mlpiht_cli.errors import InputError


@click.command("predict")
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("data", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="CSV file instead of stdout.")
@common.json_option
def command(model: Path, data: Path, out: Path | None, as_json: bool) -> None:
    """Predict the rows of DATA (a table, - for stdin) with a MODEL from `mlpiht fit --data ... --save`.

    Columns are found by name; a target column in DATA is ignored. The output is CSV with one line for each row of DATA:
    the prediction, and for classes the probability of each.
    """
    import pandas as pd
    import torch
    from pydantic import ValidationError

    from mlpiht_cli.core.model import SparseMLP
    from mlpiht_cli.system.files import check_writable, write_atomic
    from mlpiht_cli.tables.recipe import Recipe
    from mlpiht_cli.tables.rows import read_rows

    if out is not None:
        check_writable(out.absolute().parent, "--out FILE")
    network, meta = SparseMLP.load(model)
    saved = meta.get("recipe")
    if saved is None or (isinstance(saved, dict) and "image" in saved):  # a model of one image reads no rows
        raise InputError(f"{model}: was not fitted to a table, so it cannot say how to read {data}")
    try:
        recipe = Recipe.model_validate(saved)
    except ValidationError as error:
        raise InputError(
            f"{model}: its recipe for reading tables is damaged, or of another version; fit it again"
        ) from error
    table = read_rows(str(data), recipe)
    inputs = torch.from_numpy(recipe.inputs(table.frame, table.source))
    if inputs.shape[1] == network.inputs:
        output = network.to("cpu").forward(inputs.to(network.layers[0].values.dtype))
    if inputs.shape[1] != network.inputs or output.shape[1] != recipe.outputs:
        raise InputError(f"{model}: the network and its recipe do not fit together; fit the model again")
    if not bool(output.isfinite().all()):
        raise InputError(f"{table.source}: values so large that the predictions overflow")
    columns = recipe.predictions(output.double().numpy())
    text = pd.DataFrame(columns).to_csv(index=False)
    if out is not None:
        write_atomic(out, text.encode())
        click.echo(f"{len(inputs)} predictions written to {out}", err=True)
    if as_json:
        common.echo_json(columns)
    elif out is None:
        click.echo(text, nl=False)
