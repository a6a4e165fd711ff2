"""Small specs, and tables for them made by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from mlpiht_cli.records.rows import Row
from mlpiht_cli.specs.load import parse
from mlpiht_cli.specs.schema import Spec

WIDTHS, BUDGETS, SEEDS = [2, 3, 5], [10, 20], [0, 1, 2]

TINY = """\
spec_version: 1
name: tiny
title: Tiny
source: test
seeds: [0, 1]
methods:
  - {name: iht, steps: 4}
  - {name: imp, epochs: 2}
panels:
  - name: a
    task: {name: planted, n: 60, d: 6}
    m: [2, 3]
    s: [2, 5]
figure: {label: Tiny, limits: [-20, 50]}
profiles:
  smoke: {m: [2], set: {task.n: 40}}
  paper: {}
"""
"""A spec that runs in a second."""

SPEC = (
    TINY.partition("figure:")[0]
    .replace("title: Tiny", "title: Made by hand")
    .replace("tiny", "hand")
    .replace("seeds: [0, 1]", "seeds: [0, 1, 2]")
    .replace("m: [2, 3]", "m: [2, 3, 5]")
    .replace("s: [2, 5]", "s: [10, 20]")
    + """\
figure: {label: Hand}
claims:
  - name: robust
    says: IHT is at least as good as IMP.
    measure: share_not_worse
    method: iht
    against: imp
    at_least: 1
  - name: recovers
    says: IHT recovers the weights.
    measure: share_above
    method: iht
    level: 30
    where: m>=3
    at_least: 0.9
profiles:
  smoke: {seeds: [0, 1]}
"""
)

VARIED = """\
spec_version: 1
name: varied
title: Varied
source: test
seeds: [0, 1]
methods:
  - {name: iht_linear, steps: 3}
panels:
  - name: a
    task: {name: gaussian_sparse}
    m: [1]
    s: [2, 3]
    n: [10, 20, 40]
    d: [8, 16]
  - name: b
    task: {name: gaussian_sparse, n: 20, d: 16}
    m: [1]
    s: [2]
figure:
  label: Varied
  metric: relative_error
  limits: [0, 1]
  level: 0.5
  falling: true
  views:
    - {name: curves, kind: curve, x: n, panels: [a], title: Over n}
    - {name: losses, kind: curve, x: d, panels: [a], metric: final_loss, scale: log}
    - {name: laws, kind: scaling, panels: [a], slopes: {linear: 1, none: 0}}
    - {name: words, kind: table}
    - {name: map, kind: heatmap, panels: [b]}
claims:
  - {name: c, says: so, measure: mean, method: iht_linear, where: "panel=a,n>=20,d=16", at_most: 1}
  - name: t
    says: few samples are enough
    measure: threshold_n
    method: iht_linear
    level: 0.5
    falling: true
    where: panel=a,d=16,s=2
    at_most: 1000
    profiles: [paper]
  - name: slope
    says: linear
    measure: slope_in_d
    method: iht_linear
    level: 0.5
    falling: true
    where: panel=a,s=2
    at_most: 2
    profiles: [paper]
profiles:
  smoke: {n: [20], d: [16]}
"""
"""A spec over n and d, with several figures."""


def spec_with(**claim: Any) -> Spec:
    base = {"name": "c", "says": "so", "measure": "mean", "method": "iht"}
    threshold = {} if "at_most" in claim else {"at_least": 0.0}
    data = parse(SPEC, Path("hand.yaml")).data
    return Spec.model_validate({**data, "claims": [{**base, **threshold, **claim}]})


def row(method: str, m: int, s: int, seed: int, value: float | None, **changes: Any) -> Row:
    settings = {"iht": {"steps": 4}, "imp": {"epochs": 2}, "iht_vector": {"steps": 4}}[method]
    base: dict[str, Any] = {
        **{"spec": "hand", "panel": "a", "profile": "paper", "cell": f"{method.replace('_', '')}x{m}x{s}x{seed}"},
        **{"task": "planted", "method": method, "depth": 1, "k": 1, "n": 60, "d": 6, "m": m, "s": s, "seed": seed},
        "params": {"task": {"n": 60, "d": 6}, "method": settings},
        **{"status": "ok", "metric": "psnr", "value": value, "psnr": value},
    }
    return Row(**{**base, **changes})


def table(iht: Callable[[int, int, int], float], imp: Callable[[int, int, int], float]) -> list[Row]:
    return [
        row(method, m, s, seed, float(f(m, s, seed)))
        for method, f in (("iht", iht), ("imp", imp))
        for m in WIDTHS
        for s in BUDGETS
        for seed in SEEDS
    ]


def drawn(seed: int = 0) -> list[Row]:
    values = iter(np.random.RandomState(seed).uniform(-10, 60, 36))
    return table(lambda *_: next(values), lambda *_: next(values))


def array(rows: list[Row], method: str) -> np.ndarray:
    """Values [m, s, seed]."""
    found = {(r.m, r.s, r.seed): r.value for r in rows if r.method == method}
    return np.array([[[found[m, s, seed] for seed in SEEDS] for s in BUDGETS] for m in WIDTHS])


def broken(rows: list[Row], method: str, status: str = "diverged", **where: int) -> list[Row]:
    """The table with some rows of a method without a value."""
    gone = {"status": status, "value": None, "psnr": None}
    hit = [r.method == method and all(getattr(r, k) == v for k, v in where.items()) for r in rows]
    assert any(hit)
    return [r.model_copy(update=gone) if h else r for r, h in zip(rows, hit, strict=True)]
