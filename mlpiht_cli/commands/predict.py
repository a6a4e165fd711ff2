"""``mlpiht predict``: apply a saved model to new rows."""

from __future__ import annotations

from pathlib import Path

import click

from mlpiht_cli.commands import _common as common
from mlpiht_cli.errors import InputError


@click.command("predict")
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("data")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="CSV file instead of stdout.")
@common.json_option
def command(model: Path, data: str, out: Path | None, as_json: bool) -> None:
    """Predict the rows of DATA (a table, - for stdin) with a MODEL from `mlpiht fit --data ... --save`.

    Columns are found by name; a target column in DATA is ignored. The output is CSV with one line for each row of DATA:
    the prediction, and for classes the probability of each.
    """
    import pandas as pd
    import torch

    from mlpiht_cli.commands._model_file import read_model
    from mlpiht_cli.system.files import check_writable, write_atomic

    if out is not None:
        common.check_not_read("--out", out, model, data)
        check_writable(out.absolute().parent, "--out FILE")
    saved = read_model(model)
    recipe, table = saved.table(data)
    inputs = torch.from_numpy(recipe.inputs(table.frame, table.source))
    output = saved.model.forward(inputs.to(saved.model.dtype))
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
