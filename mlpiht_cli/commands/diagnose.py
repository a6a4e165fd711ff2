"""``mlpiht diagnose``: measure what the recovery guarantee assumes, and say whether it applies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mlpiht_cli.commands import _common as common
from mlpiht_cli.commands._table_options import open_options, table_options


@click.command(
    "diagnose",
    epilog=common.examples(
        "mlpiht diagnose --task planted --m 10 --s 20 --gates random",
        "mlpiht diagnose --task mnist_binary --m 50 --s 200",
        "mlpiht diagnose --model model.npz --json",
    ),
)
@click.option("--task", help="Task, e.g. planted or mnist_binary.")
@table_options
@click.option("--model", type=click.Path(path_type=Path), help="A file of `mlpiht fit --save`: its gates and its data.")
@click.option(
    "--gates",
    type=click.Choice(["planted", "random", "fitted"]),
    help="Whose gates (default: planted ones where the task plants a network, else those of a fit).",
)
@click.option("--s-tilde", "relax", type=click.FloatRange(1), metavar="C", help="Ask about the budget s~ = C s alone.")
@click.option("--columns", type=click.IntRange(1), multiple=True, metavar="K", help="A size of supports; repeatable.")
@click.option("--method", help="Method of fitted gates (default iht, or iht_vector for several outputs).")
@open_options
@common.size_options
@common.seed_option
@common.set_option
@common.device_option
@common.offline_option
@common.json_option
@click.pass_obj
def command(settings: dict[str, Any], /, device: str, as_json: bool, **options: Any) -> None:
    """Measure what Theorem 1 assumes of the gates and the data, and say whether it applies.

    It prints the patterns of the gates, the columns of the convexified network, eigenvalues of supports from both sides
    (found: some support has it; certain: every support keeps it), and a verdict: applies, least squares only, fails or
    undecided. A support that is found can refute the guarantee and never prove it.
    """
    from mlpiht_cli.commands._diagnosing import Diagnosing
    from mlpiht_cli.commands._diagnosis_text import diagnosis_text
    from mlpiht_cli.theory.diagnosis import report

    found = report(Diagnosing(device, settings["quiet"]).run(options))
    if as_json:
        common.echo_json(found)
    else:
        click.echo("\n".join(diagnosis_text(found)))
