"""The command line as a user meets it: exit codes, streams, messages."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlpiht_cli.cli import COMMANDS
from mlpiht_cli.engine.provenance import blas
from mlpiht_cli.records.table import COLUMNS
from mlpiht_cli.specs.find import find_spec
from mlpiht_cli.specs.load import parse

Run = Callable[..., Any]
FIT = ("fit", "--task", "planted", "--m", 3, "--s", 5, "--n", 80, "--d", 6)


def test_help_names_every_command_and_imports_none(mlpiht: Run) -> None:
    result = mlpiht("--help")
    assert result.code == 0
    assert all(name in result.out for name in COMMANDS)
    code = "import sys; from mlpiht_cli.cli import main; main(['--help']); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(mlpiht: Run, name: str) -> None:
    result = mlpiht(name, "--help")
    assert result.code == 0
    assert "Usage: mlpiht" in result.out


def test_python_m_has_the_exit_code() -> None:
    done = subprocess.run([sys.executable, "-m", "mlpiht_cli", "nothing"], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stdout == ""


BAD_FIT = {
    ("--method", "ihtt"): "unknown method 'ihtt', did you mean 'iht'?",
    ("--method", "iht", "--set", "method.step=3"): "method.step: unknown field, did you mean 'steps'?",
    ("--method", "imp", "--set", "method.epoch=3"): "did you mean 'epochs'?",
    ("--method", "iht", "--set", "task.nn=3"): "task.nn: unknown field",
    ("--method", "iht", "--set", "steps=3"): "names start with task. or method.",
    ("--method", "iht", "--set", "method.steps"): "write name=value",
    ("--method", "iht", "--set", "method.steps=x"): "method.steps: it must be a whole number",
    ("--method", "iht", "--set", "method.steps=[1"): "malformed YAML",
    ("--method", "iht", "--set", "method.imp.epochs=3"): "no method 'imp' here",
    ("--method", "iht", "--set", "task.tabular.n=3"): "no task 'tabular' here",
    ("--method", "iht", "--set", "method.steps=true"): "method.steps: it must be a whole number, got True",
    ("--method", "iht", "--set", "method.nope=3", "--save", "new/model.npz"): "method.nope",
    ("--method", "iht", "--s", "0"): "'--s'",
    ("--method", "iht", "--s", "19"): "s=19 is above the 18 weights that iht counts at m=3",
    ("--method", "imp", "--s", "22"): "s=22 is above the 21 weights that imp counts at m=3",
    ("--method", "iht", "--m", "0"): "'--m'",
    ("--method", "iht", "--seed", "-1"): "'--seed'",
    ("--method", "iht", "--seed", "99999999999"): "'--seed'",
    ("--method", "iht", "--task", "plantd"): "unknown task 'plantd', did you mean 'planted'?",
    ("--method", "iht", "--depth", "2", "--s", "1"): "s=1 is below the depth 2",
    ("--method", "iht", "--k", "2", "--s", "12"): "iht needs one output, the problem has 2",
    ("--method", "iht", "--device", "tpu"): "--device tpu",
    ("--method", "iht", "--device", "cuda:99"): "--device cuda:99",
    ("--method", "iht", "--target", "y"): "--target needs --data",
    ("--method", "iht", "--data", "x.csv"): "either --task NAME or --data FILE",
    ("--method", "iht", "--save", "a-file/model.npz"): "cannot write to",
}


@pytest.mark.parametrize("words", BAD_FIT, ids=" ".join)
def test_bad_fits_exit_2_with_one_message(mlpiht: Run, words: tuple[str, ...]) -> None:
    Path("a-file").write_text("in the way")
    result = mlpiht(*FIT, *words)
    assert result.code == 2
    assert result.out == ""
    assert BAD_FIT[words] in result.err
    assert result.err.count("error:") == 1
    assert [path.name for path in Path().iterdir()] == ["a-file"], "nothing written"
    as_json = mlpiht(*FIT, *words, "--json")
    assert as_json.code == 2
    assert BAD_FIT[words] in as_json.json["error"]


def test_missing_data_are_named_with_place_and_checksum(mlpiht: Run) -> None:
    for args in (
        ("fit", "--method", "iht", "--task", "mnist_binary", "--m", 1, "--s", 1),
        ("sweep", "figure3"),
        ("data", "fetch"),
    ):
        result = mlpiht(*args, "--offline")
        assert result.code == 2
        assert "train-images-idx3-ubyte was not found" in result.err
        assert "put it at" in result.err
        assert "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db" in result.err
        assert not Path("results").exists()


def test_a_corrupt_data_file_is_named(mlpiht: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mnist").mkdir()
    (tmp_path / "mnist" / "train-images-idx3-ubyte").write_bytes(b"\x00\x00\x08\x03garbage")
    monkeypatch.setenv("MLPIHT_DATA_DIR", str(tmp_path))
    result = mlpiht("sweep", "figure3")
    assert result.code == 2
    assert "train-images-idx3-ubyte" in result.err
    assert not Path("results").exists()


def test_fit_prints_one_flat_row(mlpiht: Run) -> None:
    result = mlpiht(*FIT, "--method", "imp", "--set", "method.epochs=3", "--json")
    assert result.code == 0
    assert tuple(result.json) == COLUMNS
    row = result.json
    assert (row["method"], row["m"], row["s"], row["n"], row["d"], row["status"]) == ("imp", 3, 5, 80, 6, "ok")
    assert row["params"]["method"]["epochs"] == 3
    assert row["value"] == row["psnr"]
    again = mlpiht(*FIT, "--method", "imp", "--set", "method.epochs=3", "--json").json
    times = {"wall_s", "cpu_s", "peak_rss_mb", "started_utc"}
    assert {k: v for k, v in again.items() if k not in times} == {k: v for k, v in row.items() if k not in times}
    plain = mlpiht(*FIT, "--method", "imp", "--set", "method.epochs=3")
    assert f"{row['value']:.6g}" in plain.out
    assert re.search(rf"^blas +{re.escape(row['blas'])}$", plain.out, re.MULTILINE)
    assert plain.err == ""


def test_a_diverging_fit_exits_1(mlpiht: Run) -> None:
    result = mlpiht(*FIT, "--method", "imp", "--set", "method.lr=1e30", "--save", "m.npz", "--json")
    assert result.code == 1
    assert result.json["status"] == "diverged"
    assert result.json["value"] is None
    assert not Path("m.npz").exists(), "a model that is no good is not saved"


def test_a_table_from_fit_to_predictions(mlpiht: Run) -> None:
    rng = np.random.RandomState(0)
    x = rng.normal(size=(400, 3))
    y = 5.0 + 2.0 * np.abs(x[:, 0] - 0.5) - 3.0 * np.maximum(x[:, 1], 0)
    np.savetxt("my.csv", np.column_stack([x, y]), delimiter=",", header="a,b,c,y", comments="")
    args = ("fit", "--method", "iht", "--data", "my.csv", "--target", "y", "--m", 20, "--s", 16)
    fitted = mlpiht(*args, "--set", "method.steps=60", "--save", "model.npz", "--json")
    assert fitted.code == 0
    assert fitted.json["metric"] == "r2"
    assert fitted.json["value"] > 0.95
    # Columns in another order, without the target, with one that is not known.
    np.savetxt("new.csv", np.column_stack([x[:, ::-1], y]), delimiter=",", header="c,b,a,extra", comments="")
    result = mlpiht("predict", "model.npz", "new.csv")
    assert result.code == 0
    lines = result.out.splitlines()
    assert lines[0] == "y"
    predicted = np.array([float(line) for line in lines[1:]])
    assert 1.0 - ((predicted - y) ** 2).mean() / y.var() > 0.95
    assert mlpiht("predict", "model.npz", "new.csv", "--json").json["y"] == pytest.approx(predicted)
    assert mlpiht("predict", "model.npz", "new.csv", "--out", "p.csv").code == 0
    assert Path("p.csv").read_text() == result.out


def test_predictions_that_cannot_be_made(mlpiht: Run) -> None:
    Path("other.npz").write_bytes(b"no model")
    Path("new.csv").write_text("a,b\n1,2\n")
    result = mlpiht("predict", "other.npz", "new.csv")
    assert (result.code, result.out) == (2, "")
    assert "not a model file of mlpiht" in result.err
    mlpiht(*FIT, "--method", "iht", "--save", "planted.npz")
    result = mlpiht("predict", "planted.npz", "new.csv")
    assert result.code == 2
    assert "was not fitted to a table" in result.err
    Path("my.csv").write_text("alpha,y\n" + "".join(f"{i},{i % 3}\n" for i in range(20)))
    mlpiht("fit", "--method", "iht", "--data", "my.csv", "--m", 2, "--s", 2, "--save", "table.npz")
    Path("new.csv").write_text("alpa,b\n1,2\n")
    result = mlpiht("predict", "table.npz", "new.csv")
    assert result.code == 2
    assert "new.csv: no column 'alpha' for a feature, did you mean 'alpa'?" in result.err


def test_predictions_go_where_they_are_sent(mlpiht: Run) -> None:
    Path("my.csv").write_text("a,y\n" + "".join(f"{i},{i % 3}\n" for i in range(20)))
    mlpiht("fit", "--method", "iht", "--data", "my.csv", "--m", 2, "--s", 2, "--save", "m.npz")
    both = mlpiht("predict", "m.npz", "my.csv", "--json", "--out", "p.csv")
    assert len(both.json["y"]) == 20
    assert Path("p.csv").exists()
    blocked = mlpiht("predict", "m.npz", "my.csv", "--out", "p.csv/q.csv")
    assert (blocked.code, blocked.out) == (2, "")
    assert "--out FILE" in blocked.err
    Path("new.csv").write_text("a\n1e300\n")
    huge = mlpiht("predict", "m.npz", "new.csv")
    assert huge.code == 2
    assert "column 'a', data row 1: too large for float32" in huge.err


def test_a_skipped_fit_says_that_no_model_was_written(mlpiht: Run) -> None:
    args = ("--m", 1, "--s", 1, "--n", 1, "--d", 2, "--seed", 1, "--save", "x.npz")
    result = mlpiht("fit", "--method", "iht", "--task", "planted", *args)
    assert result.code == 0
    assert "no model written: skipped" in result.err
    assert not Path("x.npz").exists()


def test_generate_writes_the_same_bytes_and_their_checksums(mlpiht: Run) -> None:
    args = ("generate", "planted", "--m", 10, "--s", 20, "--n", 100, "--out")
    first = mlpiht(*args, "a.npz", "--json").json
    second = mlpiht(*args, "b.npz", "--json").json
    assert first["arrays"] == second["arrays"]
    assert first["sha256"] == second["sha256"]
    with np.load("a.npz", allow_pickle=False) as data:
        assert data["x"].shape == (100, 100)
        assert data["weights0"].shape == (100, 10)
        assert (data["weights0"] != 0).sum() == 20
    manifest = json.loads(Path("a.npz.json").read_text())
    assert manifest["arrays"] == first["arrays"]
    fit = mlpiht("fit", "--method", "iht", "--data", "a.npz", "--m", 5, "--s", 20, "--json")
    assert fit.code == 0


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("planted", "--m", 1, "--s", 101, "--out", "a.npz"), "s=101 is above the 100 weights"),
        (("planted", "--m", 1, "--s", 1, "--out", "a.csv"), "end in .npz"),
        (("plantd", "--m", 1, "--s", 1, "--out", "a.npz"), "did you mean 'planted'?"),
        (("planted", "--m", 1, "--s", 1), "Missing option '--out'"),
    ],
)
def test_generate_refuses(mlpiht: Run, args: tuple[Any, ...], message: str) -> None:
    result = mlpiht("generate", *args)
    assert result.code == 2
    assert message in result.err
    assert not list(Path().iterdir())


SPEC_FAULTS = {
    ("iht, steps", "iht, step"): "tiny.yaml:7:17: methods[0].step: unknown field, did you mean 'steps'?",
    ("name: imp", "name: impp"): "tiny.yaml:8:6: methods[1].name: unknown method 'impp', did you mean 'imp'?",
    ("name: planted", "name: plantd"): "panels[0].task.name: unknown task 'plantd', did you mean 'planted'?",
    ("n: 60", "nn: 60"): "panels[0].task.nn: unknown field",
    ("n: 60", "n: 0"): "panels[0].task.n: it must be 1 or more, got 0",
    ("seeds: [0, 1]", "seeds: [0, -1]"): "tiny.yaml:5:12: seeds[1]: it must be 0 or more",
    ("seeds: [0, 1]", "seeds: [0, 0]"): "holds a value twice",
    ("seeds: [0, 1]", "seeds: []"): "the grid is empty",
    ("m: [2, 3]", "m: []"): "the grid is empty",
    ("m: [2, 3]", "m: [0]"): "panels[0].m[0]",
    ("m: [2, 3]", "m: [2.5]"): "panels[0].m[0]",
    ("s: [2, 5]", "s: [0]"): "panels[0].s[0]",
    ("s: [2, 5]", "s: [2, 99]"): "s=99 is above the 12 weights that iht counts at m=2",
    ("title: Tiny", "title: Tiny\ntitle: Two"): "tiny.yaml:4:1: title: duplicate key, first given in line 3",
    (
        "    m: [2, 3]",
        "    methods: [{name: iht}, {name: iht}]\n    m: [2, 3]",
    ): "tiny.yaml:12:29: panels[0].methods[1].name: two methods of panel 'a' have the same name or label, 'iht'",
    (
        "  - {name: imp, epochs: 2}",
        "  - {name: iht, label: again, dtype: float32}",
    ): "tiny.yaml:8:5: methods[1]: 'iht' and 'again' are variants of iht: give each a setting in which they differ",
    ("m: [2, 3]", "m: [2, 3]\n    limits: [.nan, 5]"): "panels[0].limits[0]: it must be a finite number",
    ("{task.n: 40}", "{method.epochs: 9}"): "steps grows from 4 to 9; a profile only shrinks",
    ("title: Tiny", "titel: Tiny"): "titel: unknown field, did you mean 'title'?",
    ("spec_version: 1", "spec_version: 2"): "this mlpiht reads version 1, the spec has 2; update mlpiht",
    ("limits: [-20, 50]", "limits: [50, -20]"): "the lower limit must be below the upper one",
    ("label: Tiny", "label: Tiny, kind: hetmap"): "unknown kind 'hetmap', did you mean 'heatmap'?",
    ("smoke: {m: [2]", "smoke: {m: [4]"): "profiles.smoke.m[0]: 4 is in no panel; a profile only shrinks grids",
    ("task.n: 40", "task.n: 400"): "profiles.smoke.set: n grows from 60 to 400; a profile only shrinks",
    ("task.n: 40", "task.d: 4"): "profiles.smoke.set.task.d",
    ("  smoke", "  smok"): "profiles.smok",
    ("figure: {", "figure: ["): "malformed YAML",
}


@pytest.mark.parametrize("change", SPEC_FAULTS, ids=lambda change: change[1])
def test_faulty_specs_are_placed(mlpiht: Run, tiny_spec: str, change: tuple[str, str]) -> None:
    assert change[0] in tiny_spec
    Path("tiny.yaml").write_text(tiny_spec.replace(*change))
    for command in ("validate", "sweep"):
        result = mlpiht(command, "tiny.yaml")
        assert result.code == 2
        assert result.out == ""
        assert SPEC_FAULTS[change] in result.err
        assert not Path("results").exists()


def test_all_faults_of_a_spec_come_at_once(mlpiht: Run, tiny_spec: str) -> None:
    text = tiny_spec
    for before, after in [("steps", "step"), ("name: planted", "name: x"), ("m: [2, 3]", "m: []")]:
        text = text.replace(before, after)
    Path("tiny.yaml").write_text(f"{text}name: again\n")
    lines = mlpiht("validate", "tiny.yaml").err.splitlines()
    assert len(lines) == 4
    assert [int(line.removeprefix("error: ").split(":")[1]) for line in lines] == [7, 11, 12, 18]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("--only", ""), "--only is empty"),
        (("--set", "task.tabular.n=3"), "no task 'tabular' here"),
        (("--set", "method.imp.lr.x=3"), "no method 'imp.lr' here"),
        (("--set", "method.steps=true"), "method"),
        (("--set", "task.nn=3"), "task.nn: unknown field, did you mean 'n'?"),
        (("--set", "method.stepz=3"), "method.stepz: unknown field, did you mean 'steps'?"),
        (("--set", "method.impp.epochs=3"), "no method 'impp' here, did you mean 'imp'?"),
        (("--set", "n=3"), "names start with task. or method."),
        (("--set", "task.n=-3"), "panels[0].task.n: it must be 1 or more, got -3"),
        (("--set", "method.iht.steps=0"), "panels[0].methods.iht.steps: it must be 1 or more"),
        (("--only", "m>1000"), "no cell of tiny fits"),
        (("--only", "width=3"), "unknown field 'width'"),
        (("--profile", "tiny"), "'--profile'"),
        (("--profile", "laptop"), "has no profile 'laptop'"),
        (("--out", "a-file"), "cannot write to"),
        (("--device", "tpu"), "--device tpu"),
    ],
)
def test_sweeps_that_cannot_start(mlpiht: Run, tiny_spec: str, args: tuple[str, ...], message: str) -> None:
    Path("tiny.yaml").write_text(tiny_spec)
    Path("a-file").write_text("in the way")
    result = mlpiht("sweep", "tiny.yaml", *args, "--json")
    assert result.code == 2
    assert message in result.err
    assert message in result.json["error"]
    assert sorted(path.name for path in Path().iterdir()) == ["a-file", "tiny.yaml"]


def test_specs_can_be_listed_shown_and_copied(mlpiht: Run) -> None:
    assert "figure1" in mlpiht("specs", "list").out
    shown = mlpiht("specs", "show", "figure1").out
    comments, plain = shown[: shown.index("spec_version: 1")], find_spec("figure1").read_text()
    assert "heatmap, fitted, std" in comments
    assert "share_above" in comments
    assert "slope_in_d" in comments
    assert shown.endswith(plain)
    assert parse(shown, Path("shown.yaml")).data == parse(plain, Path("figure1.yaml")).data
    assert mlpiht("specs", "copy", "figure1").out == "figure1.yaml\n"
    again = mlpiht("specs", "copy", "figure1")
    assert again.code == 2
    assert "exists" in again.err
    assert mlpiht("validate", "figure1", "smoke.yaml").code == 0
    missing = mlpiht("specs", "show", "figur1")
    assert missing.code == 2
    assert "did you mean 'figure1'?" in missing.err


def test_status_counts_and_lists_reasons(mlpiht: Run, tiny_spec: str) -> None:
    Path("tiny.yaml").write_text(tiny_spec)
    assert "8 todo" in mlpiht("status", "tiny").out
    mlpiht("sweep", "tiny", "--only", "seed=0", "--set", "method.imp.lr=1e30")
    result = mlpiht("status", "tiny", "--set", "method.imp.lr=1e30", "--json")
    groups = {group["method"]: group for group in result.json["groups"]}
    assert (groups["iht"]["ok"], groups["iht"]["todo"]) == (4, 4)
    assert (groups["imp"]["diverged"], groups["imp"]["todo"]) == (4, 4)
    assert sum(reason["cells"] for reason in result.json["reasons"]) == 4
    Path("tiny.yaml").write_text(tiny_spec.replace("name: imp, epochs: 2", "name: iht, label: short, steps: 2"))
    labels = [(group["method"], group["label"]) for group in mlpiht("status", "tiny", "--json").json["groups"]]
    assert labels == [("iht", "iht"), ("iht", "short")]


def test_data_commands(mlpiht: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "mlpiht data fetch" in mlpiht("data", "list").out
    verify = mlpiht("data", "verify", "mnist")
    assert verify.code == 1
    assert verify.out.count("missing") == 4
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(b"x")
    monkeypatch.setenv("MLPIHT_DATA_DIR", str(tmp_path))
    assert "NOT the official file" in mlpiht("data", "verify").out
    unknown = mlpiht("data", "verify", "minst")
    assert unknown.code == 2
    assert "did you mean 'mnist'?" in unknown.err


@pytest.mark.mnist
def test_real_data_verify(real_mnist: Path, mlpiht: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLPIHT_DATA_DIR", str(real_mnist))
    result = mlpiht("data", "verify", "mnist")
    assert result.code == 0
    assert result.out.count(" ok ") == 4


def test_doctor_and_schema(mlpiht: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    facts = mlpiht("doctor", "--json").json
    assert facts["problems"] == "none"
    assert facts["blas"] == blas()
    assert "mnist" in facts["data missing"]
    monkeypatch.setenv("MLPIHT_DATA_DIR", "/nonexistent")
    sick = mlpiht("doctor")
    assert sick.code == 1
    assert "is not a folder" in sick.out
    schema = json.loads(mlpiht("schema").out)
    parts = schema["$defs"]
    assert "method iht" in parts
    assert "share_above" in parts["Claim"]["properties"]["measure"]["enum"]
    single, several = parts["FigureSpec"]["properties"]["kind"]["anyOf"]
    assert "heatmap" in single["enum"] == several["items"]["enum"]
    assert "heatmap" in parts["View"]["properties"]["kind"]["anyOf"][0]["enum"]
    assert "planted" in parts["Task"]["properties"]["name"]["enum"]
    assert "iht" in parts["Method"]["properties"]["name"]["enum"]
    assert not parts.keys() & {"Entry"}
    ours = {"Spec": schema, **{name: part for name, part in parts.items() if " " not in name}}
    fields = [(name, field) for name, part in ours.items() for field in part["properties"].items()]
    assert [(name, field) for name, (field, about) in fields if "description" not in about] == []


def test_colours_are_for_terminals_and_can_be_forced(mlpiht: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "\x1b[" not in mlpiht("sweep", "nothing").err
    assert "\x1b[31merror\x1b[0m" in mlpiht("--color", "always", "sweep", "nothing").err
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[" not in mlpiht("--color", "auto", "sweep", "nothing").err


def test_an_internal_error_is_one_line_without_debug(mlpiht: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    import mlpiht_cli.plan

    def broken(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(mlpiht_cli.plan, "load", broken)
    result = mlpiht("validate", "smoke")
    assert result.code == 1
    assert result.err.strip() == "error: internal error, RuntimeError: a bug (mlpiht --debug shows where)"
