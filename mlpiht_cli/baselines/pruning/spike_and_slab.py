"""Variational spike-and-slab networks: every weight is 0 or normal, with a probability that is learnt."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

import torch
from pydantic import Field

from mlpiht_cli.baselines.optimisers import Adam
from mlpiht_cli.baselines.pruning.network import SparseNetwork, SparseTraining
from mlpiht_cli.baselines.pruning.relaxed import flat
from mlpiht_cli.baselines.pruning.slabs import Block, Prior, divergence, slopes
from mlpiht_cli.core.fit import Events, Fact
from mlpiht_cli.core.method import Method, Shape
from mlpiht_cli.core.problem import Problem
from mlpiht_cli.rng import Streams

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

EDGE = 1e-6
"""Least distance of uniform numbers and of the prior probability from 0 and 1."""
MEMORY = 0.99
"""Decay per step of the running mean of the losses, which estimates the noise of the targets."""


class Draw(NamedTuple):
    """Relaxed gates ``[out, in]`` or ``[out, 1]``, values of the slab, and their distance from the mean."""

    gates: Tensor
    values: Tensor
    scatter: Tensor


class Likelihood:
    """What a nat of divergence weighs in units of the loss, so that the sum is a multiple of the evidence bound.

    Attributes
    ----------
    variance
        Variance of the targets' noise for the squared loss. If it is estimated, it is the running mean of the losses,
        the most likely one given the draws.
    """

    def __init__(self, problem: Problem, variance: float) -> None:
        self.variance: Tensor | float = variance
        self._is_squared, self._samples = problem.loss == "squared", problem.n
        self._numbers, self._is_estimated, self._seen = problem.n * problem.k, variance == 0.0, False

    def see(self, loss: Tensor | float) -> None:
        """Take the loss of a batch into the estimate."""
        if self._is_estimated:
            self.variance = MEMORY * self.variance + (1.0 - MEMORY) * loss if self._seen else loss
            self._seen = True

    @property
    def weight(self) -> Tensor | float:
        """``2 variance / (n k)`` of a normal likelihood: its loss is a mean over n k numbers; ``1 / n`` of classes."""
        return 2.0 * self.variance / self._numbers if self._is_squared else 1.0 / self._samples


class Posterior:
    """A variational posterior of the counted weights; see :class:`~mlpiht_cli.baselines.pruning.relaxed.Relaxed`.

    Attributes
    ----------
    blocks
        Parameters of the counted layers.
    rest
        Weights ``[N - counted]`` of a layer that is not counted, trained as they are.
    prior
        The prior of all counted layers.
    """

    def __init__(
        self,
        method: SpikeAndSlab,
        network: SparseNetwork,
        prior: Prior,
        likelihood: Likelihood,
        noise: np.random.Generator,
    ) -> None:
        self.prior, self._likelihood, self._noise, self._temperature = prior, likelihood, noise, method.temperature
        odds, deviation = math.log(method.inclusion / (1.0 - method.inclusion)), math.log(method.initial_sd)
        units = network.weights[:-1] if method.slab == "group_lasso" else []  # outputs are no neurons
        self.blocks = [
            Block(
                torch.full_like(weight[:, :1] if i < len(units) else weight, odds),
                weight.clone(),
                torch.full_like(weight, deviation),
            )
            for i, weight in enumerate(network.weights[: network.counted])
        ]
        self.rest = flat(network.weights)[network.total :].clone()
        self._adam = Adam([*(part for block in self.blocks for part in block), self.rest], method.lr)
        self._drawn = [Draw(torch.ones_like(q.logit), q.mean, torch.zeros_like(q.mean)) for q in self.blocks]

    def weights(self) -> Tensor:
        """Draw weights: relaxed gates (Gumbel-softmax; Bai et al., 2020) times draws of the slab."""
        self._drawn = [self._draw(block) for block in self.blocks]
        return self._with_rest([one.gates * one.values for one in self._drawn])

    def _draw(self, q: Block) -> Draw:
        uniform = torch.from_numpy(self._noise.random(q.logit.shape)).to(q.mean).clamp(EDGE, 1.0 - EDGE)
        scatter = q.log_sd.exp() * torch.from_numpy(self._noise.standard_normal(q.mean.shape)).to(q.mean)
        gates = torch.sigmoid((q.logit + torch.logit(uniform)) / self._temperature)
        return Draw(gates, q.mean + scatter, scatter)

    def _with_rest(self, layers: Sequence[Tensor]) -> Tensor:
        return torch.cat([flat(layers), self.rest])

    def means(self) -> Tensor:
        """Return the posterior means ``pi mean`` of all weights ``[N]``."""
        return self._with_rest([q.inclusion * q.mean for q in self.blocks])

    def likely(self) -> Tensor:
        """Return the posterior means of the weights that are more likely in than out, and 0 for the others."""
        return self._with_rest([torch.where(q.logit >= 0, q.inclusion * q.mean, 0.0) for q in self.blocks])

    def step(self, slope: Tensor, loss: Tensor | float, rate: float) -> bool:
        """Take a step of Adam on the negative evidence bound."""
        self._likelihood.see(loss)
        for q, found in zip(self.blocks, self.gradients(slope), strict=True):
            for parameter, gradient in zip(q, found, strict=True):
                parameter.grad = gradient
        self.rest.grad = slope[len(slope) - len(self.rest) :]
        self._adam.lr = rate
        self._adam.step()
        return True

    def gradients(self, slope: Tensor) -> list[Block]:
        """Return the gradients of loss plus weighed divergence, from those ``[N]`` of the loss for drawn weights."""
        weight, out, place = self._likelihood.weight, [], 0
        for q, (gates, values, scatter) in zip(self.blocks, self._drawn, strict=True):
            own = slope[place : place + values.numel()].view_as(values)
            place += values.numel()
            of_values, of_gates = own * gates, own * values * (gates * (1.0 - gates) / self._temperature)
            of_logit = of_gates if gates.shape == values.shape else of_gates.sum(dim=1, keepdim=True)
            of_loss, price = (of_logit, of_values, of_values * scatter), slopes(q, self.prior)
            out.append(Block(*(one + weight * other for one, other in zip(of_loss, price, strict=True))))
        return out


class SpikeAndSlab(SparseTraining, Method):
    """Variational spike-and-slab (Bai, Song and Cheng, Efficient variational inference for sparse deep learning, 2020).

    The posterior of a counted weight is 0 or normal, with an inclusion probability; the prior of a weight to be in is
    the share of the budget. Means, deviations and probabilities maximise the evidence bound with one draw for each
    step. The slab ``gaussian`` is the paper's. ``group_lasso`` includes hidden neurons as a whole, with a multivariate
    Laplace slab of their weights (Jantre, Bhattacharya and Maiti, Spike-and-slab shrinkage priors, 2023); output
    weights keep the other form. Then the posterior means of weights with a probability of one half or more are kept
    (the fact ``included`` counts them), the smallest of which are pruned if they are more than s; if they are fewer,
    the largest other posterior means fill up. The means are trained on. The facts ``expected``, ``divergence`` and
    ``noise_variance`` are the expected number of weights, the divergence from the prior in nats, and the variance of
    the targets' noise.
    """

    name: ClassVar[str] = "spike_and_slab"
    version: ClassVar[int] = 1

    slab: Literal["gaussian", "group_lasso"] = Field(
        "gaussian", description="weights that are not 0: independent and included one by one, or neuron by neuron"
    )
    slab_sd: float = Field(
        0.1, gt=0, allow_inf_nan=False, description="standard deviation of a weight that is not 0, in the prior"
    )
    variance: float = Field(
        0.0,
        ge=0,
        allow_inf_nan=False,
        description="squared loss: variance of the normal noise of the targets; 0: estimated from the losses",
    )
    inclusion: float = Field(0.9, gt=0, lt=1, description="probability of each weight or neuron in the first step")
    initial_sd: float = Field(
        0.01, gt=0, allow_inf_nan=False, description="standard deviation of the weights in the first step"
    )
    temperature: float = Field(0.5, gt=0, allow_inf_nan=False, description="of the relaxed gates; less is sharper")
    fine_tuning: float = Field(0.5, ge=0, lt=1, description="share of the epochs that come after the prune")

    def iterate(self, problem: Problem, shape: Shape, budgets: Sequence[int], streams: Streams) -> Events:
        """Train the posterior, prune it and fine-tune its means for one budget."""
        network = SparseNetwork(self, problem, shape, streams)
        before = network.steps - round(self.fine_tuning * network.steps)
        prior = Prior(min(max(budgets[0] / network.total, EDGE), 1.0 - EDGE), self.slab_sd)
        likelihood = Likelihood(problem, self.variance)
        posterior = Posterior(self, network, prior, likelihood, streams.relaxation())
        network.begin(before)
        yield from network.relax(posterior, before)
        included = network.adopt(posterior.likely(), posterior.means(), budgets[0])
        facts: dict[str, Fact] = {
            "included": included,
            "expected": sum(float(q.inclusion.sum()) for q in posterior.blocks),
            "divergence": sum(float(divergence(q, prior).sum()) for q in posterior.blocks),
        }
        if problem.loss == "squared":
            facts["noise_variance"] = float(likelihood.variance)
        yield from network.finish(budgets[0], network.steps - before, facts)
