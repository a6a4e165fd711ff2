"""``mlpiht show``: read a saved network neuron by neuron."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mlpiht_cli.commands import _common as common


@click.command(
    "show", epilog=common.examples("mlpiht show model.npz --data my.csv", "mlpiht show model.npz --out model.png")
)
@click.argument("model", type=click.Path(path_type=Path))
@click.option(
    "--data", type=click.Path(path_type=Path), help="CSV or NPZ file: also print what each neuron does on it."
)
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Draw the weights too (png, pdf or svg).")
@click.option(
    "--digits", type=click.IntRange(1, 17), default=4, show_default=True, help="Digits of a number; --json has all."
)
@common.json_option
def command(model: Path, data: Path | None, out: Path | None, digits: int, as_json: bool) -> None:
    """Print the network in MODEL, a file from `mlpiht fit --save`, as a formula.

    A table's network takes features and gives the target in the units of the table. Neurons and inputs that weigh most
    come first. A weight is moved by the standardisation that the fit used; its effect is compared per standard
    deviation of its input.

    With --data: share of rows where a neuron is active, its mean contribution to the prediction, and its share of the
    prediction's variance (shares sum to 100 %).
    """
    from mlpiht_cli.commands._formula_text import formula_lines, head_lines, parts_lines
    from mlpiht_cli.commands._model_file import read_model, rows_in_units
    from mlpiht_cli.core.formula import Formula

    kind = None if out is None else _format(out)
    saved = read_model(model)
    formula = Formula.of(saved.model.stages(), saved.facts)
    rows = None if data is None else rows_in_units(saved, model, data)
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
    if out is not None and kind is not None:
        _draw(formula, out, kind)


def _format(out: Path) -> str:
    kinds = common.picture_formats(out.suffix.removeprefix(".") or "none")
    return kinds[0]


def _draw(formula: Any, out: Path, kind: str) -> None:
    from mlpiht_cli.figures import save
    from mlpiht_cli.figures.network import network
    from mlpiht_cli.system.files import check_writable

    check_writable(out.absolute().parent, "--out FILE")
    for path in save(network(formula), out.with_suffix(""), [kind]):
        click.echo(f"picture written to {path}", err=True)
