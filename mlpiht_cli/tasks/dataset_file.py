"""Data sets in NPZ files with a manifest of checksums."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from mlpiht_cli import __version__
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.system.files import write_atomic
from mlpiht_cli.system.npz import Arrays, pack
from mlpiht_cli.tasks.datasets import sha256


def arrays_of(problem: Problem) -> Arrays:
    """Arrays of a problem: inputs, targets and planted weights or directions as ``(in, out)`` matrices.

    ``readout`` holds the planted output signs ``[m]`` unless all are +1.
    """
    arrays = {"x": problem.x.numpy(), "y": problem.y.numpy()}
    if problem.x_test is not problem.x:
        arrays |= {"x_test": problem.x_test.numpy(), "y_test": problem.y_test.numpy()}
    for i, layer in enumerate(problem.truth or ()):
        arrays[f"weights{i}"] = layer.dense().T.contiguous().numpy()
    if problem.truth_readout is not None:
        arrays["readout"] = problem.truth_readout.numpy()
    if problem.directions is not None:
        arrays["directions"] = problem.directions.dense().T.contiguous().numpy()
    return arrays


def write_dataset(path: Path, facts: dict[str, Any], problem: Problem) -> dict[str, Any]:
    """Write ``path`` (NPZ) and ``path.json`` (manifest), and return the manifest.

    The manifest holds ``facts``, the settings of the data. The same call writes the same bytes.
    """
    arrays = arrays_of(problem)
    manifest = {
        **facts,
        "mlpiht": __version__,
        "arrays": {
            key: {"shape": list(a.shape), "dtype": str(a.dtype), "sha256": sha256(a.tobytes())}
            for key, a in arrays.items()
        },
    }
    text = json.dumps(manifest, indent=1)
    packed = pack({"manifest": np.array(text), **arrays})
    write_atomic(path, packed)
    write_atomic(path.with_name(f"{path.name}.json"), text.encode())
    return {**manifest, "file": str(path), "sha256": sha256(packed)}
