"""``mlpiht diagnose`` and ``diagnose`` of the library."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlpiht_cli import InputError, SparseMLP, diagnose, fit, generate

Run = Callable[..., Any]
PLANTED = ("--task", "planted", "--n", 2000, "--d", 20)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    x = np.random.default_rng(0).normal(size=(200, 3))
    y = np.maximum(x[:, 0] - 0.5 * x[:, 1], 0)
    path = tmp_path / "my.csv"
    rows = "\n".join(",".join(f"{v:.6f}" for v in row) for row in np.column_stack([x, y]))
    path.write_text(f"a,b,c,y\n{rows}\n")
    return path


def test_planted_gates_are_the_default_where_a_network_is_planted(mlpiht: Run) -> None:
    found = mlpiht("diagnose", *PLANTED, "--m", 4, "--s", 6, "--json").json
    same = mlpiht("diagnose", *PLANTED, "--m", 4, "--s", 6, "--gates", "planted", "--json").json
    assert found == same
    assert (found["gates"], found["n"], found["d"], found["s"]) == ("planted", 2000, 20, 6)
    assert found["own_support"]["size"] == 6
    assert [one["k"] for one in found["supports"]][:3] == [2, 6, 12]


def test_the_printed_support_can_be_rechecked(mlpiht: Run) -> None:
    """The support in the JSON has the eigenvalue that stands next to it: computed here from the task's own arrays."""
    found = mlpiht("diagnose", *PLANTED, "--m", 4, "--s", 6, "--columns", 9, "--json").json
    data = generate("planted", 4, 6, n=2000, d=20)
    x = data.x.double().numpy()
    assert data.planted_layer is not None
    gates = data.planted_layer.dense().double().numpy()
    for one in found["supports"]:
        for name, place in (("alpha", 0), ("beta", -1)):
            columns = np.stack([(x @ gates[j] > 0) * x[:, a] for j, a in one[f"{name}_support"]], 1)
            columns /= np.linalg.norm(columns, axis=0)
            values = np.linalg.eigvalsh(columns.T @ columns)
            assert values[place] == pytest.approx(one[f"{name}_found"], abs=1e-10)
            assert one["alpha_certified"] <= values[0] + 1e-9
            assert values[-1] <= one["beta_certified"] + 1e-9
    assert 9 in {one["k"] for one in found["supports"]}


def test_the_text_has_every_part(mlpiht: Run) -> None:
    text = mlpiht("diagnose", *PLANTED, "--m", 4, "--s", 6).out
    for part in ("patterns: ", "columns of A: ", "own support: ", "alpha found", "verdict: least squares only: "):
        assert part in text
    assert max(map(len, text.splitlines())) <= 110


def test_the_grid_s_first_cell_applies_and_its_neighbours_do_not(mlpiht: Run) -> None:
    answers = {
        (m, s): mlpiht(
            "diagnose",
            "--task",
            "planted",
            "--gates",
            "random",
            "--m",
            m,
            "--s",
            s,
            "--set",
            "task.clip_budget=true",
            "--json",
        ).json["verdict"]
        for m, s in ((1, 1), (1, 2), (2, 1))
    }
    assert answers == {(1, 1): "applies", (1, 2): "least squares only", (2, 1): "least squares only"}


def test_a_given_budget_is_asked_about(mlpiht: Run) -> None:
    words = ("diagnose", "--task", "planted", "--gates", "random", "--m", 1, "--s", 1)
    assert mlpiht(*words, "--s-tilde", 60, "--json").json["verdict"] == "applies"
    small = mlpiht(*words, "--s-tilde", 2, "--json").json
    assert small["verdict"] == "fails"
    assert [one["k"] for one in small["supports"]] == [1, 2, 5]


def test_a_table_is_diagnosed_with_the_gates_of_its_fit(mlpiht: Run, table: Path) -> None:
    found = mlpiht("diagnose", "--data", table, "--target", "y", "--m", 3, "--s", 4, "--json").json
    assert found["gates"] == "fitted"
    assert found["d"] == 4  # with the column of ones
    assert found["s"] == found["own_support"]["size"] <= 4
    random = mlpiht("diagnose", "--data", table, "--gates", "random", "--m", 3, "--s", 4, "--json").json
    assert (random["gates"], random["own_support"]) == ("random", None)


def test_a_model_file_says_what_it_was_fitted_to(mlpiht: Run, table: Path, tmp_path: Path) -> None:
    words = ("--data", table, "--target", "y", "--m", 3, "--s", 4)
    assert mlpiht("fit", *words, "--save", tmp_path / "net.npz").code == 0
    of_file = mlpiht("diagnose", "--model", tmp_path / "net.npz", "--json").json
    assert of_file == mlpiht("diagnose", *words, "--json").json
    folds = mlpiht("diagnose", "--model", tmp_path / "net.npz", "--cv", 3)
    assert (folds.code, "--cv: leave it out, --model" in folds.err) == (2, True)
    for option in ("--depth", "--seed"):
        refused = mlpiht("diagnose", "--model", tmp_path / "net.npz", option, 2)
        assert (refused.code, f"{option}: leave it out, --model" in refused.err) == (2, True)
    refused = mlpiht("diagnose", "--model", tmp_path / "net.npz", "--m", 3)
    assert refused.code == 2
    assert "--m: leave it out" in refused.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--task", "planted", "--gates", "random"), "--gates random: give --m"),
        (("--task", "iris", "--gates", "planted", "--m", 3, "--s", 5), "nothing was planted"),
        (("--task", "planted", "--m", 2, "--s", 500), "above the 200 weights"),
        ((), "--task NAME or --data FILE"),
        (("--model", "nothing.npz"), "nothing.npz"),
    ],
)
def test_bad_input_is_one_message(mlpiht: Run, words: tuple[object, ...], message: str) -> None:
    found = mlpiht("diagnose", *words)
    assert (found.code, found.out) == (2, "")
    assert message in found.err


def test_a_network_without_weights_has_no_gates(mlpiht: Run, tmp_path: Path) -> None:
    (tmp_path / "flat.csv").write_text("a,y\n" + "".join(f"{i},{-1 - i}\n" for i in range(30)))
    found = mlpiht("diagnose", "--data", tmp_path / "flat.csv", "--method", "zero", "--m", 2, "--s", 2)
    assert found.code == 2
    assert "no gates" in found.err


# The library


def test_the_library_says_what_the_command_says(mlpiht: Run) -> None:
    data = generate("planted", 4, 6, n=2000, d=20)
    command = mlpiht("diagnose", *PLANTED, "--m", 4, "--s", 6, "--json").json
    assert diagnose(data, "planted", s=6)["supports"] == command["supports"]
    random = mlpiht("diagnose", *PLANTED, "--m", 4, "--s", 6, "--gates", "random", "--json").json
    assert diagnose(data, "random", m=4, s=6)["supports"] == random["supports"]


def test_gates_of_a_network_and_as_an_array() -> None:
    data = generate("planted", 4, 6, n=2000, d=20)
    network = fit(data, m=4, s=6, steps=10).model
    found = diagnose(data, network, s=6)
    assert isinstance(network, SparseMLP)
    assert found["own_support"]["size"] == network.nnz
    array = diagnose(data.x, network.layers[0].dense(), s=6)  # its dead rows are dead gates: no columns
    assert array["supports"] == found["supports"]
    assert array["own_support"] is None


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: diagnose(x, s=3), "give m"),
        (lambda x: diagnose(x, s=0, m=2), "s=0"),
        (lambda x: diagnose(x, "planted", s=3), "with a problem"),
        (lambda x: diagnose(x, np.ones((2, 7)), s=3), "the gates have 7"),
        (lambda x: diagnose(np.zeros((50, 4)), s=3, m=2), "no column to measure"),
    ],
)
def test_the_library_refuses_with_a_message(call: Callable[[Any], object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        call(np.random.default_rng(0).normal(size=(50, 4)))
