#!/usr/bin/env bash
# The first optimizer of torch.optim imports torch's compiler: 800 modules for three numbers.
#
# A good guess: after `import torch`, making `torch.optim.Adam` and taking a step costs microseconds; nothing is compiled
# unless torch.compile is called.
#
# Seen with torch 2.13.0+cpu (Python 3.11): constructing Adam loads some 800 modules, torch._dynamo, torch._inductor and
# sympy among them, in about a second of processor time, as much as `import torch` itself. A step by the same fused
# kernel, torch._fused_adam_, gives the same numbers to the bit and loads none of them.
# So a short command line that trains a small network spends more time on the optimizer's imports than on the training.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/python" -m pip install --quiet torch==2.13.0 numpy==2.4.6 2>/dev/null
"$dir/venv/bin/python" - <<'PY'
import sys
import time

import torch

print("python", sys.version.split()[0], "torch", torch.__version__)
start = [1.0, -2.0, 3.0]
gradient = torch.tensor([0.5, 0.25, -1.0])
own, mean, square = torch.tensor(start), torch.zeros(3), torch.zeros(3)
settings = {"lr": 0.1, "beta1": 0.9, "beta2": 0.999, "weight_decay": 0.0, "eps": 1e-8}


def measured(name, action):
    modules, clock = len(sys.modules), time.process_time()
    action()
    loaded = len(sys.modules) - modules
    print(f"{name}: {loaded} modules loaded, {time.process_time() - clock:.2f} s of processor time")
    return loaded


def by_kernel():
    torch._fused_adam_(
        [own], [gradient], [mean], [square], [], [torch.tensor(1.0)], **settings, amsgrad=False, maximize=False
    )


def by_optimizer():
    global theirs
    theirs = torch.nn.Parameter(torch.tensor(start))
    theirs.grad = gradient.clone()
    torch.optim.Adam([theirs], lr=0.1, fused=True).step()


few, many = measured("torch._fused_adam_", by_kernel), measured("torch.optim.Adam", by_optimizer)
same, compiler = torch.equal(own, theirs.detach()), "torch._dynamo" in sys.modules
print("same numbers:", same, " torch._dynamo loaded:", compiler)
sys.exit(0 if same and compiler and few < 20 and many > 300 else 1)
PY
