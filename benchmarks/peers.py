"""Part (g): mlpiht against packages that do a similar thing: same data, one thread, scores by the same function.

- ``torch-prune``: IMP against a loop with ``torch.nn.utils.prune`` and ``torch.optim.Adam`` on a dense network, which
  has the same start, epochs, rounds and rewinding. Masked weights cost it as much as others.
- ``group-lasso``: IHT with fixed gates against pyscnn's gated group lasso at those gates. The lasso has no budget: its
  penalty drops whole neurons, and it runs to its own tolerance. So there are two rows, one at the planted budget and
  one where IHT may keep every weight, as the lasso does.
- ``omp``: IHT with default settings for Gaussian sensing against scikit-learn's orthogonal matching pursuit.

Every seed has its own data, and both sides fit them in turn after one fit that warms up; a row has medians over the
seeds. pyscnn is optional (``pip install -c constraints.txt '.[peers]'``).
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import torch
from torch.nn.utils import prune

from benchmarks import clock, common
from benchmarks.clock import Seconds
from benchmarks.common import STEPS, Plan, Row
from benchmarks.yardstick_imp import PlainIMP, dropped
from mlpiht_cli.baselines.imp import IMP
from mlpiht_cli.baselines.training import initial_weights
from mlpiht_cli.core.method import Method, Shape
from mlpiht_cli.core.model import SparseMLP
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.core.scoring import evaluate
from mlpiht_cli.core.task import Axes
from mlpiht_cli.linalg.sparse import SparseMatrix
from mlpiht_cli.rng import Streams
from mlpiht_cli.solvers.iht import IHT
from mlpiht_cli.solvers.iht_linear import IHTLinear
from mlpiht_cli.tasks.gaussian import GaussianSparse

PENALTY = 1e-3
"""Weight of the group lasso: the fit comes within some .3 dB of an unpenalised one."""

Fitter = Callable[[Problem, int], SparseMLP]
"""Makes a network from a problem and a seed."""


@dataclass(frozen=True)
class Case:
    """One comparison.

    Attributes
    ----------
    name, package
        Name of the row, and the package on the other side.
    method, other
        The method of mlpiht, and the function that makes the other side's network from a problem, the case and a seed.
    n, d, m, s
        Sizes of the data, and the planted width and nonzeros.
    kept
        Budget of mlpiht; 0: ``s``.
    gaussian
        Whether the data are Gaussian measurements instead of a planted network.
    """

    name: str
    package: str
    method: Method
    other: Callable[[Problem, Case, int], SparseMLP] = field(repr=False)
    n: int
    m: int
    s: int
    d: int = 100
    kept: int = 0
    gaussian: bool = False

    @property
    def budget(self) -> int:
        """Nonzeros that mlpiht may keep."""
        return self.kept or self.s

    def build(self, seed: int) -> Problem:
        """Make the data."""
        if self.gaussian:
            return GaussianSparse(n=self.n, d=self.d).build(Axes(self.m, self.s), Streams(seed))
        return common.planted(self.n, self.d, (self.m, self.s), seed)

    def ours(self, problem: Problem, seed: int) -> SparseMLP:
        """Return the network of mlpiht."""
        return common.fit(self.method, problem, (self.m, self.budget), seed).model


def torch_prune(problem: Problem, case: Case, seed: int) -> SparseMLP:
    """Train, prune and rewind a dense network by ``torch.nn.utils.prune`` until it has at most ``s`` weights."""
    settings = PlainIMP(case.m, case.s)
    sizes = Shape(case.m).widths(problem.d, problem.k)
    # The start is that of mlpiht, so torch draws none.
    layers = [
        torch.nn.utils.skip_init(torch.nn.Linear, a, b, bias=False)  # type: ignore[no-untyped-call]
        for a, b in pairwise(sizes)
    ]
    network = torch.nn.Sequential(layers[0], torch.nn.ReLU(), layers[1])
    start = initial_weights(sizes, Streams(seed).initial_weights())
    left = total = sum(weight.numel() for weight in start)
    while left > case.s:
        with torch.no_grad():
            for parameter, weight in zip(network.parameters(), start, strict=True):
                parameter.copy_(weight)
        adam = torch.optim.Adam(network.parameters(), lr=settings.lr)
        for _ in range(case.method.epochs):  # type: ignore[attr-defined]  # IMP has epochs
            adam.zero_grad()
            torch.nn.functional.mse_loss(network(problem.x), problem.y).backward()  # type: ignore[no-untyped-call]
            adam.step()
        fewer = dropped(left, total, settings.rate)
        weights = [(layer, "weight") for layer in layers]
        prune.global_unstructured(weights, prune.L1Unstructured, amount=fewer)
        left -= fewer
    return SparseMLP(tuple(SparseMatrix.from_dense(layer.weight.detach()) for layer in layers))


def group_lasso(problem: Problem, case: Case, seed: int) -> SparseMLP:
    """Return pyscnn's gated group lasso at the random gates that mlpiht's fixed gates have for this seed."""
    from scnn.metrics import Metrics
    from scnn.models import ConvexGatedReLU
    from scnn.optimize import optimize_model
    from scnn.regularizers import NeuronGL1
    from scnn.solvers import RFISTA

    x, y = problem.x.numpy(), problem.y.numpy()
    gates = np.asarray(Streams(seed).gates(problem.d).rows(0, case.m), np.float32)
    # It divides the columns of x by their norms before it applies the gates, and returns the gates in another order.
    norms = np.linalg.norm(x, axis=0)
    model = ConvexGatedReLU((gates * norms).T)
    found, _ = optimize_model(model, RFISTA(model), Metrics(), x, y, regularizer=NeuronGL1(PENALTY), return_convex=True)
    made = (found.parameters[0][0], found.G.T / norms)
    weights, sides = (SparseMatrix.from_dense(torch.from_numpy(np.asarray(part, np.float32))) for part in made)
    return SparseMLP((weights,), torch.ones(weights.rows), sides)


def omp(problem: Problem, case: Case, seed: int) -> SparseMLP:
    """Return scikit-learn's orthogonal matching pursuit with ``s`` nonzeros, which draws nothing."""
    from sklearn.linear_model import OrthogonalMatchingPursuit

    pursuit = OrthogonalMatchingPursuit(n_nonzero_coefs=case.s, fit_intercept=False)
    found = pursuit.fit(problem.x.numpy(), problem.y[:, 0].numpy()).coef_
    return SparseMLP((SparseMatrix.from_dense(torch.from_numpy(np.array(found, np.float32))[None]),))


def cases(quick: bool) -> list[Case]:
    """Return the comparisons."""
    n, d, epochs = (100, 6, 2) if quick else (50_000, 100, STEPS)
    imp, fixed, linear = IMP(epochs=epochs), IHT(steps=STEPS, gates="fixed"), IHTLinear()
    networks = [(3, 6)] if quick else [(10, 20), (50, 50)]
    m, s = networks[0]
    unknowns, measured, ones = (60, 40, [3]) if quick else (1000, 400, [10, 25, 50])
    return [
        *(Case(f"torch-prune-{m}x{s}", "torch", imp, torch_prune, n, m, s, d) for m, s in networks),
        Case(f"group-lasso-{m}x{s}", "pyscnn", fixed, group_lasso, n, m, s, d),
        Case(f"group-lasso-{m}x{m * d}", "pyscnn", fixed, group_lasso, n, m, s, d, kept=m * d),
        *(Case(f"omp-{s}", "scikit-learn", linear, omp, measured, 1, s, unknowns, gaussian=True) for s in ones),
    ]


def rows(plan: Plan) -> Iterator[Row]:
    """Measure the selected cases; a package that is not installed makes a row that says so."""
    with common.threads(1):
        for case in cases(plan.quick):
            if plan.wants(case.name):
                version = installed(case.package)
                measured = measure(case, plan.seeds) if version else {"status": "skipped: install mlpiht[peers]"}
                yield {"name": case.name, "peer": case.package, "peer_version": version, **measured, **common.machine()}


def installed(package: str) -> str:
    """Return the version of a package, empty if it is missing."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def measure(case: Case, seeds: int) -> Row:
    """Return the times, scores and nonzeros of both sides: medians over the seeds."""
    sides: dict[str, Fitter] = {"ours": case.ours, "peer": lambda problem, seed: case.other(problem, case, seed)}
    taken: dict[str, list[Seconds]] = {who: [] for who in sides}
    scores: dict[str, list[float]] = {who: [] for who in sides}
    kept: dict[str, list[int]] = {who: [] for who in sides}
    for seed in range(seeds):
        problem = case.build(seed)
        for who, fit in sides.items():
            if not seed:
                fit(problem, seed)
            start = clock.now()
            network = fit(problem, seed)
            taken[who].append(clock.since(start))
            scores[who].append(_score(network, problem))
            kept[who].append(network.nnz)
    ratio = clock.median([b.over(a) for a, b in zip(taken["ours"], taken["peer"], strict=True)])
    return {
        "status": "ok",
        **{"method": case.method.name, "n": case.n, "d": case.d, "m": case.m, "s": case.s, "budget": case.budget},
        "repeats": seeds,
        **{name: value for who in sides for name, value in clock.spread(who, taken[who]).items()},
        **{"ratio": ratio.wall, "ratio_cpu": ratio.cpu, "metric": problem.metric},
        **{f"{who}_score": common.median(scores[who]) for who in sides},
        **{f"{who}_nnz": common.median(kept[who]) for who in sides},
    }


def _score(network: SparseMLP, problem: Problem) -> float:
    scores = evaluate(network, problem)
    return float("nan") if scores is None or scores.value is None else scores.value
