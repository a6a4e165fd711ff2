"""Adam and gradient descent against ``torch.optim`` and against the written-out update."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from mlpiht_cli.baselines.optimisers import SGD, Adam

NEEDS_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
DEVICES = ["cpu", pytest.param("cuda", marks=[pytest.mark.gpu, NEEDS_GPU])]
LR = 0.01


def draw(device: str, dtype: torch.dtype, seed: int = 0) -> list[torch.Tensor]:
    """Tensors of sizes that fill no whole number of vectors, and one that is empty."""
    generator = torch.Generator().manual_seed(seed)
    sizes = [(37, 13), (1,), (0,), (4099,)]
    return [torch.randn(size, generator=generator, dtype=torch.float64).to(device, dtype) for size in sizes]


def gradients(step: int, device: str, dtype: torch.dtype) -> list[torch.Tensor]:
    """Gradients of different magnitudes, some exactly zero."""
    found = [10.0 ** (step % 7 - 3) * each for each in draw(device, dtype, seed=1 + step)]
    found[0][::3] = 0
    return found


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("ours", "theirs"), [(Adam, torch.optim.Adam), (SGD, torch.optim.SGD)])
def test_the_steps_are_those_of_torch_bit_for_bit(ours: type, theirs: type, dtype: torch.dtype, device: str) -> None:
    mine, expected = draw(device, dtype), draw(device, dtype)
    one, other = ours(mine, LR), theirs(expected, lr=LR, fused=True)
    for step in range(25):
        for parameters in (mine, expected):
            for parameter, gradient in zip(parameters, gradients(step, device, dtype), strict=True):
                parameter.grad = gradient
        one.step()
        other.step()
        assert all(torch.equal(a, b) for a, b in zip(mine, expected, strict=True))


def test_adam_is_the_published_update() -> None:
    """Algorithm 1 of Kingma and Ba (2015) in float64."""
    (weight,) = draw("cpu", torch.float64)[:1]
    expected, mean, square = weight.clone(), torch.zeros_like(weight), torch.zeros_like(weight)
    adam = Adam([weight], LR)
    for step in range(1, 30):
        weight.grad = gradients(step, "cpu", torch.float64)[0]
        adam.step()
        mean = 0.9 * mean + 0.1 * weight.grad
        square = 0.999 * square + 0.001 * weight.grad**2
        expected -= LR * (mean / (1 - 0.9**step)) / ((square / (1 - 0.999**step)).sqrt() + 1e-8)
        torch.testing.assert_close(weight, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("kind", [Adam, SGD])
def test_weights_that_autograd_follows_can_be_trained(kind: type) -> None:
    weight = torch.tensor([3.0, -2.0], requires_grad=True)
    optimiser = kind([weight], LR)
    for _ in range(2000):
        weight.grad = None
        (weight - 1).square().sum().backward()
        optimiser.step()
    torch.testing.assert_close(weight.detach(), torch.ones(2), rtol=0, atol=0.01)
    assert weight.requires_grad
    assert weight.is_leaf


@pytest.mark.parametrize("kind", [Adam, SGD])
def test_a_parameter_without_a_gradient_is_an_error(kind: type) -> None:
    with pytest.raises(RuntimeError, match="no gradient"):
        kind([torch.zeros(2)], LR).step()


def test_training_does_not_import_the_compiler_of_torch() -> None:
    code = """
import sys
from mlpiht_cli.baselines.imp import IMP
from mlpiht_cli.core.method import Shape
from mlpiht_cli.core.task import Axes
from mlpiht_cli.rng import Streams
from mlpiht_cli.tasks.planted import Planted
problem = Planted(n=30, d=4).build(Axes(3, 6), Streams(0))
list(IMP(epochs=2).fit_path(problem, Shape(3), [6], Streams(0)))
print("numba" in sys.modules, "torch._dynamo" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False"]
