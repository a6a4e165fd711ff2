"""Verdicts and docs/reproduction.md are what the committed tables say."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml
from PIL import Image

from experiments import reproduction
from experiments.committed import ROOT, Table
from experiments.reproduction import PAGE, SAID, VERDICTS, WORDS
from mlpiht_cli import plan
from mlpiht_cli.engine.runner import row_of
from mlpiht_cli.figures import Look, save_kind
from mlpiht_cli.figures.read import figure_tables
from mlpiht_cli.records.rows import Row
from mlpiht_cli.specs.find import find_spec
from mlpiht_cli.specs.schema import Spec

HINT = "differs from what the tables say: run `make reproduction`, and look at what changed"


def test_every_committed_table_has_a_verdict_and_says_what_is_claimed_what_was_run_what_came_out_and_why(
    found: Sequence[Table],
) -> None:
    words = yaml.safe_load((ROOT / WORDS).read_text())["specs"]
    assert words.keys() == {table.spec.name for table in found}, "docs/verdicts.yaml: words without a table, or none"
    views = {table.spec.name for table in found if table.spec.cells_of}  # their reasons are those of the other spec
    for name, told in words.items():
        assert {"verdict", "says", "ran", "found", *([] if name in views else ["why"])} <= told.keys(), name
        assert told.keys() <= {"verdict", "says", "ran", "found", "why"}, name
        assert told["verdict"] in SAID, name
        assert sum(len(told[part].split()) for part in ("says", "ran", "found")) >= 20, name


def test_claims_read_the_rows_of_other_tables_that_their_spec_names(found: Sequence[Table]) -> None:
    borrowing = [table for table in found if any(entry.rows_of for entry in table.spec.methods)]
    assert {table.spec.name for table in borrowing} >= {"recovery", "recovery_vector"}
    for table in borrowing:
        labels = {entry.shown for entry in table.spec.methods if entry.rows_of}
        about = {claim.name for claim in table.spec.claims if {claim.method, claim.against} & labels}
        assert about
        assert "no data" not in {one.verdict for one in table.claims if one.name in about}, table.stem


def test_the_report_shows_one_table_of_each_spec(found: Sequence[Table], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    wanted = ["vector_steps", "table1", "figure1"]
    tables = [table for table in found if table.spec.name in wanted and table.path.name != "vector_steps.csv"]
    assert [table.profile for table in tables if table.spec.name == "figure1"] == ["paper", "laptop"]
    text = reproduction.report(tables).decode()
    assert text.count("<section ") == len(wanted)
    assert "<code>make reproduction</code>" in text
    for table in tables:
        if (table.spec.name, table.profile) != ("figure1", "laptop"):
            assert f"<dd>{table.path.name}</dd>" in text
            held = sum(one.verdict == "holds" for one in table.claims)
            judged = sum(one.verdict != "not judged" for one in table.claims)
            assert f"Claims: {held} of {judged} hold" in text
    assert "figure1-laptop.csv" not in text
    assert str(ROOT) not in text


def test_verdicts_and_page_are_what_the_tables_say(every: Sequence[Spec], found: Sequence[Table]) -> None:
    texts = reproduction.written(every, found)
    assert (ROOT / VERDICTS).read_text() == texts[VERDICTS], f"{VERDICTS} {HINT}"
    assert (ROOT / PAGE).read_text() == texts[PAGE], f"{PAGE} {HINT}"


def test_links_of_the_page_lead_somewhere() -> None:
    links = re.findall(r"\]\(([^)]+)\)", (ROOT / PAGE).read_text())
    assert links
    for link in links:
        name, _, place = link.partition("#")
        path = ROOT / "docs" / name if name else ROOT / PAGE
        assert link.startswith("http") or path.exists(), link
        if place:
            headings = [line.lstrip("# ") for line in path.read_text().splitlines() if line.startswith("#")]
            assert place in map(reproduction.anchor, headings), link


def test_committed_tables_of_figures_are_those_of_their_rows(found: Sequence[Table], tmp_path: Path) -> None:
    for table in found:
        if "table" not in table.spec.figure.kinds:
            continue
        for data in figure_tables(table.spec.name, table.profile, ROOT / "results"):
            for path in save_kind("table", data, Look(), tmp_path / data.name, ["png"]):
                old = ROOT / "results" / "figures" / path.name
                if path.suffix == ".md" and old.exists():
                    assert old.read_text() == path.read_text(), f"{old.name}: run `mlpiht plot {table.spec.name}`"


def test_committed_pictures_show_the_committed_rows(found: Sequence[Table]) -> None:
    """A picture says in its text which values it shows; one that is older than its table is drawn again."""
    looked_at = 0
    for table in found:
        for data in figure_tables(table.spec.name, table.profile, ROOT / "results"):
            for kind in table.spec.figure.kinds:
                stem = data.name if kind == data.spec.kinds[0] else f"{data.name}-{kind}"
                path = ROOT / "results" / "figures" / f"{stem}.png"
                if kind != "table" and path.exists():
                    with Image.open(path) as picture:
                        told = picture.info.get("Description")
                    assert told == f"mlpiht {data.fingerprint}", f"{path.name}: run `mlpiht plot {table.spec.name}`"
                    looked_at += 1
    assert looked_at > 10


VALUES = {"iht": 40.0, "imp": 5.0, "imp fused": float("inf"), "imp retrained": 20.0, "imp fused retrained": -90.0}


def unfair(label: str, seed: int) -> float:
    return VALUES.get(label, 30.0 + seed)


@pytest.fixture
def rivals() -> Table:
    """The table of ``imp_protocol`` in its smoke profile, its values made up."""
    experiment = plan.load(find_spec("imp_protocol"))
    cells = experiment.cells("smoke")
    columns = {"status": "ok", "metric": "psnr"}
    values = [unfair(cell.point.label, cell.point.seed) for cell in cells]
    rows: list[Row] = [row_of(c, {**columns, "value": v, "psnr": v}) for c, v in zip(cells, values, strict=True)]
    table = Table(experiment.spec, "smoke", Path("imp_protocol-smoke.csv"))
    vars(table)["rows"] = rows[:-1]  # one is missing: dense, on the image
    return table


def test_the_protocols_numbers_are_read_from_its_table(rivals: Table) -> None:
    lines = reproduction.protocol(rivals)
    assert f"{len(rivals.cells) - 1} of {len(rivals.cells)} cells of the smoke profile" in lines[0]
    planted = next(line for line in lines if line.startswith("| planted |"))
    # Within the figure's limits, 0 to 60 dB.
    assert planted == "| planted | psnr | 40 | 5 | 60 | 20 | 0 | 30 |"
    assert rivals.missing == {"dense": 1}


def test_costs_are_sums_medians_and_peaks_by_method(rivals: Table) -> None:
    costs = {"wall_s": 3600.0, "peak_rss_mb": 100.0, "device": "cuda: x", "threads": 1}
    spent = [row.model_copy(update={**costs, "peak_cuda_mb": 1234.5 + i}) for i, row in enumerate(rivals.rows)]
    vars(rivals)["rows"] = [spent[0].model_copy(update={"wall_s": 1.0}), *spent[1:]]
    head, _, *lines = reproduction.costs(rivals)
    assert head == "| method | cells run | median time (s) | sum (h) | peak memory (MiB) |"
    iht = sum(row.method == "iht" for row in rivals.rows)
    assert rivals.rows[0].method == "iht"
    assert lines[0].startswith(f"| `iht` | {iht} | 3.6e+03 | {iht - 1 + 1 / 3600:.2g} | 100; GPU 1,2")
    assert lines[-1] == "Measured on cuda: x; threads of a cell: 1."
