"""``mlpiht report``: the page holds the rows, the claims and the pictures, and nothing else."""

from __future__ import annotations

import base64
import os
import random
import re
import shlex
import statistics
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hand import BUDGETS, SEEDS, SPEC, TINY, VARIED, WIDTHS, array, broken, drawn, row, table
from PIL import Image

from mlpiht_cli.checks.source import chosen_rows
from mlpiht_cli.records.rows import Row
from mlpiht_cli.records.table import to_csv
from mlpiht_cli.report.places import summary
from tests.report.read_page import Page, put

Run = Callable[..., Any]
PAGE = Path("results/report.html")


def written(mlpiht: Run, *args: object) -> Page:
    result = mlpiht("report", *(args or ("hand",)))
    assert result.code == 0, result.err
    return Page(Path(result.out.strip()))


def places(page: Page, number: int = 0) -> dict[tuple[Any, ...], tuple[list[Any], list[Any], list[Any]]]:
    """Statistics, values and details of each place of a table."""
    shown = page.data["tables"][number]
    score = shown["scores"][0]
    return {
        (shown["methods"][method], *at): (stats, values, [one if one is None else page.detail(one) for one in rows])
        for (method, *at), rows, stats, values in zip(
            shown["places"], shown["rows"], score["stats"], score["values"], strict=True
        )
    }


def four(value: float) -> float:
    return float(f"{value:.4g}")


def test_medians_and_ranges_are_those_of_the_rows(mlpiht: Run) -> None:
    rows = drawn()
    put(rows)
    found = places(written(mlpiht))
    assert len(found) == 2 * len(WIDTHS) * len(BUDGETS)
    for method in ("iht", "imp"):
        values = array(rows, method)
        for i, m in enumerate(WIDTHS):
            for j, s in enumerate(BUDGETS):
                stats, told, details = found[method, m, s]
                own = values[i, j]
                assert stats == [four(np.sort(own)[1]), four(own.min()), four(own.max()), len(SEEDS)]
                assert told == pytest.approx(own, rel=1e-5)
                assert [one["cell"] for one in details] == [f"{method}x{m}x{s}x{seed}" for seed in SEEDS]


def test_claims_are_judged_and_said_in_words(mlpiht: Run) -> None:
    rows = drawn(3)
    put(rows)
    iht, imp = array(rows, "iht"), array(rows, "imp")
    share = np.mean(iht.mean(axis=2) >= imp.mean(axis=2))
    above = np.mean(iht[1:] >= 30)  # m >= 3
    assert 0 < share < 1, "a case that tells"
    words = written(mlpiht).words
    assert f"IHT is at least as good as IMP. does not hold measured {share:.4g} ±" in words
    assert "level: at least 1 places: 6 of 6 robust" in words
    verdict = "holds" if above >= 0.9 else "does not hold"
    assert re.search(rf"IHT recovers the weights\. {verdict}(, narrowly)? measured {above:.4g} ±", words)
    assert "Claims: 0 of 2 hold." in words
    put(table(lambda *_: 50, lambda *_: 10))
    words = written(mlpiht).words
    assert "IHT is at least as good as IMP. holds measured 1 ± 0 level: at least 1" in words
    assert "Claims: 2 of 2 hold." in words
    put(rows, SPEC.replace("  - name: recovers", "  - name: recovers\n    profiles: [smoke]"))
    assert "not judged in this profile" in written(mlpiht).words


def test_a_row_tells_what_made_it(mlpiht: Run) -> None:
    facts = {"mlpiht": "0.1.0", "torch": "2.9", "python": "3.12.1", "numpy": "2.2", "blas": "mkl", "device": "cpu: X"}
    facts |= {"threads": 2, "dtype": "float32", "git_sha": "0123456789abcdef", "git_dirty": True, "wall_s": 1.23456}
    made = [one.model_copy(update={**facts, "started_utc": "2026-01-02T03:04:05+00:00"}) for one in drawn()]
    put(made)
    page = written(mlpiht)
    detail = places(page)["iht", 3, 20][2][1]
    origin = {"mlpiht": "0.1.0", "torch": "2.9", "python": "3.12.1", "numpy": "2.2", "blas": "mkl", "device": "cpu: X"}
    origin |= {"threads": "2", "dtype": "float32", "commit": "0123456789ab with changes", "started": "2026-01-02"}
    assert detail["origin"] == origin
    assert (detail["seconds"], detail["status"], detail["reason"]) == (1.235, "ok", "")
    assert detail["settings"] == {"depth": "1", "method.steps": "4", "task.n": "60", "task.d": "6"}
    assert "cells with a row 36 of 36 (36 ok)" in page.words
    assert "git commits 0123456789ab with changes" in page.words
    assert "machines cpu: X, threads of a cell: 2 made on 2026-01-02" in page.words


def test_the_commands_of_rows_and_of_the_page_make_them_again(mlpiht: Run) -> None:
    rows = drawn()
    put(rows)
    page = written(mlpiht)
    shown = page.data["tables"][0]
    method, *at = shown["places"][3]
    axes = ",".join(f"{axis}={value}" for axis, value in zip(shown["axes"], at, strict=True))
    words = shlex.split(f"{shown['again'][method]},{axes},seed=2")
    assert words[:6] == ["mlpiht", "rerun", "hand", "--profile", "paper", "--only"]
    assert [one.cell for one in chosen_rows(rows, words[6])] == [page.detail(shown["rows"][3][2])["cell"]]
    assert shown["shared"] == [False, False]
    (command,) = [line for line in re.findall(r"<code>(.*?)</code>", page.source) if line.startswith("mlpiht report")]
    before = PAGE.read_bytes()
    PAGE.unlink()
    assert mlpiht(*shlex.split(command)[1:]).code == 0
    assert PAGE.read_bytes() == before


EVIL = "</script><b>x</b><!--<img src=x onerror=alert(1)> & \u2028 \"'"


def test_texts_of_specs_and_rows_stay_texts(mlpiht: Run) -> None:
    rows = [one.model_copy(update={"reason": EVIL, "device": EVIL, "git_sha": "<i>"}) for one in drawn()]
    rows = [one.model_copy(update={"params": {**one.params, "data": {EVIL: EVIL}}}) for one in rows]
    put(rows)
    plain = written(mlpiht)
    quoted = '"' + EVIL.replace('"', '\\"').replace("\u2028", "\\u2028") + '"'
    spec = SPEC.replace("title: Made by hand", f"title: {quoted}").replace("source: test", f"source: {quoted}")
    spec = spec.replace("    task:", f"    title: {quoted}\n    task:", 1).replace("label: Hand", f"label: {quoted}")
    put(rows, spec.replace("says: IHT is at least as good as IMP.", f"says: {quoted}"))
    page = written(mlpiht)
    assert [tag for tag, _ in page.tags] == [tag for tag, _ in plain.tags], "no text makes an element"
    assert len(page.scripts) == 2
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
    assert page.text.count(EVIL) >= 5
    detail = places(page)["iht", 2, 10][2][0]
    assert detail["reason"] == EVIL
    assert detail["settings"][f"data.{EVIL}"] == EVIL
    assert not set("<>&\u2028") & set(page.scripts[0])


def test_the_same_rows_give_the_same_bytes(mlpiht: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = drawn()
    path = put(rows)
    assert mlpiht("report", "hand", "--out", "a.html").code == 0
    head, *lines = path.read_text().splitlines()
    random.Random(1).shuffle(lines)
    path.write_text("\n".join([head, *lines, ""]))
    assert mlpiht("report", "hand", "--out", "b.html").code == 0
    words = [sys.executable, "-m", "mlpiht_cli", "report", "hand", "--out", "c.html"]
    subprocess.run(words, check=True, env={**os.environ, "PYTHONHASHSEED": "7"})
    assert Path("a.html").read_bytes() == Path("b.html").read_bytes() == Path("c.html").read_bytes()
    put([rows[0].model_copy(update={"value": 1.0, "psnr": 1.0}), *rows[1:]])
    assert mlpiht("report", "hand", "--out", "b.html").code == 0
    assert Path("a.html").read_bytes() != Path("b.html").read_bytes()


def test_missing_cells_are_named_and_left_out(mlpiht: Run) -> None:
    rows = [one for one in drawn() if (one.method, one.m, one.seed) != ("imp", 3, 1)]
    put(rows)
    result = mlpiht("report", "hand")
    assert result.code == 0
    assert "hand: 2 of 36 cells have no result yet: hatched, or left out of curves" in result.err
    page = Page(PAGE)
    assert "Missing cells. Maps show them hatched; curves leave them out. a: 2 of 36 cells (2 of imp)" in page.words
    assert "Cells with a row: 34 of 36." in page.words
    stats, values, details = places(page)["imp", 3, 10]
    own = [one.value for one in rows if (one.method, one.m, one.s) == ("imp", 3, 10)]
    assert stats == [four(statistics.median(own)), four(min(own)), four(max(own)), 2]
    assert (values[1], details[1]) == (None, None)
    put([])
    page = written(mlpiht)
    assert "a: 36 of 36 cells (18 of iht, 18 of imp)" in page.words
    assert "no data yet" in page.words
    assert page.data["rows"]["columns"]["cell"] == []


def test_partial_means_are_drawn_where_seeds_are_missing_and_only_there(mlpiht: Run) -> None:
    def pictures(*words: str) -> list[str]:
        return [one["src"] for one in written(mlpiht, "hand", *words).all("img")]

    put(drawn())
    assert pictures("--partial") == pictures()
    put(drawn()[1:])
    assert pictures("--partial") != pictures()
    assert "Means are over the seeds that have a row." in written(mlpiht, "hand", "--partial").words


def test_failed_runs_have_no_value_and_a_reason(mlpiht: Run) -> None:
    rows = broken(drawn(), "iht", "failed", m=2, s=10, seed=1)
    put([one.model_copy(update={"reason": "it broke"}) if one.status == "failed" else one for one in rows])
    stats, values, details = places(written(mlpiht))["iht", 2, 10]
    assert stats[3] == 2
    assert values[1] is None
    assert (details[1]["status"], details[1]["reason"]) == ("failed", "it broke")


def test_summaries_of_infinite_values_bounds_and_words() -> None:
    exact = [row("iht", 2, 10, seed, value) for seed, value in enumerate([float("inf"), float("inf"), 20.0])]
    assert summary(exact, "psnr") == summary([*exact, None], "psnr")
    found = summary(exact, "psnr")
    assert (found.median, found.least, found.largest, found.runs) == (170, 20, 170, 3)
    steps = [row("iht", 2, 10, i, 1.0, settled=settled, iterations=15) for i, settled in enumerate([3, 15, 15])]
    found = summary(steps, "settled")
    assert (found.median, found.least, found.largest, found.runs) == (">= 15", 3, ">= 15", 3)
    said = [row("iht", 2, 10, i, 1.0, measures={"verdict": word}) for i, word in enumerate(["yes", "no", "yes"])]
    found = summary(said, "verdict")
    assert (found.median, found.least, found.largest, found.runs) == ("yes", "no", "yes", 3)
    found = summary([None, row("iht", 2, 10, 0, None, status="skipped")], "psnr")
    assert (found.median, found.runs) == (None, 0)


def test_every_view_is_a_picture_with_words_or_a_table(mlpiht: Run) -> None:
    blank = row("iht", 1, 2, 0, None).model_copy(
        update={"spec": "varied", "task": "gaussian_sparse", "final_loss": 0.5}
    )
    blank = blank.model_copy(update={"method": "iht_linear", "metric": "relative_error"})
    rows = [
        blank.model_copy(
            update={
                **{"panel": panel, "n": n, "d": d, "s": s, "seed": seed, "value": s / n + seed / 100},
                **{"cell": f"{panel}x{n}x{d}x{s}x{seed}", "params": {"task": {"n": n, "d": d}, "method": {"steps": 3}}},
            }
        )
        for panel, ns, ds, ss in (("a", [10, 20, 40], [8, 16], [2, 3]), ("b", [20], [16], [2]))
        for n, d, s, seed in product(ns, ds, ss, (0, 1))
    ]
    put(rows, VARIED, "varied")
    page = written(mlpiht, "varied")
    images = page.all("img")
    assert len(images) == 4, "the view of kind table is among the tables"
    assert all(len(one["alt"]) > 60 for one in images)
    assert "curve of relative error" in images[0]["alt"]
    assert "n 10 to 40" in images[0]["alt"]
    values = [one.value for one in rows if one.panel == "b"]
    assert f"Medians in b: iht_linear {four(statistics.median(values))}" in images[3]["alt"]
    for one in images:
        kind, _, content = one["src"].partition(";base64,")
        assert kind == "data:image/webp"
        Path("picture.webp").write_bytes(base64.b64decode(content))
        with Image.open("picture.webp") as image:
            assert (image.width // 2, image.height // 2) == (int(one["width"]), int(one["height"]))
    tables = page.data["tables"]
    assert [one["axes"] for one in tables] == [["m", "s", "n", "d"], ["m", "s"]]
    assert [score["label"] for score in tables[0]["scores"]][1:] == ["training loss"]
    assert places(page)["iht_linear", 1, 3, 40, 16][0][0] == four(3 / 40 + 0.005)


def test_headings_labels_and_language(mlpiht: Run) -> None:
    put(drawn())
    put(drawn(1), SPEC.replace("name: hand", "name: other").replace("Made by hand", "The other"), "other")
    page = written(mlpiht, "hand", "other")
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(new <= old + 1 for old, new in pairwise(levels)), "no level is left out"
    assert page.all("html") == [{"lang": "en"}]
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = [one["href"] for one in page.all("a")]
    assert {link.removeprefix("#") for link in links} <= set(ids)
    assert "Contents" in page.words
    assert links == ["#main", "#spec-1", "#spec-2"]


def test_nothing_is_loaded_from_elsewhere(mlpiht: Run) -> None:
    put(drawn())
    page = written(mlpiht)
    for tag, attributes in page.tags:
        for name in ("src", "href", "srcset", "action", "data", "poster"):
            assert attributes.get(name, "#").startswith(("#", "data:")), (tag, attributes)
    for text in (*page.styles, page.scripts[1]):
        assert not re.search(r"https?:|//\w|@import|url\(|fetch\(|XMLHttp|import\(|eval\(|innerHTML", text)
    policy = next(one["content"] for one in page.all("meta") if "http-equiv" in one)
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'sha256-")


def test_specs_with_the_same_rows_hold_them_once(mlpiht: Run) -> None:
    rows = drawn()
    put(rows)
    figure = SPEC[SPEC.index("figure:") :].partition("claims:")[0]
    Path("again.yaml").write_text(
        f"spec_version: 1\nname: again\ntitle: Once more\nsource: test\ncells_of: hand\n{figure}"
    )
    page = written(mlpiht, "hand", "again")
    assert len(page.data["tables"]) == 2
    assert len(page.data["rows"]["columns"]["cell"]) == len(rows)
    assert page.data["tables"][0]["rows"] == page.data["tables"][1]["rows"]


def test_json_tells_of_the_file(mlpiht: Run) -> None:
    put(drawn()[1:])
    found = mlpiht("report", "hand", "--json").json
    assert found["file"] == str(PAGE)
    assert found["bytes"] == PAGE.stat().st_size
    (spec,) = found["specs"]
    assert (spec["source"], spec["cells"], spec["missing"]) == ("hand", 36, 1)
    assert spec["claims"].keys() == {"robust", "recovers"}


def test_a_csv_is_shown_as_plot_and_check_do(mlpiht: Run) -> None:
    rows = drawn(3)
    put(rows)
    page = written(mlpiht, "results/hand.csv", "--out", "csv.html")
    assert "Claims: 0 of 2 hold" in page.words, "its rows name the spec"
    assert "--only panel=a,method=imp" in page.data["tables"][0]["again"][1]
    Path("own.csv").write_text(to_csv([one.model_copy(update={"spec": ""}) for one in rows]))
    page = written(mlpiht, "own.csv", "--out", "own.html")
    assert "Claims are not judged: own.csv: column 'spec' must name the one spec to check" in page.words
    assert len(places(page)) == 12
    assert "Cells with a row: 36." in page.words


def in_place_of(words: list[str], command: str) -> list[str]:
    return [command if word == "report" else "--out" if word == "--results" else word for word in words]


@pytest.mark.parametrize("like", ["plot", "check"])
@pytest.mark.parametrize(
    "words",
    [
        ["report", "hnd"],
        ["report", "hand", "--profile", "smoke"],
        ["report", "hand", "--profile", "laptop"],
        ["report", "hand", "--results", "elsewhere"],
        ["report", "tiny"],
        ["report", "none.csv"],
    ],
    ids=" ".join,
)
def test_what_other_commands_refuse_is_refused_alike(mlpiht: Run, words: list[str], like: str) -> None:
    put(drawn())
    Path("tiny.yaml").write_text(TINY + "claims:\n  - {name: c, says: so, measure: mean, method: iht, at_least: 0}\n")
    result, other = mlpiht(*words), mlpiht(*in_place_of(words, like))
    assert result.code == other.code == 2
    assert result.err == other.err
    assert not PAGE.exists()


def test_rows_that_do_not_belong_together_are_refused(mlpiht: Run) -> None:
    rows = drawn()
    damaged = SPEC.replace("name: hand", "name: damaged")
    mixed = [{**one.params, "method": {**one.params["method"], "lr": one.seed}} for one in rows]
    pairs = zip(rows, mixed, strict=True)
    put([one.model_copy(update={"params": params}) for one, params in pairs], damaged, "damaged")
    result, plot = mlpiht("report", "damaged"), mlpiht("plot", "damaged")
    assert result.code == plot.code == 2
    assert result.err == plot.err
    assert "differ in lr (0 and 1 and 2)" in result.err


def test_faulty_claims_are_refused_as_check_refuses_them(mlpiht: Run) -> None:
    put(drawn(), SPEC.replace("share_not_worse", "share_not_wors"))
    result, check = mlpiht("report", "hand"), mlpiht("check", "hand")
    assert result.code == check.code == 2
    assert result.err == check.err
    assert "did you mean 'share_not_worse'?" in result.err


def test_the_file_cannot_be_a_folder_or_the_table(mlpiht: Run) -> None:
    path = put(drawn())
    before = path.read_bytes()
    result = mlpiht("report", "hand", "--out", path)
    assert result.code == 2
    assert "is read by this command and would be lost" in result.err
    assert path.read_bytes() == before
    result = mlpiht("report", "hand", "--out", "results")
    assert result.code == 2
    Path("file").write_text("")
    result = mlpiht("report", "hand", "--out", "file/report.html")
    assert result.code == 2
    assert "choose another place with --out FILE" in result.err
    result = mlpiht("report")
    assert result.code == 2
    assert "SPEC|CSV" in result.err


def test_a_kind_that_nobody_knows_is_refused(mlpiht: Run) -> None:
    put(drawn(), SPEC.replace("{label: Hand}", "{label: Hand, kind: heatmp}"))
    result = mlpiht("report", "hand")
    assert result.code == 2
    assert "did you mean 'heatmap'?" in result.err


def test_panels_of_one_title_are_told_apart_by_name(mlpiht: Run) -> None:
    panel = SPEC[SPEC.index("  - name: a") : SPEC.index("figure:")].replace("- name: a", "- name: b")
    put(drawn(), SPEC.replace("figure:", f"{panel}figure:", 1).replace("    task:", "    title: one\n    task:"))
    page = written(mlpiht)
    assert "one (a) 12 lines" in page.words
    assert "one (b) 12 lines" in page.words
    assert "one (b): 36 of 36 cells (18 of iht, 18 of imp)" in page.words


def test_pictures_of_words_tell_the_most_frequent(mlpiht: Run) -> None:
    found = ["applies", "fails", "applies"]
    rows = [one.model_copy(update={"measures": {"verdict": found[one.seed]}}) for one in drawn()]
    put(rows, SPEC.replace("{label: Hand}", "{label: Hand, kind: verdicts, metric: verdict}"))
    (image,) = written(mlpiht).all("img")
    assert "Most frequent words in a: iht applies, imp applies." in image["alt"]


def test_labels_that_share_a_method_are_told(mlpiht: Run, tmp_path: Path) -> None:
    spec = SPEC.replace("{name: imp, epochs: 2}", "{name: iht, label: imp, steps: 9}")
    rows: list[Row] = []
    for one in drawn():
        steps = 4 if one.method == "iht" else 9
        params = {"task": {"n": 60, "d": 6}, "method": {"steps": steps}}
        rows.append(one.model_copy(update={"method": "iht", "params": params}))
    put(rows, spec)
    shown = written(mlpiht).data["tables"][0]
    assert shown["methods"] == ["iht", "imp"]
    assert shown["shared"] == [True, True]
    assert shown["again"][1].endswith("panel=a,method=iht")
