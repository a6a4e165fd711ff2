"""Every step of IHT against trajectories of the authors' code (protocol, section 7)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from mlpiht_cli.linalg.gated import BACKEND
from tests.reference.trajectories import Trajectory, compare, main, steps

FOLDER = Path(__file__).resolve().parents[2] / "results" / "reference" / "trajectories"
FILES = sorted(path.name for path in FOLDER.glob("*.npz"))
VECTOR = [name for name in FILES if not name.startswith("scalar")]


def read(name: str) -> dict[str, np.ndarray]:
    with np.load(FOLDER / name, allow_pickle=False) as data:
        return dict(data)


def write(folder: Path, file: Trajectory, name: str = "one.npz") -> None:
    np.savez(folder / name, **file)


def test_there_are_trajectories_of_every_kind() -> None:
    files = [read(name) for name in FILES]
    assert len(files) == 6
    assert {bool(file["batch"]) for file in files} == {True, False}
    assert {int(file["gate_period"]) for file in files} == {1, 3}
    assert {str(file["loss"]) for file in files if "loss" in file} == {"squared", "cross_entropy"}


@pytest.mark.parametrize("backend", ["compiled", "torch"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", FILES)
def test_every_step_is_that_of_the_authors_code(
    name: str, dtype: str, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(BACKEND, backend)
    file = read(name)
    found = compare(file, dtype)
    assert found.first is None
    assert found.steps == len(file["weights"])
    assert found.largest < (1e-12 if dtype == "float64" else 1e-5)


def ascending(file: dict[str, np.ndarray]) -> None:
    """Take the samples in the order of the data in every epoch."""
    file["order"] = np.tile(np.arange(int(file["n"])), (int(file["epochs"]), 1))


def other_gates(file: dict[str, np.ndarray]) -> None:
    file["gates"] = file["gates"][::-1].copy()


def other_numbers(file: dict[str, np.ndarray]) -> None:
    """Restart the hidden block of the first neuron from other numbers, except those that its output block shares."""
    k = int(file["k"])
    file["revival_hidden"][0, k:] = file["revival_hidden"][0, k:][::-1].copy()


def other_signs(file: dict[str, np.ndarray]) -> None:
    file["signs"] = file["signs"][::-1].copy()


@pytest.mark.parametrize(
    ("names", "change"),
    [
        (FILES, other_gates),
        ([name for name in FILES if "batches" in name], ascending),
        (VECTOR, other_numbers),
        (VECTOR, other_signs),
    ],
)
def test_everything_recorded_matters(names: list[str], change: Callable[[dict[str, np.ndarray]], None]) -> None:
    for name in names:
        file = read(name)
        change(file)
        assert compare(file).first is not None, name


def test_the_first_step_that_differs_and_the_difference_are_told() -> None:
    file = read("scalar_full.npz")
    largest = np.abs(file["weights"][5]).max()
    file["weights"][5, np.argmax(np.abs(file["weights"][5]))] += 2e-6 * largest
    found = compare(file)
    assert found.first == 5
    assert found.largest == pytest.approx(2e-6, rel=1e-3)
    file["weights"] = read("scalar_full.npz")["weights"]
    file["weights"][3, np.flatnonzero(file["weights"][3] == 0)[0]] = 1e-9 * largest
    assert compare(file).first == 3, "a weight outside the support differs, however small"


def test_a_run_that_diverges_must_diverge_at_the_same_step() -> None:
    file = read("vector_small_step.npz")
    file["weights"][7:] = np.nan
    found = compare(file)
    assert (found.first, found.steps) == (7, 8)


def test_the_weights_of_a_recorded_run_keep_the_budget() -> None:
    for name in FILES:
        file = read(name)
        assert max(int((weights != 0).sum()) for weights in steps(file, "float64")) <= int(file["s"])


def test_the_command_says_what_differs_and_exits_with_1(tmp_path: Path) -> None:
    same, other = read("scalar_full.npz"), read("vector_batches.npz")
    write(tmp_path, same, "same.npz")
    done = CliRunner().invoke(main, [str(tmp_path)])
    assert done.exit_code == 0
    assert "same.npz: equal at every step (14 steps" in done.output
    other["weights"][11] = 0
    write(tmp_path, other, "other.npz")
    done = CliRunner().invoke(main, [str(tmp_path)])
    assert done.exit_code == 1
    assert "other.npz: differs from step 11 on (20 steps" in done.output
    assert "1 of 2 equal at every step" in done.output


def test_a_folder_without_trajectories_is_refused(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, [str(tmp_path)])
    assert (done.exit_code, "holds no .npz file" in done.output) == (2, True)


def longer(file: dict[str, np.ndarray]) -> None:
    file["weights"] = np.concatenate([file["weights"], file["weights"][-1:]])


UNUSABLE: dict[str, Callable[[dict[str, np.ndarray]], object]] = {
    "the file has (4, 21) hash functions and buckets, the method (4, 20)": lambda f: f.update(width=np.array(21)),
    "21 steps are recorded, 5 epochs have 20": longer,
    "0 steps are recorded, 5 epochs have 20": lambda f: f.update(weights=f["weights"][:0]),
    "no key order": lambda f: f.pop("order"),
    "no key epochs": lambda f: f.pop("epochs"),
    "4 orders are recorded for 5 epochs": lambda f: f.update(order=f["order"][:4]),
    "gate_period is 3, with several outputs the gates follow every step": lambda f: f.update(gate_period=np.array(3)),
    "hidden and output blocks do not restart from the same numbers": lambda f: f["revival_output"].__imul__(1.3),
}


@pytest.mark.parametrize("told", UNUSABLE)
def test_a_file_that_cannot_be_compared_says_why_and_the_others_are_compared(tmp_path: Path, told: str) -> None:
    file = read("vector_batches.npz")
    UNUSABLE[told](file)
    write(tmp_path, file, "a.npz")
    write(tmp_path, read("scalar_full.npz"), "b.npz")
    (tmp_path / "c.npz").write_bytes(b"no archive")
    done = CliRunner().invoke(main, [str(tmp_path)])
    assert done.exit_code == 1
    assert f"a.npz: cannot be compared: {told}" in done.output
    assert "b.npz: equal at every step" in done.output
    assert "c.npz: cannot be compared: " in done.output
    assert "1 of 3 equal" in done.output


def test_keys_with_defaults_may_be_missing() -> None:
    file = read("scalar_full.npz")
    for name in ("m", "batch", "gate_period"):
        del file[name]
    assert compare(file).first is None
