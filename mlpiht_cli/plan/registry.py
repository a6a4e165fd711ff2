"""TASKS and METHODS by name. To add one: one file, one line here."""

from __future__ import annotations

from mlpiht_cli.baselines.best_subset import BestSubset
from mlpiht_cli.baselines.dense import Dense
from mlpiht_cli.baselines.imp import IMP, IMPFused
from mlpiht_cli.baselines.linear.cosamp import CoSaMP
from mlpiht_cli.baselines.linear.fista import FISTA
from mlpiht_cli.baselines.linear.htp import HTP
from mlpiht_cli.baselines.linear.niht import NIHT
from mlpiht_cli.baselines.linear.omp import OMP
from mlpiht_cli.baselines.linear.subspace_pursuit import SubspacePursuit
from mlpiht_cli.baselines.mlp import MLP
from mlpiht_cli.baselines.pruning.curvature import Curvature
from mlpiht_cli.baselines.pruning.cyclical import Cyclical
from mlpiht_cli.baselines.pruning.gmp import GMP
from mlpiht_cli.baselines.pruning.grasp import GraSP
from mlpiht_cli.baselines.pruning.group_lasso import GroupLasso
from mlpiht_cli.baselines.pruning.l0 import L0
from mlpiht_cli.baselines.pruning.magnitude import Magnitude
from mlpiht_cli.baselines.pruning.prox import Prox
from mlpiht_cli.baselines.pruning.rigl import RigL
from mlpiht_cli.baselines.pruning.set import SET
from mlpiht_cli.baselines.pruning.snip import SNIP
from mlpiht_cli.baselines.pruning.spike_and_slab import SpikeAndSlab
from mlpiht_cli.baselines.pruning.synflow import SynFlow
from mlpiht_cli.baselines.yardsticks.abess import Abess
from mlpiht_cli.baselines.yardsticks.boosting import Boosting
from mlpiht_cli.baselines.yardsticks.lasso_cv import LassoCV
from mlpiht_cli.baselines.yardsticks.skglm import Skglm
from mlpiht_cli.baselines.yardsticks.torch_prune import TorchPrune
from mlpiht_cli.baselines.zero import Zero
from mlpiht_cli.core.method import Method
from mlpiht_cli.core.task import Task
from mlpiht_cli.solvers.eigenvalues import Eigenvalues, GatePair
from mlpiht_cli.solvers.feature_learning import FeatureLearning
from mlpiht_cli.solvers.gate_motion import GateMotion
from mlpiht_cli.solvers.iht import IHT
from mlpiht_cli.solvers.iht_convex import IHTConvex
from mlpiht_cli.solvers.iht_cv import IHTCrossValidated
from mlpiht_cli.solvers.iht_linear import IHTLinear
from mlpiht_cli.solvers.iht_logistic import IHTLogistic
from mlpiht_cli.solvers.iht_realloc import IHTRealloc
from mlpiht_cli.solvers.iht_smooth import GradientDescent, IHTSmooth
from mlpiht_cli.solvers.iht_vector import IHTVector
from mlpiht_cli.tasks.cifar10 import CIFAR10Binary
from mlpiht_cli.tasks.gaussian import GaussianSparse
from mlpiht_cli.tasks.index_model import IndexModel
from mlpiht_cli.tasks.inr import INRCIFAR10, INRMNIST
from mlpiht_cli.tasks.iris import Iris
from mlpiht_cli.tasks.mnist import MNIST, MNISTBinary
from mlpiht_cli.tasks.planted import Planted
from mlpiht_cli.tasks.tables import Table
from mlpiht_cli.tasks.tabular import Tabular

TASKS: dict[str, type[Task]] = {
    "cifar10_binary": CIFAR10Binary,
    "gaussian_sparse": GaussianSparse,
    "index_model": IndexModel,
    "inr_cifar10": INRCIFAR10,
    "inr_mnist": INRMNIST,
    "iris": Iris,
    "mnist": MNIST,
    "mnist_binary": MNISTBinary,
    "planted": Planted,
    "table": Table,
    "tabular": Tabular,
}

METHODS: dict[str, type[Method]] = {
    kind.name: kind
    for kind in (
        Abess,
        BestSubset,
        Boosting,
        CoSaMP,
        Curvature,
        Cyclical,
        Dense,
        Eigenvalues,
        FeatureLearning,
        FISTA,
        GateMotion,
        GatePair,
        GMP,
        GradientDescent,
        GraSP,
        HTP,
        GroupLasso,
        IHT,
        IHTConvex,
        IHTCrossValidated,
        IHTLinear,
        IHTLogistic,
        IHTRealloc,
        IHTSmooth,
        IHTVector,
        IMP,
        IMPFused,
        L0,
        LassoCV,
        Magnitude,
        MLP,
        NIHT,
        OMP,
        RigL,
        SET,
        Prox,
        SNIP,
        Skglm,
        SNIP,
        SubspacePursuit,
        SynFlow,
        SpikeAndSlab,
        TorchPrune,
        Zero,
    )
}
