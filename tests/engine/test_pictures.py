"""Pictures show the networks that the rows are of."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from mlpiht_cli import plan
from mlpiht_cli.engine import pictures
from mlpiht_cli.engine.runner import Runner, pick_device
from mlpiht_cli.errors import InputError
from mlpiht_cli.figures.pictures import Shot
from mlpiht_cli.plan.cells import Job
from mlpiht_cli.specs.find import find_spec

Run = Callable[..., Any]


@pytest.fixture
def shots(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Shot, list[list[Shot]]]]:
    """What was laid out, instead of the figure."""
    seen: list[tuple[str, Shot, list[list[Shot]]]] = []
    for name in ("images", "weights", "layers"):
        monkeypatch.setattr(pictures.pictures, name, lambda title, target, rows: seen.append((title, target, rows)))
    return seen


def spec_of(tiny_spec: str, task: str, picture: str, folder: Path | None = None) -> Path:
    path = (folder or Path()) / "tiny.yaml"
    lines = [f"    task: {task}" if line.strip().startswith("task:") else line for line in tiny_spec.splitlines()]
    path.write_text("\n".join([*lines, "pictures:", f"  - {picture}", ""]))
    return path


def test_planted_weights_stand_beside_those_found(mlpiht: Run, tiny_spec: str, shots: Any) -> None:
    path = spec_of(tiny_spec, "{name: planted, n: 300, d: 6}", "{name: w, panel: a, m: 2, s: [5]}")
    experiment = plan.load(path)
    runner = Runner(pick_device("cpu"))
    pictures.picture(experiment.spec, experiment.spec.pictures[0], experiment.cells("paper"), runner)
    (_, target, ((iht,), (imp,))) = shots[0]
    assert target.values.shape == iht.values.shape == imp.values.shape == (2, 6)
    assert (target.values != 0).sum() == 5
    assert 0 < (iht.values != 0).sum() <= 5
    assert iht.title.startswith("iht, s = 5: ")
    assert iht.title.endswith(" dB")


def test_an_image_stands_beside_its_reconstructions(mlpiht: Run, tiny_spec: str, shots: Any) -> None:
    pixels = np.random.RandomState(0).randint(0, 255, size=(28, 28)).astype(np.uint8)
    Image.fromarray(pixels).save("digit.png")
    path = spec_of(tiny_spec, "{name: inr_mnist, image: digit.png}", "{name: i, panel: a, m: 2, s: [5, 2]}")
    experiment = plan.load(path)
    runner = Runner(pick_device("cpu"))
    cells = [cell for cell in experiment.cells("paper") if cell.point.method == "iht"]
    pictures.picture(experiment.spec, experiment.spec.pictures[0], cells, runner)
    (_, target, ((small, large),)) = shots[0]
    np.testing.assert_allclose(target.values, pixels / 255.0, atol=1e-6)
    assert [shot.title.split(":")[0] for shot in (small, large)] == ["iht, s = 2", "iht, s = 5"]
    told = float(large.title.split(": ")[1].removesuffix(" dB"))
    error = torch.from_numpy(large.values - target.values).square().mean()
    assert -10 * float(error.log10()) == pytest.approx(told, abs=0.06), "the title is the picture's own score"


def test_a_linear_layer_is_shown_by_the_best_of_its_seeds(mlpiht: Run, tiny_spec: str, shots: Any) -> None:
    path = spec_of(tiny_spec, "{name: iris}", "{name: l, panel: a, m: 2, s: [5, 2], seed: best}")
    methods = "  - {name: iht_smooth, steps: 30}\n  - {name: gradient_descent, label: dense, steps: 30, seeds: [0]}\n"
    old = "  - {name: iht, steps: 4}\n  - {name: imp, epochs: 2}\n"
    path.write_text(path.read_text().replace(old, methods))
    experiment = plan.load(path)
    cells = experiment.cells("paper")
    pictures.picture(experiment.spec, experiment.spec.pictures[0], cells, Runner(pick_device("cpu")))
    (_, (species, features), ((small, large), (dense,))) = shots[0]
    assert (len(species), len(features)) == (3, 5)
    assert [(shot.values != 0).sum() for shot in (small, large, dense)] == [2, 5, 15]
    rows = [row for cell in cells for row, _ in Runner(pick_device("cpu")).run(Job((cell,)))]
    for shot, s in ((small, 2), (large, 5)):
        losses = {row.seed: row.final_loss for row in rows if (row.method, row.s, row.m) == ("iht_smooth", s, 2)}
        assert len(losses) == 2
        assert shot.title == f"iht_smooth, s = {s}: loss {min(losses.values()):.2g}"
    assert dense.title.startswith("dense: loss ")


def test_a_network_with_hidden_neurons_is_no_layer(mlpiht: Run, tiny_spec: str, shots: Any) -> None:
    path = spec_of(tiny_spec, "{name: iris}", "{name: l, panel: a, m: 2, s: [5]}")
    path.write_text(path.read_text().replace("{name: iht, steps: 4}", "{name: best_subset, seeds: [1]}"))
    experiment = plan.load(path)
    pictures.picture(
        experiment.spec, experiment.spec.pictures[0], experiment.cells("paper"), Runner(pick_device("cpu"))
    )
    (_, _, ((imp,),)) = shots[0]
    assert imp.title == "imp, s = 5: has hidden neurons"


PICTURE_FAULTS = {
    ("{name: planted, d: 6}", "s: [5, 2]"): "pictures[0]: the task's data depend on s: give one budget",
    ("{name: planted, d: 6}", "s: [5, 5]"): "pictures[0].s: holds a value twice",
    ("{name: planted, d: 6}", "s: [5], seed: worst"): "pictures[0].seed: must be a seed or best, got 'worst'",
    ("{name: planted, d: 6}", "s: [5], seed: 2"): "pictures[0].seed: 2 is not among the seeds of panel 'a'",
    ("{name: planted, d: 6, k: 2}", "s: [5]"): "pictures[0]: planted weights are shown with depth 1 and one output",
    ("{name: planted, d: 6}\n    depth: 2", "s: [5]"): "pictures[0]: planted weights are shown with depth 1",
    ("{name: gaussian_sparse, d: 6}", "s: [5]"): "pictures[0]: the task has neither an image nor planted weights",
}


@pytest.mark.parametrize("case", PICTURE_FAULTS, ids=str)
def test_pictures_that_cannot_be_drawn_are_placed(tiny_spec: str, tmp_path: Path, case: tuple[str, str]) -> None:
    task, what = case
    path = spec_of(tiny_spec, task, f"{{name: p, panel: a, m: 2, {what}}}", tmp_path)
    with pytest.raises(InputError) as caught:
        plan.load(path)
    assert PICTURE_FAULTS[case] in str(caught.value)


def test_the_command_writes_what_the_spec_names(mlpiht: Run, tiny_spec: str) -> None:
    path = spec_of(tiny_spec, "{name: planted, n: 300, d: 6}", "{name: w, panel: a, m: 2, s: [5]}")
    result = mlpiht("pictures", path, "--json")
    assert result.json == {"files": ["results/figures/tiny-w.png"]}
    assert Path(result.json["files"][0]).stat().st_size > 5000
    assert find_spec("tiny") == Path("tiny.yaml")
    other = mlpiht("pictures", "figure2")
    assert (other.code, other.out) == (0, "")
    assert "names no pictures" in other.err
