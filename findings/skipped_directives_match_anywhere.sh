#!/usr/bin/env bash
# dask-jobqueue: job_directives_skip=["-t"] drops the time limit, and the processors with it.
#
# A good guess: on a cluster whose partition sets the time limit, `job_directives_skip=["-t"]` removes the directive
# `#SBATCH -t 00:30:00` from the job script, and nothing else: the entries are names of directives.
#
# Seen with dask-jobqueue 0.9.0 and distributed 2026.8.0 (Python 3.11): a line is dropped if it contains the text anywhere,
# and `--cpus-per-task=8` contains `-t`, in `-task`. The script then asks for one processor (SLURM's default) for the eight
# threads that its last line starts, without a warning. `["-t "]`, with a space, drops the time limit alone.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/python" -m pip install --quiet dask-jobqueue==0.9.0 distributed==2026.8.0 2>/dev/null
cd "$dir"
"$dir/venv/bin/python" - <<'PY'
import dask_jobqueue
import distributed
from dask_jobqueue import SLURMCluster


def directives(skip):
    local = {"host": "127.0.0.1", "dashboard_address": None}
    with SLURMCluster(
        cores=8, processes=8, memory="16GB", job_directives_skip=skip, scheduler_options=local
    ) as cluster:
        return {line.split()[1].split("=")[0] for line in cluster.job_script().splitlines() if line.startswith("#SBATCH")}


print("dask-jobqueue", dask_jobqueue.__version__, "distributed", distributed.__version__)
every = directives([])
for skip, gone in ((["-t"], {"-t", "--cpus-per-task"}), (["-t "], {"-t"})):
    dropped = every - directives(skip)
    print(f"job_directives_skip={skip} drops {sorted(dropped)}")
    assert dropped == gone
PY
echo "as described"
