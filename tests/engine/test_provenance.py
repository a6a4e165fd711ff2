"""What a row says of the libraries that multiply its matrices: their names and versions, and nothing of the machine."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import threadpoolctl
import torch

from mlpiht_cli import plan
from mlpiht_cli.engine.provenance import blas, environment
from mlpiht_cli.engine.runner import Runner
from mlpiht_cli.plan.cells import Job
from mlpiht_cli.specs.point import Point

OPENBLAS = {"user_api": "blas", "internal_api": "openblas", "version": "0.3.30", "architecture": "Zen"}
GNU = {"user_api": "openmp", "internal_api": "openmp", "version": None, "filepath": "/env/torch/lib/libgomp.so.1"}


@pytest.fixture
def fresh() -> Iterator[None]:
    """What is asked for is looked up again."""
    blas.cache_clear()
    yield
    blas.cache_clear()


def built(monkeypatch: pytest.MonkeyPatch, torch_says: str, capability: str, loaded: list[dict[str, Any]]) -> None:
    monkeypatch.setattr(torch.__config__, "show", lambda: torch_says)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    monkeypatch.setattr(threadpoolctl, "threadpool_info", lambda: loaded)


def at(path: str, **changes: str) -> dict[str, Any]:
    return {**OPENBLAS, "filepath": path, **changes}


MKL = "  - Intel(R) oneAPI Math Kernel Library Version 2024.2-Product Build 2\n  - Intel(R) MKL-DNN v3.12.0 (Git 8)\n"
OPEN = "  - Intel(R) MKL-DNN v3.7.1 (Git Hash 8)\n  - Build settings: BLAS_INFO=open, BUILD_TYPE=Release"
SCIPYS, NUMPYS = at("/e/scipy.libs/libopenblas-1.so"), at("/e/numpy.libs/lib64.so", version="0.3.31", architecture="HW")


@pytest.mark.parametrize(
    ("torch_says", "capability", "loaded", "expected"),
    [
        (MKL, "AVX512", [GNU, SCIPYS, NUMPYS], "torch mkl-2024.2 onednn-3.12.0 avx512; numpy openblas-0.3.31 hw"),
        (
            MKL,
            "AVX2",
            [at("/torch/env/lib/libopenblas.so.0")],
            "torch mkl-2024.2 onednn-3.12.0 avx2; numpy openblas-0.3.30 zen",
        ),
        (
            OPEN,
            "DEFAULT",
            [GNU, at("/e/torch/lib/libopenblas.so"), NUMPYS],
            "torch openblas-0.3.30 zen onednn-3.7.1 default; numpy openblas-0.3.31 hw",
        ),
        ("BLAS_INFO=accelerate", "DEFAULT", [], "torch accelerate default; numpy built"),
        (
            "",
            "DEFAULT",
            [{**OPENBLAS, "internal_api": "mkl", "filepath": "C:\\e\\mkl_rt.dll"}],
            "torch mkl-0.3.30 zen default; numpy mkl-0.3.30 zen",
        ),
    ],
    ids=["wheels", "conda", "wheels for ARM", "Accelerate", "one MKL for all"],
)
def test_the_libraries_of_every_kind_of_build_are_named(
    fresh: None, monkeypatch: pytest.MonkeyPatch, torch_says: str, capability: str, loaded: list[Any], expected: str
) -> None:
    built(monkeypatch, torch_says, capability, loaded)
    monkeypatch.setattr(np, "show_config", lambda mode: {"Build Dependencies": {"blas": {"name": "built"}}})
    assert blas() == expected


def test_here_it_names_libraries_and_no_place_or_machine(fresh: None) -> None:
    said = blas()
    assert re.fullmatch(r"torch [-a-z0-9. ]+; numpy [-a-z0-9. ]+", said)
    assert torch.backends.cpu.get_cpu_capability().lower() in said
    assert platform.node().lower() not in said
    assert environment(torch.device("cpu"))["blas"] == said


def test_it_is_looked_up_once(fresh: None, monkeypatch: pytest.MonkeyPatch) -> None:
    first = blas()
    built(monkeypatch, OPEN, "NONE", [])
    assert blas() == first


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the variables name kernels for x86")
def test_other_kernels_have_another_name_and_leave_the_key_of_a_cell() -> None:
    code = (
        "import torch; from tests.engine.test_provenance import made; row = made(); print(row.cell, row.blas, sep='|')"
    )
    own = {**os.environ, "ATEN_CPU_CAPABILITY": "default", "OPENBLAS_CORETYPE": "Nehalem"}
    done = subprocess.run([sys.executable, "-c", code], env=own, capture_output=True, text=True, check=True)
    (key, said), here = done.stdout.strip().split("|"), made()
    assert key == here.cell
    assert said != here.blas
    assert re.fullmatch(r"torch .* default; numpy .*", said)


def made() -> Any:
    cell = plan.single_cell(Point("a", "planted", "zero", 1, 2, 3, 0), {"task.n": 20, "task.d": 4})
    ((row, _),) = Runner(torch.device("cpu")).run(Job((cell,)))
    return row
