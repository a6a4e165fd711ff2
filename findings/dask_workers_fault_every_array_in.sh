#!/usr/bin/env bash
# NumPy in a Dask worker process: every array of 128 KiB or more costs a page fault for each of its pages, every time.
#
# A good guess: a worker that distributed starts through a Nanny runs NumPy at the speed of a plain process with the same
# thread variables. MALLOC_TRIM_THRESHOLD_=65536, which the Nanny sets for it (distributed.nanny.pre-spawn-environ), is
# about when freed memory at the top of the heap goes back to the system, and a reused 4 MB array is not freed memory.
#
# Seen with distributed 2026.8.0, numpy 2.4.6 (Python 3.11, glibc 2.36): that variable also switches off the dynamic
# threshold of glibc (mallopt(3): setting any of M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD does), so that it stays at
# 128 KiB, where it would rise to the size of the arrays that a program frees. Each temporary array is then mapped, its
# pages cleared by the kernel, and unmapped: some 500 faults for 4 MiB in NumPy, and four fifths of the processor time of
# an addition. A plain process has none, and neither has a worker with the variable unset (None in the configuration).
# And the Nanny leaves the variable in the environment of the process that started it, for all later children.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/python" -m pip install --quiet distributed==2026.8.0 dask==2026.8.0 numpy==2.4.6 2>/dev/null
cat > "$dir/faults.py" <<'PY'
import os
import platform
import resource
import sys

import dask
import distributed
import numpy as np

REPEATS = 300


def faults() -> tuple[float, float]:
    """Page faults for each 4 MiB array, and the kernel's share of the processor time."""
    base = np.ones(2**20, np.float32)
    for _ in range(20):
        base + 1  # lets a dynamic threshold rise
    before = resource.getrusage(resource.RUSAGE_SELF)
    for _ in range(REPEATS):
        base + 1
    after = resource.getrusage(resource.RUSAGE_SELF)
    system, user = after.ru_stime - before.ru_stime, after.ru_utime - before.ru_utime
    return (after.ru_minflt - before.ru_minflt) / REPEATS, system / (system + user)


def worker(**config: object) -> tuple[float, float]:
    with dask.config.set(config):
        with distributed.LocalCluster(1, threads_per_worker=1, processes=True, dashboard_address=None) as cluster:
            with distributed.Client(cluster) as client:
                return client.submit(faults).result()


if __name__ == "__main__":
    versions = [distributed.__version__, np.__version__, *platform.libc_ver()]
    print("python", platform.python_version(), "distributed, numpy, libc:", *versions)
    key = "distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_"
    print("default:", dask.config.get(key))
    # Unset first: a Nanny leaves the variable in the process that starts it, and later workers inherit it.
    found = {"plain process": faults(), "worker, variable unset": worker(**{key: None}), "worker": worker()}
    print("left in this process:", os.environ.get("MALLOC_TRIM_THRESHOLD_"))
    for name, (count, share) in found.items():
        print(f"{name}: {count:.0f} faults for each array of 4 MiB, {share:.0%} of the processor time in the kernel")
    plain, unset, default = (count for count, _ in found.values())
    sys.exit(not (default > 500 > 50 > max(plain, unset)))
PY
env -u MALLOC_TRIM_THRESHOLD_ "$dir/venv/bin/python" "$dir/faults.py"
echo "as described"
