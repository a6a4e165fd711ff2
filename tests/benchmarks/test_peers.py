"""Other packages get the same problem and the same score; a package that is missing stops nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import common, peers, report
from mlpiht_cli.baselines.imp import IMP
from mlpiht_cli.rng import Streams
from mlpiht_cli.solvers.iht import IHT
from mlpiht_cli.solvers.iht_linear import IHTLinear


@pytest.fixture
def restored() -> Iterator[None]:
    """Put back the global random states, which pyscnn seeds; nothing of mlpiht reads them."""
    numpys, torchs = np.random.get_state(legacy=False), torch.random.get_rng_state()
    yield
    np.random.set_state(numpys)
    torch.random.set_rng_state(torchs)


def test_torchs_pruning_loop_trains_the_network_of_imp() -> None:
    case = peers.Case("x", "torch", IMP(epochs=3), peers.torch_prune, 200, 5, 12, 8)
    for seed in (0, 3):
        data = case.build(seed)
        ours, theirs = case.ours(data, seed), peers.torch_prune(data, case, seed)
        assert theirs.nnz == ours.nnz
        assert common.psnr(theirs, data) == pytest.approx(common.psnr(ours, data), abs=0.01)
        for a, b in zip(theirs.layers, ours.layers, strict=True):
            np.testing.assert_allclose(a.dense(), b.dense(), rtol=1e-3, atol=1e-5)


def test_a_missing_package_makes_a_row_that_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(peers, "installed", lambda package: "2.0" if package == "torch" else "")
    rows = {row["name"]: row for row in peers.rows(common.Plan(quick=True, seeds=1))}
    assert rows["torch-prune-3x6"]["status"] == "ok"
    assert rows["torch-prune-3x6"]["peer_version"] == "2.0"
    left = [name for name, row in rows.items() if row["status"] == "skipped: install mlpiht[peers]"]
    assert left == ["group-lasso-3x6", "group-lasso-3x18", "omp-3"]
    report.write(tmp_path / "peers.csv", [*rows.values()], keep=False)
    text = report.markdown(tmp_path)
    assert "omp-3: skipped: install mlpiht[peers]" in text
    assert "nan" not in text


def test_packages_are_found_by_their_names() -> None:
    assert peers.installed("numpy") == np.__version__
    assert peers.installed("no-such-package") == ""


def test_both_sides_have_the_same_data_and_the_median_of_the_seeds() -> None:
    case = peers.cases(quick=True)[0]
    row = peers.measure(case, 3)
    scores = []
    for seed in range(3):
        data = case.build(seed)
        scores.append(common.psnr(case.ours(data, seed), data))
    assert row["ours_score"] == pytest.approx(np.median(scores))
    assert row["peer_score"] == pytest.approx(row["ours_score"], abs=0.01)
    assert row["repeats"] == 3
    assert row["ratio_cpu"] > 0


@pytest.mark.usefixtures("restored")
def test_the_group_lasso_has_the_gates_of_iht_and_comes_near_least_squares() -> None:
    pytest.importorskip("scnn")
    m, d = 4, 6
    case = peers.Case("x", "pyscnn", IHT(steps=15, gates="fixed"), peers.group_lasso, 2000, m, 8, d, kept=m * d)
    data = case.build(1)
    x, y = data.x.double().numpy(), data.y.double().numpy()
    gates = Streams(1).gates(d).rows(0, m)
    columns = np.concatenate([x * (x @ gate > 0)[:, None] for gate in gates], axis=1)
    best = np.mean((y - columns @ np.linalg.lstsq(columns, y, rcond=None)[0]) ** 2)
    least = 20 * np.log10(np.abs(y).max()) - 10 * np.log10(best)
    found = peers.group_lasso(data, case, 1)
    assert least - 1.0 < common.psnr(found, data) <= least + 1e-3
    assert common.psnr(case.ours(data, 1), data) <= least + 1e-3


def test_orthogonal_matching_pursuit_finds_the_ones() -> None:
    case = peers.Case("x", "scikit-learn", IHTLinear(), peers.omp, 40, 1, 3, 60, gaussian=True)
    data = case.build(0)
    assert data.truth is not None
    found = peers.omp(data, case, 0).layers[0].dense().numpy()
    np.testing.assert_allclose(found, data.truth[0].dense().numpy(), atol=1e-5)


def test_packages_that_the_comparison_alone_needs_are_not_installed_by_default() -> None:
    import tomllib

    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    usual = " ".join([*project["dependencies"], *extras["dev"], *extras["docs"], *extras["cluster"]])
    for package in {case.package for case in peers.cases(quick=False)} - {"torch", "scikit-learn"}:
        assert package in " ".join(extras["peers"])
        assert package not in usual
    assert "mlpiht[peers]" not in usual
