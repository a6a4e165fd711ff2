"""``mlpiht export``: write a saved network in the form of another library."""

from __future__ import annotations

from pathlib import Path

import click

from mlpiht_cli.commands import _common as common
from mlpiht_cli.errors import InputError

SUFFIXES = {"torch": ".pt", "onnx": ".onnx"}
MOST_NAMED = 20
"""Most inputs or outputs that are named."""


@click.command(
    "export",
    epilog=common.examples("mlpiht export model.npz --to onnx", "mlpiht export model.npz --to torch --out net.pt"),
)
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--to", "form", type=click.Choice(list(SUFFIXES)), required=True, help="Form of the file.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="File to write; by default MODEL's name.")
@click.option(
    "--raw/--standardised",
    default=None,
    help="Units of inputs and outputs: the table's (float64; the default for a table's model), or the network's own.",
)
@common.json_option
def command(model: Path, form: str, out: Path | None, raw: bool | None, as_json: bool) -> None:
    """Write the network in MODEL, a file from `mlpiht fit --save`, for PyTorch or ONNX.

    With --raw it takes the features of a table before they are standardised, in the order that is printed, and gives
    the target (for two classes the score, which is above 0.5 for the second one). With --standardised it is the bare
    network, whose last input is a column of ones if the model has one.

    The PyTorch file holds tensors alone; the lines of Python that load it are printed.
    """
    from mlpiht_cli.commands._formula_text import shown
    from mlpiht_cli.commands._model_file import read_model
    from mlpiht_cli.core import export
    from mlpiht_cli.system.files import check_writable

    saved = read_model(model)
    if raw and not saved.of_table:
        raise InputError(f"{model}: was not fitted to a table, so it has no units; leave --raw out")
    in_table = saved.of_table if raw is None else raw
    stages, facts = saved.stages(in_table), saved.facts
    names = [*facts.names, *(["1"] if facts.intercept and not in_table else [])]
    outputs = facts.outputs(len(stages[-1].weights))
    notes = {"inputs": names, "outputs": outputs, "classes": facts.classes, "units": "table" if in_table else "network"}
    file = out or model.with_suffix(SUFFIXES[form])
    common.check_not_read("--out", file, model)
    check_writable(file.absolute().parent, "--out FILE")
    data = export.onnx_bytes(stages, notes) if form == "onnx" else export.torch_bytes(stages)
    export.write(file, data)
    dtype = str(stages[0].weights.dtype).removeprefix("torch.")
    lines = export.loading_lines(stages, str(file)) if form == "torch" else []
    if as_json:
        common.echo_json({"file": str(file), "dtype": dtype, **notes, "load": lines})
        return
    click.echo(str(file))
    for what, every in ((f"inputs ({dtype})", names), ("outputs", outputs)):
        more = f", ... ({len(every)} in all)" if len(every) > MOST_NAMED else ""
        click.echo(f"{what}: {', '.join(shown(name) for name in every[:MOST_NAMED])}{more}", err=True)
    for line in lines:
        click.echo(f"  {line}", err=True)
