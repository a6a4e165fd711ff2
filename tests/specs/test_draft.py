"""Faults of all parts of a spec come in one round, and none follows from another."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlpiht_cli.errors import InputError
from mlpiht_cli.specs.draft import Draft
from mlpiht_cli.specs.read import read_spec
from tests.hand import TINY

Run = Callable[..., Any]

SPEC = (
    TINY.partition("figure:")[0].replace("s: [2, 5]", "s: [2]")
    + """\
  - name: b
    task: {name: planted, n: 60, d: 6}
    m: [2, 3]
    s: [2, 3]
    methods: [{name: iht, steps: 3}]
figure:
  label: Tiny
  views:
    - {name: one, panels: [a]}
    - {name: two, panels: [b]}
claims:
  - {name: c, says: so, measure: median, method: iht, where: panel=a, at_least: 3}
  - {name: d, says: so, measure: share_above, method: iht, level: 3, at_least: 0.5}
pictures:
  - {name: p, panel: a, m: 2, s: [2]}
  - {name: q, panel: b, m: 3, s: [3]}
profiles:
  smoke: {m: [2], set: {task.n: 40}}
  laptop: {s: [2]}
"""
)

ROUNDS: dict[str, tuple[list[tuple[str, str]], list[str]]] = {
    "a panel and what refers to it": (
        [("    s: [2]\n", "    s: [0]\n")],
        ["13:9: panels[0].s[0]: it must be 1 or more, got 0"],
    ),
    "a panel, and the settings and budgets of another": (
        [("    s: [2]\n", "    s: [0]\n"), ("s: [2, 3]", "s: [2, 3, 99]"), ("iht, steps: 3", "iht, stepz: 3")],
        ["13:9: panels[0].s[0]", "18:27: panels[1].methods[0].stepz: unknown field, did you mean 'steps'?"],
    ),
    "a panel, and a budget of another": (
        [("    s: [2]\n", "    s: [0]\n"), ("s: [2, 3]", "s: [2, 99]")],
        [
            "13:9: panels[0].s[0]",
            "17:5: panels[1].s: s=99 is above the 12 weights",
            "29:35: pictures[1].s[0]: 3 is not",
        ],
    ),
    "a field of the figure, and its kind": (
        [("label: Tiny\n", "label: Tiny\n  kind: zzz\n  limits: [5, 1]\n")],
        ["figure.limits: the lower limit", "views[0].kind: unknown kind 'zzz'", "views[1].kind: unknown kind 'zzz'"],
    ),
    "a level of the figure, which scaling needs": (
        [("label: Tiny\n", "label: Tiny\n  kind: heatmap\n  level: much\n")],
        ["figure.level: it must be a number"],
    ),
    "a method, and cells that a claim has nowhere": (
        [("{name: imp, epochs: 2}", "{name: imp, seeds: []}"), ("where: panel=a", "where: panel=z")],
        ["8:17: methods[1].seeds: the grid is empty", "claims[0].where: no cell of tiny fits 'panel=z'"],
    ),
    "a method": (
        [("{name: iht, steps: 4}", "{nome: iht}"), ("iht, steps: 3", "iht, steps: 0")],
        ["7:5: methods[0].name: this field is missing", "18:27: panels[1].methods[0].steps: it must be 1 or more"],
    ),
    "all methods": (
        [
            ("  - {name: iht, steps: 4}\n  - {name: imp, epochs: 2}\n", "  - {label: x}\n"),
            ("m: 3, s: [3]", "m: 4, s: [3]"),
        ],
        ["7:5: methods[0].name: this field is missing", "28:25: pictures[1].m: 4 is not among the widths of panel 'b'"],
    ),
    "seeds": (
        [("seeds: [0, 1]", "seeds: [-1]"), ("iht, steps: 3", "iht, seeds: [1]")],
        ["5:9: seeds[0]: it must be 0 or more, got -1"],
    ),
    "claims": (
        [("measure: median", "measure: mediann"), ("level: 3, at_least: 0.5", "at_leest: 0.5, levl: 3")],
        [
            "25:25: claims[0].measure: unknown measure 'mediann', did you mean 'median'?",
            "26:60: claims[1].at_leest: unknown field, did you mean 'at_least'?",
            "26:75: claims[1].levl: unknown field, did you mean 'level'?",
        ],
    ),
    "a claim before another": (
        [("measure: median, ", ""), ("method: iht, level", "method: ihtt, level")],
        ["25:5: claims[0].measure: this field is missing", "26:47: claims[1].method: no method 'ihtt' in these panels"],
    ),
    "a claim's own words while panels do not hold": (
        [
            ("    s: [2]\n", "    s: [0]\n"),
            ("median", "mean, profiles: [paper, smoke]"),
            ("level: 3, ", "where: x=3, "),
        ],
        ["13:9: panels[0].s[0]", "claims[1].level: share_above needs the level", "where: unknown field 'x'"],
    ),
    "a view before another": (
        [("{name: one, panels: [a]}", "{name: one, panels: []}"), ("panels: [b]}", "panels: [b, c], kind: curv}")],
        [
            "22:19: figure.views[0].panels",
            "figure.views[1].panels[1]: unknown panel 'c'",
            "views[1].kind: unknown kind 'curv'",
        ],
    ),
    "a figure that may mean another kind": (
        [
            ("    m: [2, 3]\n    s: [2, 3]", "    m: [2, 3]\n    n: [40, 60]\n    s: [2, 3]"),
            ("planted, n: 60, d: 6}\n    m: [2, 3]\n    n", "planted, d: 6}\n    m: [2, 3]\n    n"),
            ("panels: [b]}", "panels: [b], kid: curve}"),
            ("  - {name: q, panel: b, m: 3, s: [3]}\n", ""),
        ],
        ["figure.views[1].kid: unknown field, did you mean 'kind'?", "profiles.smoke.set.task.n: panel 'b' varies n"],
    ),
    "a profile, and another": (
        [("laptop: {s: [2]}", "laptop: {s: [2], mm: [2]}"), ("task.n: 40", "task.n: 400")],
        ["31:19: profiles.smoke.set: n grows from 60 to 400", "32:20: profiles.laptop.mm: unknown field"],
    ),
    "fields of the spec": (
        [("spec_version: 1", "spec_version: 2"), ("title: Tiny", "titel: Tiny"), ("panel=a", "panel=c")],
        [
            "1:1: spec_version: this mlpiht reads version 1",
            "1:1: title: this field is missing",
            "3:1: titel: unknown field",
            "claims[0].where: no cell of tiny fits 'panel=c'",
        ],
    ),
}


@pytest.mark.parametrize("name", ROUNDS)
def test_faults_come_in_one_round(mlpiht: Run, name: str) -> None:
    text = SPEC
    for old, new in ROUNDS[name][0]:
        assert old in text
        text = text.replace(old, new, 1)
    Path("tiny.yaml").write_text(text)
    lines = mlpiht("validate", "tiny.yaml").err.removeprefix("error: ").splitlines()
    assert len(lines) == len(set(lines)) == len(ROUNDS[name][1]), lines
    for line, wanted in zip(lines, ROUNDS[name][1], strict=True):
        assert wanted in line


def test_the_spec_itself_is_good(mlpiht: Run) -> None:
    Path("tiny.yaml").write_text(SPEC)
    assert "(8 cells in smoke" in mlpiht("validate", "tiny.yaml").out


def test_a_draft_knows_what_it_leaves_out(tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(SPEC.replace("    s: [2]\n", "    s: [0]\n").replace("title: Tiny", "title: 3"))
    draft = read_spec(tmp_path / "tiny.yaml")
    assert [panel.name for panel in draft.spec.panels] == ["b"]
    assert draft.spec.title == ""
    assert not draft.whole("panels")
    assert draft.whole("methods", "claims")
    assert draft.sound("panels", 0), "panel b, which is the second in the file"
    with pytest.raises(InputError, match=r"(?s)tiny\.yaml:3:1: title: .*tiny\.yaml:13:9: panels\[0\]\.s\[0\]: "):
        draft.check()
    Draft(draft.spec).check()


def test_a_spec_that_borrows_its_cells_is_checked_on(tmp_path: Path, tiny_spec: str) -> None:
    (tmp_path / "tiny.yaml").write_text(tiny_spec)
    head = "spec_version: 1\nname: b\ntitle: B\nsource: test\ncells_of: {}\nfigure: {{label: B}}\n"
    claim = "claims: [{name: c, says: so, measure: meen, method: iht, at_least: 1}]\n"
    (tmp_path / "b.yaml").write_text(head.format("tiny") + "seeds: [0]\npanels: 3\n" + claim)
    assert [fault.location for fault in read_spec(tmp_path / "b.yaml").faults] == [("panels",), ("seeds",)]
    (tmp_path / "b.yaml").write_text(head.format("nothing") + claim)
    draft = read_spec(tmp_path / "b.yaml")
    assert [fault.location for fault in draft.faults] == [("cells_of",)], "nothing is said to be missing"
    assert [claim.measure for claim in draft.spec.claims] == ["meen"]
