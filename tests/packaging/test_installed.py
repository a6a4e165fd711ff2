"""The wheel and the source archive that ``make dist`` builds, and the wheel installed in an environment of its own.

Nothing of the checkout helps here: the commands run in an empty folder with an empty home folder, and the environment
has what the wheel declares and no more.
"""

from __future__ import annotations

import csv
import json
import os
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest
import yaml

from mlpiht_cli import __version__

ROOT = Path(__file__).resolve().parents[2]
DIST, INSTALLED = ROOT / "dist", os.environ.get("MLPIHT_INSTALLED", "")
SPECS = sorted(path.stem for path in (ROOT / "experiments").glob("*.yaml"))

after_dist = pytest.mark.skipif(not INSTALLED, reason="`make dist` builds and installs what these tests look at")


class Installed:
    """The commands of the environment, in a folder of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        kept = {"PATH": os.environ["PATH"], "OMP_NUM_THREADS": "1"}
        self.environ = kept | {"HOME": str(folder / "home"), "NUMBA_CACHE_DIR": str(folder / "numba")}

    def __call__(self, *words: str, code: int = 0) -> str:
        """Run a command; return what it prints."""
        command = [str(Path(INSTALLED).resolve() / "mlpiht"), *words]
        done = subprocess.run(command, cwd=self.folder, env=self.environ, capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout + done.stderr


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return Installed(tmp_path_factory.mktemp("elsewhere"))


@pytest.fixture(scope="module")
def swept(installed: Installed) -> Installed:
    installed("sweep", "figure1", "--profile", "smoke", "--only", "m<=5,s<=10")
    return installed


# What is said of a release


def test_every_file_names_the_same_version() -> None:
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == __version__
    assert json.loads((ROOT / ".zenodo.json").read_text())["version"] == __version__
    assert (ROOT / "CHANGELOG.md").read_text().split("## [")[1].startswith(f"{__version__}] - ")


def test_the_archives_metadata_cite_the_papers_that_the_pages_cite() -> None:
    record = json.loads((ROOT / ".zenodo.json").read_text())
    papers = {one["identifier"].removeprefix("arXiv:") for one in record["related_identifiers"]}
    text = (ROOT / "README.md").read_text() + (ROOT / "docs" / "papers.md").read_text()
    assert len(papers) == 3
    assert all(f"arXiv {paper}" in text for paper in papers)
    assert {"title", "description", "upload_type", "creators", "license", "keywords"} <= set(record)


# The archives


@after_dist
def test_the_wheel_has_the_package_and_the_specs_and_nothing_else() -> None:
    with zipfile.ZipFile(DIST / f"mlpiht-{__version__}-py3-none-any.whl") as wheel:
        names = wheel.namelist()
    info = f"mlpiht-{__version__}.dist-info/"
    package = {str(path.relative_to(ROOT)) for path in (ROOT / "mlpiht_cli").rglob("*") if path.is_file()}
    assert {name for name in names if not name.startswith((info, "mlpiht_cli/_experiments/"))} == {
        name for name in package if "__pycache__" not in name
    }
    assert [Path(name).stem for name in sorted(names) if "_experiments/" in name] == SPECS


@after_dist
def test_the_source_archive_has_every_file_that_git_knows() -> None:
    known = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\n")
    with tarfile.open(DIST / f"mlpiht-{__version__}.tar.gz") as archive:
        names = {name.split("/", 1)[1] for name in archive.getnames()}
    assert {name for name in known if name and (ROOT / name).exists()} <= names


# The commands outside the checkout


@after_dist
def test_bare_names_find_the_specs_and_every_command_has_help(installed: Installed) -> None:
    assert installed("--version").split()[-1] == __version__
    listed = installed("specs", "list")
    assert all(name in listed for name in SPECS)
    for name in SPECS:
        assert "to run" in installed("sweep", name, "--profile", "smoke", "--dry-run")
    commands = [path.stem for path in (ROOT / "mlpiht_cli" / "commands").glob("[a-z]*.py")]
    assert len(commands) > 15
    for name in commands:
        assert f"Usage: mlpiht {name}" in installed(name, "--help")


@after_dist
def test_a_spec_is_swept_drawn_checked_and_reported(swept: Installed) -> None:
    swept("plot", "figure1", "--profile", "smoke", "--partial", "--format", "png")
    assert (swept.folder / "results" / "figures" / "figure1-smoke.png").read_bytes().startswith(b"\x89PNG")
    assert "claims hold" in swept("check", "figure1", "--profile", "smoke", code=1)
    swept("report", "figure1", "--profile", "smoke", "--partial", "--out", "report.html")
    assert "Figure 1" in (swept.folder / "report.html").read_text(encoding="utf-8")


@after_dist
def test_expected_times_come_from_rows_that_are_there(swept: Installed) -> None:
    said = swept("sweep", "figure1", "--profile", "smoke", "--dry-run", "--only", "m<=5")
    assert "done" in said
    assert "about" in said
    elsewhere = swept("sweep", "figure1", "--profile", "smoke", "--dry-run", "--only", "m<=5", "--out", "other")
    assert "time unknown" in elsewhere


@after_dist
def test_rerun_makes_rows_again_from_the_table_alone(swept: Installed) -> None:
    table = swept.folder / "results" / "figure1-smoke.csv"
    with table.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["status"] == "ok"]
    assert {row["git_sha"] for row in rows} == {""}, "a wheel has no commit"
    assert {row["mlpiht"] for row in rows} == {__version__}
    copied = swept.folder / "alone" / "copy.csv"
    copied.parent.mkdir()
    copied.write_bytes(table.read_bytes())
    assert "exact: 4 equal, 0 different" in swept("rerun", "alone/copy.csv", "--limit", "4", "--mode", "exact")


@after_dist
def test_data_sets_and_extras_that_are_not_there_are_named(swept: Installed) -> None:
    assert "mlpiht data fetch" in swept("data", "list")
    assert "mnist" in swept("fit", "--task", "mnist_binary", "--method", "iht", "--offline", code=2)
    swept("fit", "--method", "iht", "--task", "planted", "--n", "500", "--m", "2", "--s", "4", "--save", "net.npz")
    said = swept("export", "net.npz", "--to", "onnx", "--out", "net.onnx", code=2)
    assert "pip install 'mlpiht[onnx]'" in said
