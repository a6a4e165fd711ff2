"""The library by name: what is exported and what loading it costs; problems, fits, scores and sweeps."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import mlpiht_cli
from mlpiht_cli import (
    IHT,
    METHODS,
    InputError,
    SparseMLP,
    diagnose,
    evaluate,
    fit,
    generate,
    load_model,
    problem,
    sweep,
)
from tests.library_words import foreign

X = np.random.RandomState(0).normal(size=(200, 5))
Y = np.maximum(X[:, 0] - X[:, 2], 0.0)


# Names


def test_every_name_can_be_imported_and_is_listed() -> None:
    assert sorted(mlpiht_cli.__all__) == sorted({*mlpiht_cli._MODULE_OF, "__version__"})
    for name in mlpiht_cli.__all__:
        assert getattr(mlpiht_cli, name) is not None
    assert set(mlpiht_cli.__all__) <= set(dir(mlpiht_cli))
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = mlpiht_cli.nothing  # type: ignore[attr-defined]
    with pytest.raises(ImportError):
        exec("from mlpiht_cli import nothing")


def test_every_method_is_exported_by_its_class() -> None:
    assert all(getattr(mlpiht_cli, kind.__name__) is kind for kind in METHODS.values())
    assert METHODS["iht"] is IHT
    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        _ = mlpiht_cli.Nothing  # type: ignore[attr-defined]


SLOW = {"torch", "sklearn", "numpy", "scipy", "pandas", "pydantic", "numba", "matplotlib"}


@pytest.mark.parametrize(
    ("code", "slow"),
    [
        ("import mlpiht_cli; dir(mlpiht_cli)", SLOW),
        ("import mlpiht_cli.cli as c; c.main(['--help'])", SLOW - {"numpy"}),
        ("import mlpiht_cli.cli as c; c.main(['fit', '--help'])", {"torch._C", "sklearn"}),
        ("import mlpiht_cli.cli as c; c.main(['specs', 'list'])", {"torch._C", "sklearn"}),
        ("from mlpiht_cli import fit, sweep, IHT", {"sklearn", "pandas", "matplotlib"}),
    ],
)
def test_what_is_not_used_is_not_loaded(code: str, slow: set[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; {code}; print(sorted({slow} & set(sys.modules)))"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_name_alone_loads_fast() -> None:
    code = "import time; t = time.perf_counter(); import mlpiht_cli; print(time.perf_counter() - t)"
    runs = [subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True) for _ in range(3)]
    assert min(float(run.stdout) for run in runs) < 0.1


# Problems


def test_arrays_become_a_problem_as_they_are() -> None:
    made = problem(X, Y)
    assert (made.n, made.d, made.k, made.loss, made.metric) == (200, 5, 1, "squared", "r2")
    np.testing.assert_array_equal(made.x.numpy(), X)
    np.testing.assert_array_equal(made.y.numpy()[:, 0], Y)
    assert made.x_test is made.x
    assert made.peak == Y.max()
    assert made.x.dtype == torch.float64
    single = problem(torch.from_numpy(X).float(), Y.astype(np.float32))
    assert (single.x.dtype, single.y.dtype) == (torch.float32, torch.float32)
    mixed = problem(X.astype(np.float32), [int(y > 0) for y in Y], X[:3], Y[:3])
    assert (mixed.x.dtype, mixed.y.dtype, len(mixed.x_test)) == (torch.float64, torch.float64, 3)
    reverse = X[::-1]
    reverse.flags.writeable = False
    np.testing.assert_array_equal(problem(reverse, Y).x.numpy(), reverse)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: problem(X, Y[:5]), "x has 200 rows, y has 5"),
        (lambda: problem(X[:, 0], Y), r"x has shape \(200,\); it needs rows and columns$"),
        (lambda: problem(X, np.zeros((200, 1, 1))), "y has shape.*or rows$"),
        (lambda: problem(np.zeros((0, 5)), []), "x has shape"),
        (lambda: problem(np.where(X > 2, np.nan, X), Y), r"x\[\d+, \d\] is nan"),
        (lambda: problem(X * 1e60, Y), "not a finite number of float32"),
        (lambda: problem(X.astype(str), Y), "they must be numbers"),
        (lambda: problem([[1, 2], [3]], [1, 2]), "x is no array"),
        (lambda: problem(X, Y, loss="square"), "unknown loss 'square', did you mean 'squared'"),
        (lambda: problem(X, Y, metric="psnrr"), "did you mean 'psnr'"),
        (lambda: problem(X, Y, X), "both x_test and y_test"),
        (lambda: problem(X, Y, X[:, :2], Y), "columns in x and x_test differ: 5 and 2"),
        (lambda: problem(X, Y, loss="cross_entropy"), "probabilities in each row"),
        (lambda: generate("plantd"), "unknown task 'plantd', did you mean 'planted'"),
        (lambda: generate("planted", nn=3), "nn: unknown field, did you mean"),
        (lambda: generate("planted", m=2, s=900, d=5), "s=900 is above the 10 weights"),
        (lambda: generate("planted", seed=-1), "seed=-1"),
        (lambda: fit(X, Y, "ith", m=2, s=2), "unknown method 'ith', did you mean 'iht'"),
        (lambda: fit(X, Y, m=2, s=2, step=3), "step: .*did you mean"),
        (lambda: fit(X, Y, IHT(), m=2, s=2, steps=3), "steps: a method that is made already has its settings"),
        (lambda: fit(X, Y, m=0, s=2), "m=0: it must be a whole number from 1"),
        (lambda: fit(X, Y, m=2, s=2.0), "s=2.0"),  # type: ignore[arg-type]
        (lambda: fit(X, m=2, s=2), "y is missing"),
        (lambda: fit(problem(X, Y), Y, m=2, s=2), "neither y nor loss"),
        (lambda: fit(X, np.column_stack([Y, Y]), m=2, s=2), "iht needs one output, the problem has 2; use iht_vector"),
        (lambda: fit(X, Y, m=2, s=2).predict(X[:, :3]), "x has 3 columns, the network takes 5"),
        (lambda: evaluate(fit(X, Y, m=2, s=2), X[:, :3], Y), "the data have 3 columns, the network takes 5"),
        (lambda: evaluate(fit(X, Y, m=2, s=2), X), "y is missing"),
        (lambda: sweep("smok"), "no spec 'smok'.*did you mean 'smoke'"),
        (lambda: sweep("smoke", "smal"), "unknown profile 'smal'"),
        (lambda: sweep("smoke", jobs=0), "jobs=0"),
        (lambda: sweep("smoke", "smoke", only="m=12345"), "no cell of smoke fits"),
        (lambda: sweep("smoke", settings={"task.nn": 3}), "task.nn"),
        (lambda: load_model("nothing.npz"), "nothing.npz"),
    ],
)
def test_wrong_input_is_told(call: Callable[[], Any], message: str, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message):
        call()
    assert list(tmp_path.iterdir()) == []


def whole(value: Any) -> Any:
    return np.int64(value)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: fit(X, Y, m=np.float64(2.0), s=2), "m=2.0: it must"),  # type: ignore[arg-type]
        (lambda: fit(X, Y, m=2, s=whole(0)), "s=0: it must"),
        (lambda: fit(X, Y, np.str_("ith"), m=2, s=2), "unknown method 'ith', did"),
        (lambda: fit(X, Y, m=2, s=2, steps=np.float64(2.5)), "iht.steps: it must be a whole number, got 2.5"),
        (lambda: fit(X, Y, m=2, s=2, steps=[whole(3)]), r"iht.steps: it must be a whole number, got \[3\]"),
        (lambda: fit(X, Y, m=2, s=2, signs=np.str_("all")), "iht.signs: it must be .*, got 'all'"),
        (lambda: problem(X, Y, loss=np.str_("square")), "unknown loss 'square', did"),
        (lambda: problem(X, Y, metric=np.str_("psnrr")), "unknown metric 'psnrr', did"),
        (lambda: generate("planted", noise=np.float64(-1.0)), "task.noise: it must be 0.0 or more, got -1.0"),
        (lambda: generate("planted", seed=whole(-1)), "seed=-1: it must"),
        (lambda: diagnose(X, np.str_("all"), s=2), "gates='all': give"),
        (lambda: diagnose(X, s=2, m=np.float64(3.0)), "m=3.0: it must"),  # type: ignore[arg-type]
        (lambda: sweep("smoke", np.str_("smal")), "unknown profile 'smal'"),
        (lambda: sweep("smoke", jobs=whole(0)), "jobs=0: it must"),
        (lambda: sweep("smoke", "smoke", only=np.str_("m=12345")), "only='m=12345': no cell"),
        (lambda: sweep("smoke", settings={"task.n": np.float64(2.5)}), "it must be a whole number, got 2.5"),
    ],
)
def test_values_of_numpy_are_told_as_numbers_and_words(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as told:
        call()
    assert foreign(str(told.value)) is None


# Fits


def test_a_fit_is_that_of_the_command(mlpiht: Any) -> None:
    made = generate("planted", m=3, s=6, seed=2, n=200, d=8)
    found = fit(made, m=3, s=6, seed=2, steps=12)
    words = "fit --method iht --task planted --m 3 --s 6 --seed 2 --n 200 --d 8 --set method.steps=12 --json"
    row = mlpiht(*words.split()).json
    scores = evaluate(found, made)
    assert scores is not None
    assert (scores.psnr, scores.support_f1) == (row["psnr"], row["support_f1"])
    assert found.iterations == row["iterations"] == len(found.history)
    assert found.loss == pytest.approx(row["final_loss"], rel=1e-5)
    assert (found.status, found.reason) == ("ok", "")


def test_history_loss_and_predictions_belong_to_the_network() -> None:
    seen: list[tuple[int, float]] = []
    found = fit(X, Y, m=4, s=6, callback=lambda *step: seen.append(step))
    assert [loss for _, loss in seen] == found.history.tolist()
    assert found.history[0] == pytest.approx(np.mean(Y**2), rel=1e-6)
    weights = found.model.layers[0].dense().double().numpy()
    expected = np.maximum(X @ weights.T, 0.0).sum(1)
    np.testing.assert_allclose(found.predict(X), expected, atol=1e-12)
    assert found.loss == pytest.approx(np.mean((expected - Y) ** 2))
    assert found.model.nnz <= 6
    scores = evaluate(found.model, X, Y)
    assert scores is not None
    assert scores.value == pytest.approx(1 - np.mean((expected - Y) ** 2) / Y.var(), abs=1e-5)


def test_nothing_is_standardised_and_the_seed_counts() -> None:
    one, other = (fit(X, Y, m=4, s=6, seed=seed) for seed in (0, 1))
    assert (one.predict(X) != other.predict(X)).any()
    assert fit(X, Y, IHT(steps=15), m=4, s=6).model.layers[0].index.equal(one.model.layers[0].index)
    line = fit(X + 3.0, (X + 3.0) @ np.arange(5.0) + 1.0, "iht_linear", m=1, s=5)
    assert line.predict(np.zeros((1, 5))) == [0.0], "a line without a column of ones passes the origin"


def test_classes_and_depth() -> None:
    labels = (X[:, 0] > 0).astype(int) + (X[:, 1] > 0)
    made = problem(X, np.eye(3)[labels], loss="cross_entropy")
    assert made.metric == "accuracy"
    found = fit(made, method="iht_logistic", m=1, s=6)
    scores = evaluate(found, made)
    assert found.predict(X).shape == (200, 3)
    assert scores is not None
    assert scores.accuracy == pytest.approx(np.mean(found.predict(X).argmax(1) == labels))
    assert len(fit(X, Y, m=4, s=12, depth=2).model.layers) == 2


def test_settings_may_be_scalars_of_numpy() -> None:
    one = fit(X, Y, m=2, s=np.int64(2), steps=np.int64(7), relax=np.float32(1.5), signs=np.str_("both"))
    other = fit(X, Y, m=2, s=2, steps=7, relax=1.5, signs="both")
    assert one.iterations == other.iterations <= 7
    assert torch.equal(one.model.layers[0].dense(), other.model.layers[0].dense())


def test_a_diverged_fit_says_why() -> None:
    found = fit(X * 1e30, Y, "imp", m=4, s=6)
    assert found.status == "diverged"
    assert found.reason
    assert (found.loss, found.model.nnz) == (np.inf, 0)


def test_a_callback_may_stop_a_fit() -> None:
    def stop(step: int, _: float) -> None:
        if step == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(X, Y, m=4, s=6, callback=stop)


def test_a_perfect_score_in_a_table_is_a_number(tmp_path: Path) -> None:
    frame = sweep("smoke", "smoke", tmp_path, only="method=iht,m=2,s=1")
    assert frame["psnr"].dtype == np.float64
    assert np.isinf(frame["psnr"]).any()


def test_a_saved_model_is_read_by_its_path(tmp_path: Path) -> None:
    found = fit(X, Y, m=4, s=6)
    found.model.save(tmp_path / "net.npz", {"why": "a test"})
    model, meta = load_model(str(tmp_path / "net.npz"))
    assert isinstance(model, SparseMLP)
    assert meta == {"why": "a test"}
    assert evaluate(model, X, Y) == evaluate(found, X, Y)


# Sweeps


def test_a_sweep_returns_its_table_and_resumes(tmp_path: Path, tiny_spec: str, monkeypatch: Any) -> None:
    (tmp_path / "tiny.yaml").write_text(tiny_spec)
    frame = sweep(str(tmp_path / "tiny.yaml"), out=str(tmp_path / "out"), only="method=iht")
    assert set(frame["method"]) == {"iht"}
    whole = sweep(tmp_path / "tiny.yaml", out=tmp_path / "out")
    assert len(whole) > len(frame)
    table = pd.read_csv(next((tmp_path / "out").glob("*.csv")))
    assert list(whole) == list(table)
    assert whole["cell"].tolist() == table["cell"].tolist()
    assert set(whole["status"]) == {"ok"}
    assert whole["psnr"].dtype == np.float64
    np.testing.assert_array_equal(whole["psnr"], table["psnr"])
    assert whole["params"][0]["method"]["version"] >= 1
    records = sorted(str(path) for path in (tmp_path / "out" / ".records").rglob("*"))
    again = sweep(tmp_path / "tiny.yaml", out=tmp_path / "out")
    pd.testing.assert_frame_equal(again, whole)
    assert sorted(str(path) for path in (tmp_path / "out" / ".records").rglob("*")) == records, "no cell ran again"
