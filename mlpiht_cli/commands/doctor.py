"""``mlpiht doctor``: check this installation and machine."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

import click

from mlpiht_cli.commands import _common as common
from mlpiht_cli.errors import InputError


@click.command("doctor")
@common.out_option
@common.json_option
@click.pass_obj
def command(settings: dict[str, Any], /, out: Path, as_json: bool) -> int:
    """Check versions, processor, GPUs, data sets and folders; exit code 1 if there is a problem."""
    import matplotlib
    import psutil
    import torch

    from mlpiht_cli import __version__
    from mlpiht_cli.commands._kernels import ready
    from mlpiht_cli.engine.provenance import environment, processor
    from mlpiht_cli.system.files import check_writable
    from mlpiht_cli.tasks.datasets import DATA_DIR, FILES, data_dirs, find

    problems = []
    try:
        # Check a folder that exists, so that no new one stays.
        check_writable(next(place for place in (out.absolute(), *out.absolute().parents) if place.exists()))
    except InputError as error:
        problems.append(str(error))
    own = os.environ.get(DATA_DIR)
    if own and not Path(own).expanduser().is_dir():
        problems.append(f"{DATA_DIR}={own} is not a folder")
    missing = [name for name, files in FILES.items() if any(find(file) is None for file in files)]
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    made = environment(torch.device("cpu"))
    sha, dirty = made["git_sha"], made["git_dirty"]
    facts = {
        "mlpiht": __version__ + (f" ({sha[:10]}{', with changes' if dirty else ''})" if sha else ""),
        "python": f"{platform.python_version()} on {platform.system()}",
        **{name: made[name] for name in ("torch", "numpy", "blas")},
        "matplotlib": matplotlib.__version__,
        "processor": f"{processor()}, {psutil.cpu_count()} cores, {torch.get_num_threads()} threads used",
        "kernels": ready(settings["quiet"]),
        "memory": f"{psutil.virtual_memory().total / 2**30:.1f} GiB",
        "gpus": ", ".join(gpus) or "none: everything runs on the processor",
        "data searched": ", ".join(str(d) for d in data_dirs()),
        "data missing": ", ".join(missing) or "nothing",
        "results": str(out.absolute()),
        "problems": "; ".join(problems) or "none",
    }
    (common.echo_json if as_json else common.echo_fields)(facts)
    return 1 if problems else 0
