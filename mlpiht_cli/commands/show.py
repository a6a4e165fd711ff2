"""``mlpiht show``: read a saved network neuron by neuron."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mlpiht_cli.commands import _common as common
from mlpiht_cli.errors import InputError

if TYPE_CHECKING:
    from mlpiht_cli.core.formula import Formula


@click.command(
    "show", epilog=common.examples("mlpiht show model.npz --data my.csv", "mlpiht show model.npz --out model.png")
)
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--data", help="A table (- for stdin): also print what each neuron does on it.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Draw the weights too (png, pdf or svg).")
@click.option(
    "--digits", type=click.IntRange(1, 17), default=4, show_default=True, help="Digits of a number; --json has all."
)
@common.json_option
def command(model: Path, data: str | None, out: Path | None, digits: int, as_json: bool) -> None:
    """Print the network in MODEL, a file from `mlpiht fit --save`, as a formula.

    The formula of a table's network takes features and gives the target in the units of the table. The neurons and
    inputs that weigh most come first, counted per standard deviation of the input.

    With --data: share of rows where a neuron is active, its mean contribution to the prediction, and its share of the
    prediction's variance (shares sum to 100 %).
    """
    from mlpiht_cli.commands._formula_text import formula_lines, head_lines, parts_lines
    from mlpiht_cli.commands._model_file import read_model
    from mlpiht_cli.system.files import check_writable

    if out is not None:
        if out.suffix[1:] not in common.FORMATS:
            raise InputError(f"--out {out}: end the name in .png, .pdf or .svg")
        check_writable(out.absolute().parent, "--out FILE")
    saved = read_model(model)
    formula = saved.formula()
    rows = None if data is None else saved.rows(data)
    parts = None if rows is None else formula.parts(rows)
    outputs = formula.names(len(formula.stages) - 1)
    if as_json:
        counts: dict[str, Any] = {"weights": saved.model.nnz, "weights_by_layer": saved.model.nnz_by_layer}
        common.echo_json({**counts, **formula.document(), **({} if parts is None else {"data": parts})})
    else:
        lines = [*head_lines(str(model), saved.meta.get("row"), saved.model.nnz_by_layer, formula), ""]
        lines += formula_lines(formula, digits)
        if rows is not None and parts is not None:
            lines += parts_lines(parts, outputs, f"{len(rows)} rows of {data}")
        click.echo("\n".join(lines))
    if out is not None:
        _draw(formula, out)


def _draw(formula: Formula, out: Path) -> None:
    from mlpiht_cli.figures import save
    from mlpiht_cli.figures.network import network

    for path in save(network(formula), out.with_suffix(""), [out.suffix[1:]]):
        click.echo(f"picture written to {path}", err=True)
