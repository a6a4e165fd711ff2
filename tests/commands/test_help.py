"""Help texts of all commands."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import click
import pytest

from mlpiht_cli.cli import COMMANDS, group

Run = Callable[..., Any]
EXAMPLES = {
    "fit": [
        "mlpiht fit --method iht --task planted --m 10 --s 20 --set task.n=5000",
        "mlpiht fit --data my.csv --target y --save model.npz",
        "mlpiht fit --data my.csv --target y --m 8 --s 12 --starts 20",
    ],
    "show": ["mlpiht show model.npz --data my.csv", "mlpiht show model.npz --out model.png"],
    "export": ["mlpiht export model.npz --to onnx", "mlpiht export model.npz --to torch --out net.pt"],
    "diagnose": [
        "mlpiht diagnose --task planted --m 10 --s 20 --gates random",
        "mlpiht diagnose --task mnist_binary --m 50 --s 200",
        "mlpiht diagnose --model model.npz --json",
    ],
    "generate": ["mlpiht generate planted --m 10 --s 20 --n 1000 --out planted.npz"],
    "report": [
        "mlpiht report figure1 --profile smoke",
        "mlpiht report figure1 table1 --partial --out paper.html",
    ],
    "rerun": [
        "mlpiht rerun figure1 --only 'm=10,s=20,method=iht'",
        "mlpiht rerun results/figure3.csv --only 'method=imp,m<=5' --limit 3 --mode exact",
    ],
    "submit": ["mlpiht submit figure1 --to slurm --array 20 --print > job.sh", "sbatch job.sh"],
}


def commands() -> Iterator[tuple[str, ...]]:
    for name in COMMANDS:
        yield (name,)
        command = group.get_command(click.Context(group), name)
        yield from ((name, inner) for inner in getattr(command, "commands", {}))


@pytest.mark.parametrize("words", list(commands()), ids=" ".join)
def test_help_is_text(mlpiht: Run, words: tuple[str, ...]) -> None:
    result = mlpiht(*words, "--help")
    assert (result.code, result.err) == (0, "")
    assert "\\" not in result.out
    assert result.out.isascii()
    assert result.out.replace("\n", "").isprintable()


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_stand_on_lines_of_their_own(mlpiht: Run, name: str) -> None:
    lines = [line.strip() for line in mlpiht(name, "--help").out.splitlines()]
    start = lines.index("Examples:")
    assert lines[start + 1 :] == EXAMPLES[name]
