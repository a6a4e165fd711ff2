"""What a message tells to do can be done as it stands, and takes nothing away that was there before."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from mlpiht_cli.cli import group
from tests.hand import TINY

ROOT = Path(__file__).resolve().parents[2] / "mlpiht_cli"
Run = Callable[..., Any]
FIT = ("fit", "--method", "iht", "--m", 2, "--s", 3)


def texts() -> Iterator[tuple[str, str]]:
    """Every string of the package with its place; what is filled in is an X."""
    for path in sorted(ROOT.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                parts = (str(one.value) if isinstance(one, ast.Constant) else "X" for one in node.values)
                yield f"{path.name}:{node.lineno}", "".join(parts)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield f"{path.name}:{node.lineno}", node.value


COMMANDS = sorted({(place, one) for place, text in texts() for one in re.findall(r"`(mlpiht [^`]*)`", text)})


def test_every_command_that_a_text_names_has_the_options_that_it_gives() -> None:
    assert len(COMMANDS) > 15
    for place, line in COMMANDS:
        words = [word for word in line.split()[1:] if word != "..."]
        found: click.Command = group
        with click.Context(group) as context:
            while words and isinstance(found, click.Group) and words[0] != "X":
                found = found.get_command(context, words.pop(0)) or click.Command("absent")
        known = {name for parameter in found.params for name in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= known, (place, line)


def test_no_text_tells_to_delete_a_file() -> None:
    told = r"(delete|remove) (the file|the row|it (or|first)|it, then)\b"
    assert [(place, text) for place, text in texts() if re.search(told, text)] == []


@pytest.mark.parametrize("name", ["plain", "big one", "cust, name", "it's", 'a "b", c', "-x", "$HOME"])
@pytest.mark.parametrize("words", [False, True])
def test_a_column_of_any_name_is_left_out_as_the_message_says(mlpiht: Run, name: str, words: bool) -> None:
    quoted = '"' + name.replace('"', '""') + '"'
    lines = [f"{i},{f'word{i}' if words else ''},{i % 5 + 0.5}" for i in range(40)]
    Path("t.csv").write_text("\n".join([f"a,{quoted},y", *lines]))
    result = mlpiht(*FIT, "--data", "t.csv")
    assert result.code == 2
    option = result.err.split("leave it out with ")[1]
    assert mlpiht(*FIT, "--data", "t.csv", *shlex.split(option)).code == 0


@pytest.mark.parametrize(
    "command", [("show", "t.csv"), ("predict", "t.csv", "t.csv"), ("export", "t.csv", "--to", "torch")]
)
def test_a_table_in_the_place_of_a_model_is_not_to_be_written_over(mlpiht: Run, command: tuple[str, ...]) -> None:
    Path("t.csv").write_text("a,y\n1,2\n")
    result = mlpiht(*command)
    said = "error: t.csv: not a model file of mlpiht (it is no zip archive); "
    assert (result.code, result.err) == (2, said + "name one that `mlpiht fit --save` wrote\n")


def test_what_is_no_model_is_said_in_our_words(mlpiht: Run) -> None:
    import numpy as np

    np.savez("other.npz", x=np.arange(3))
    assert (
        "other.npz: not a model file of mlpiht (its arrays are not those of the format 'mlpiht-model-1'); name one"
        in mlpiht("show", "other.npz").err
    )


@pytest.mark.parametrize("folder", [(), ("--out", "my results")])
@pytest.mark.parametrize("command", ["check", "plot"])
def test_the_sweep_that_makes_a_table_is_named_by_the_spec_and_folder_that_were_given(
    mlpiht: Run, command: str, folder: tuple[str, ...]
) -> None:
    claim = "claims:\n  - {name: one, says: It is so., measure: median, method: iht, at_least: -99}\n"
    Path("my spec.yaml").write_text(TINY.replace("name: tiny", "name: other") + claim)
    result = mlpiht(command, "my spec.yaml", *folder)
    assert result.code == 2
    line = result.err.split("make it with `")[1].split("`")[0]
    made = mlpiht(*shlex.split(line)[1:])
    assert made.code == 0, made.err
    assert mlpiht(command, "my spec.yaml", *folder).code == 0


def test_the_status_of_a_sweep_without_cells_is_that_of_its_profile(mlpiht: Run) -> None:
    result = mlpiht("sweep", "figure1", "--profile", "smoke", "--only", "m=99999")
    assert "see `mlpiht status figure1 --profile smoke`" in result.err
    assert mlpiht(*shlex.split(result.err.split("`")[1])[1:]).code == 0


def test_a_doubtful_comma_is_settled_by_what_the_command_can_do(mlpiht: Run) -> None:
    rows = "".join(f'{i},"{i % 7 + 1},{100 + i}",{i % 5 + 0.5}\n' for i in range(40))
    Path("t.csv").write_text("a,b,y\n" + rows)
    result = mlpiht(*FIT, "--data", "t.csv")
    assert "for the first give --set task.decimal=comma" in result.err
    assert mlpiht(*FIT, "--data", "t.csv", "--set", "task.decimal=comma").code == 0
    Path("points.csv").write_text("a,b,y\n" + rows.replace('"', "").replace(",1", ".1", 0).replace(",", ";", 0))
    Path("points.csv").write_text("a,b,y\n" + "".join(f"{i},{i % 7}.5,{i % 5}.5\n" for i in range(40)))
    assert mlpiht(*FIT, "--data", "points.csv", "--save", "m.npz").code == 0
    refused = mlpiht("predict", "m.npz", "t.csv")
    assert refused.code == 2
    assert (
        "for the first save the numbers with a decimal point, for the second save the numbers without it" in refused.err
    )
    assert "--set" not in refused.err
