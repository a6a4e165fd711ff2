"""Divergences against integrals, gradients against automatic ones, and what is left of a posterior."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy import integrate, stats
from small_problems import some

from mlpiht_cli.baselines.pruning.network import SparseNetwork
from mlpiht_cli.baselines.pruning.slabs import Block, Prior, divergence, gaussian_slab, group_slab, slopes
from mlpiht_cli.baselines.pruning.spike_and_slab import Likelihood, Posterior, SpikeAndSlab
from mlpiht_cli.core.fit import Fit, Status
from mlpiht_cli.core.method import Shape
from mlpiht_cli.core.problem import Loss, Problem
from mlpiht_cli.rng import Streams

PRIOR = Prior(0.1, 0.7)


def fitted(problem: Problem, budget: int, depth: int = 1, **settings: Any) -> Fit:
    method = SpikeAndSlab.model_validate({"batch": 40, "epochs": 60, "lr": 0.02, **settings})
    return method.fit(problem, Shape(5, depth), budget, Streams(0))


def made(problem: Problem, noise: int = 0, **settings: Any) -> tuple[Posterior, SparseNetwork]:
    method = SpikeAndSlab.model_validate({"initial_sd": 0.3, "inclusion": 0.4, **settings})
    network = SparseNetwork(method, problem, Shape(4), Streams(1))
    likelihood = Likelihood(problem, method.variance)
    return Posterior(method, network, PRIOR, likelihood, Streams(noise).relaxation()), network


def block(*shape: int, joint: bool = False) -> Block:
    rng = np.random.RandomState(5)
    logit, mean, log_sd = (torch.from_numpy(rng.normal(size=shape)) for _ in range(3))
    return Block(logit[:, :1].contiguous() if joint else logit, mean, log_sd)


def test_the_divergence_of_a_weight_is_that_of_the_definition() -> None:
    """The spikes meet at 0 with masses 1 - pi and 1 - p; the slabs are densities, integrated numerically."""
    q = block(2, 3)
    for i, found in np.ndenumerate(divergence(q, PRIOR).numpy()):
        pi, mean, sd = (float(one[i]) for one in (torch.sigmoid(q.logit), q.mean, q.log_sd.exp()))
        slab, prior = stats.norm(mean, sd), stats.norm(0, PRIOR.sd)

        def density(w: float, pi: float = pi, slab: Any = slab, prior: Any = prior) -> float:
            return float(pi * slab.pdf(w) * (math.log(pi / 0.1) + slab.logpdf(w) - prior.logpdf(w)))

        slabs, _ = integrate.quad(density, mean - 12 * sd, mean + 12 * sd)
        assert found == pytest.approx(slabs + (1 - pi) * math.log((1 - pi) / 0.9), rel=1e-7)
        assert found > 0


def test_the_divergence_of_a_neuron_integrates_the_scale_of_its_slab() -> None:
    """The scale t of ``w | t ~ N(0, t I)`` is Gamma((p + 1) / 2, rate^2 / 2), and the best density of t is taken."""
    q = block(1, 3, joint=True)
    rate = 2.0 / PRIOR.sd  # sqrt(p + 1) / sd
    scale = stats.gamma(2.0, scale=2.0 / rate**2)
    square = float((q.mean.square() + (2 * q.log_sd).exp()).sum())

    def evidence(t: float) -> float:
        return float(scale.pdf(t) * math.exp(-1.5 * math.log(2 * math.pi * t) - square / (2 * t)))

    entropy = sum(stats.norm(0, math.exp(log_sd)).entropy() for log_sd in q.log_sd.flatten().tolist())
    slab, _, _ = group_slab(q, PRIOR.sd)
    assert float(slab) == pytest.approx(-math.log(integrate.quad(evidence, 0, np.inf)[0]) - entropy, rel=1e-6)
    pi = float(torch.sigmoid(q.logit))
    spikes = pi * math.log(pi / 0.1) + (1 - pi) * math.log((1 - pi) / 0.9)
    assert float(divergence(q, PRIOR)) == pytest.approx(spikes + pi * float(slab))


def test_the_slab_of_a_neuron_bounds_its_divergence_and_has_the_deviation_that_is_asked_for() -> None:
    """With one weight the slab is Laplace's distribution, whose variance is 2 / rate^2."""
    q = block(1, 1, joint=True)
    prior = stats.laplace(0, PRIOR.sd / math.sqrt(2))
    assert prior.std() == pytest.approx(PRIOR.sd)
    slab = stats.norm(float(q.mean), float(q.log_sd.exp()))
    exact, _ = integrate.quad(lambda w: slab.pdf(w) * (slab.logpdf(w) - prior.logpdf(w)), *slab.interval(1 - 1e-12))
    found, _, _ = group_slab(q, PRIOR.sd)
    radius = math.hypot(float(q.mean), float(q.log_sd.exp()))
    # The mean of a normal |w| is between sqrt(2 / pi) and 1 times the root of its mean square.
    assert exact < float(found) < exact + (1 - math.sqrt(2 / math.pi)) * math.sqrt(2) / PRIOR.sd * radius
    sharp = q._replace(log_sd=torch.full_like(q.log_sd, -12.0))
    narrow = stats.norm(float(q.mean), math.exp(-12.0))
    exact = -narrow.entropy() - prior.logpdf(float(q.mean))
    assert float(group_slab(sharp, PRIOR.sd)[0]) == pytest.approx(exact), "no gap where the weight is certain"
    assert float(gaussian_slab(block(1, 1), PRIOR.sd)[0]) > 0


@pytest.mark.parametrize("joint", [False, True])
def test_slopes_of_the_divergence_are_those_of_automatic_differentiation(joint: bool) -> None:
    q = Block(*(one.requires_grad_() for one in block(3, 4, joint=joint)))
    divergence(q, PRIOR).sum().backward()
    for found, parameter in zip(slopes(Block(*(one.detach() for one in q)), PRIOR), q, strict=True):
        assert parameter.grad is not None
        torch.testing.assert_close(found, parameter.grad)


@pytest.mark.parametrize("slab", ["gaussian", "group_lasso"])
@pytest.mark.parametrize(("k", "loss"), [(2, "squared"), (3, "cross_entropy")])
def test_gradients_are_those_of_the_evidence_bound(slab: str, k: int, loss: Loss) -> None:
    """The bound of n samples is written out for the network, its noise drawn again from the same stream."""
    problem = some(k, loss)
    posterior, network = made(problem, slab=slab, variance=0.3)
    drawn = posterior.weights()
    noise = Streams(0).relaxation()
    every = [Block(*(one.clone().requires_grad_() for one in q)) for q in posterior.blocks]
    hidden, layers = problem.x, []
    for q in every:
        uniform, normal = noise.random(q.logit.shape), noise.standard_normal(q.mean.shape)
        gates = torch.sigmoid((q.logit + torch.from_numpy(np.log(uniform / (1 - uniform)))) / 0.5)
        layers.append(gates * (q.mean + q.log_sd.exp() * torch.from_numpy(normal)))
    torch.testing.assert_close(drawn, torch.cat([one.detach().flatten() for one in layers]))
    prediction = (hidden @ layers[0].T).relu() @ layers[1].T
    if loss == "squared":
        likelihood = torch.distributions.Normal(prediction, math.sqrt(0.3)).log_prob(problem.y).sum()
        unit = 2 * 0.3 / (problem.n * k)
    else:
        likelihood = (torch.log_softmax(prediction, 1) * problem.y).sum()
        unit = 1 / problem.n
    ((sum(divergence(q, PRIOR).sum() for q in every) - likelihood) * unit).backward()
    network.put(drawn)
    found, _ = network.gradients(problem)
    for q, expected in zip(posterior.gradients(torch.cat([one.flatten() for one in found])), every, strict=True):
        for a, b in zip(q, expected, strict=True):
            torch.testing.assert_close(a, b.grad)
    assert posterior.blocks[0].logit.shape == ((4, 1) if slab == "group_lasso" else (4, 8))
    assert posterior.blocks[1].logit.shape == (k, 4), "outputs are no neurons"


def test_without_data_the_posterior_is_the_prior() -> None:
    posterior, network = made(some(), variance=100.0)
    for i in range(4000):
        posterior.weights()
        posterior.step(torch.zeros(network.total, dtype=torch.float64), 0.0, 0.01 * (1 - i / 4000))
    for q in posterior.blocks:
        torch.testing.assert_close(q.inclusion, torch.full_like(q.mean, PRIOR.inclusion), rtol=1e-3, atol=0)
        torch.testing.assert_close(q.log_sd.exp(), torch.full_like(q.mean, PRIOR.sd), rtol=1e-3, atol=0)
        torch.testing.assert_close(q.mean, torch.zeros_like(q.mean), rtol=0, atol=1e-3)


def test_the_noise_of_the_targets_is_the_running_mean_of_the_losses() -> None:
    estimated, given = Likelihood(some(2), 0.0), Likelihood(some(2), 0.5)
    for loss in (3.0, 1.0, 0.0):
        estimated.see(loss)
        given.see(loss)
    assert estimated.variance == pytest.approx(0.99 * (0.99 * 3.0 + 0.01 * 1.0))
    assert given.variance == 0.5
    assert given.weight == pytest.approx(1.0 / 240)
    assert Likelihood(some(3, "cross_entropy"), 0.5).weight == pytest.approx(1 / 120)


def test_the_prior_is_the_share_of_the_budget() -> None:
    """With hardly any data in the bound, as many weights as the prior says are expected in the end."""
    settings = {"epochs": 900, "variance": 1e4, "slab_sd": 1.0, "count": "fused", "inclusion": 0.5}
    for budget in (4, 12):
        fit = fitted(some(), budget, **settings)
        assert float(fit.facts["expected"]) == pytest.approx(budget, rel=0.15)
        assert fit.facts["noise_variance"] == 1e4
    assert fitted(some(), 1000).model.nnz == 45, "a budget above the number of weights keeps all"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("depth", [1, 2])
@pytest.mark.parametrize("slab", ["gaussian", "group_lasso"])
@pytest.mark.parametrize(
    ("count", "k", "loss"), [("layers", 1, "squared"), ("layers", 3, "cross_entropy"), ("fused", 1, "squared")]
)
def test_the_posterior_is_pruned_to_the_budget(
    count: str, k: int, loss: Loss, slab: str, depth: int, dtype: str
) -> None:
    fit = fitted(some(k, loss), 12, depth, count=count, slab=slab, dtype=dtype)
    assert (fit.status, fit.model.nnz, fit.passes) == (Status.OK, 12, 60)
    assert fit.facts["pruned"] == max(0, int(fit.facts["included"]) - 12)
    assert ("noise_variance" in fit.facts) == (loss == "squared")


def test_weights_more_likely_out_than_in_are_left_out_but_for_those_that_fill_up() -> None:
    problem = some()
    posterior, network = made(problem, count="fused")
    q = posterior.blocks[0]
    q.logit.copy_(torch.linspace(-2, 2, 32, dtype=torch.float64).reshape(4, 8))
    expected = torch.sigmoid(q.logit) * q.mean
    assert torch.equal(posterior.means()[:32].reshape(4, 8), expected)
    assert torch.equal(posterior.likely()[:32].reshape(4, 8), expected * (q.logit >= 0))
    assert torch.equal(posterior.means()[32:], network.weights[1][0])
    assert network.adopt(posterior.likely(), posterior.means(), 5) == 16


def test_too_large_steps_of_the_posterior_are_a_divergence() -> None:
    fit = fitted(some(), 12, lr=1e30, schedule="constant")
    assert fit.status is Status.DIVERGED
    assert "finite" in fit.reason
