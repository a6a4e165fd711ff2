"""Rounds for inputs of any distribution: gates as proposals, new inputs by partial z-tests, and wide rounds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from mlpiht_cli.linalg.moments import tiles
from mlpiht_cli.solvers.realloc.blocks import Blocks, Samples
from mlpiht_cli.solvers.realloc.field import Field
from mlpiht_cli.solvers.realloc.gates import FEWEST, SAMPLES, GatePursuit
from mlpiht_cli.solvers.realloc.newton import Fitted, GaussNewton
from mlpiht_cli.solvers.realloc.propose import boundary_share
from mlpiht_cli.solvers.realloc.prune import Elimination
from mlpiht_cli.solvers.realloc.split import Split

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

TRIES = 16
"""Tries of a wide round."""
LEFT_OUT = 0.35
"""Share of the tries that leave a neuron out; the others split neurons, which gained more often."""
MOST_SPLIT = 3
"""Largest number of neurons that a try splits."""
CLEAR, WIDE = 4.0, 1.5
"""Least z-values of new inputs: of a round, and of a try of a wide one."""
NEARLY = 0.01
"""Share of the samples on which two gates may differ for their neurons to be one, if the loss allows."""
SEEN = 5.0
"""Least z-value that noise alone does not reach: the largest of 20,000 normal numbers is 4.1 in the median."""
ONE_SPARSE = 1e-6
"""Weight that a one-sparse neuron starts with."""


@dataclass(frozen=True)
class Tried:
    """A fitted network, and what was done for it: names of actions with the number of neurons."""

    fitted: Fitted
    moves: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class AnyInputs:
    """Rounds that assume nothing of the inputs.

    A *round* adds inputs to known neurons, neurons that gate pursuit proposes, and a one-sparse neuron on every input;
    then it fits and eliminates. After a stall a *wide* round tries to get out of the network at which it stalled: it
    leaves one neuron out, or splits some, lets in as many inputs as the samples bear, and eliminates slowly.

    Attributes
    ----------
    pursue
        Proposal of neurons.
    blocks, weights
        Largest numbers of neurons and of weights after a round.
    inputs
        Largest numbers of new inputs of known neurons, in a round and in a try of a wide one.
    floor
        Loss below which fits stop.
    """

    pursue: GatePursuit
    blocks: int
    weights: int
    inputs: tuple[int, int]
    floor: float

    def round(self, samples: Samples, blocks: Blocks) -> Tried:
        """Return the network after a round."""
        return self._tried(samples, blocks, None)

    def wide(self, samples: Samples, blocks: Blocks, loss: float, draws: np.random.Generator) -> Tried:
        """Return the network of the least loss after some tries; one that lowers the loss is what the next changes."""
        moves, best = list[tuple[str, int]](), None
        for turn in range(TRIES if self.sees(samples, blocks) else 1):
            tried = self._tried(samples, blocks, draws, loose=turn > 0)
            moves += tried.moves
            if best is None or tried.fitted.loss < best.loss:
                best = tried.fitted
            if tried.fitted.loss < loss:
                blocks, loss = tried.fitted.blocks, tried.fitted.loss
            if loss < self.floor:
                break
        assert best is not None, "there is at least one try"
        return Tried(best, tuple(moves))

    def sees(self, samples: Samples, blocks: Blocks) -> bool:
        """Whether the residual tells more than noise would: of a new input of a neuron, or of a neuron that is two."""
        if not len(blocks.weights):
            return True
        residual = samples.residual(blocks)
        gain = float(Split.best(samples, blocks, residual).gain.max())
        missing = float(partial_z(samples, blocks, residual).abs().max())
        return missing > SEEN or gain > SEEN**2

    def _tried(self, samples: Samples, blocks: Blocks, draws: np.random.Generator | None, loose: bool = False) -> Tried:
        """Grow, fit and eliminate; widely if there are draws, and after a change of known neurons if ``loose``."""
        moves: tuple[tuple[str, int], ...] = ()
        if draws is not None and loose and len(blocks.weights) > 1:
            change = self._without if draws.random() < LEFT_OUT else self._split
            blocks, moves = change(samples, blocks, draws)
        residual = samples.residual(blocks)
        neurons = self.pursue(samples, residual, blocks, draws).first(max(5, self.blocks - len(blocks.weights)))
        grown = blocks
        if len(blocks.weights):
            z, most = (CLEAR, self.inputs[0]) if draws is None else (WIDE, self.inputs[1])
            more = above(partial_z(samples, blocks, residual), z, min(most, samples.n // 5))
            grown = replace(blocks, support=blocks.support | more)
        grown = grown.joined(neurons)
        if len(blocks.weights):  # a first round finds the large neurons
            grown = self._with_one_sparse(samples, grown, residual)
        return Tried(self._pruned(samples, grown, draws is not None), (*moves, ("proposed", len(neurons.weights))))

    def _without(
        self, samples: Samples, blocks: Blocks, draws: np.random.Generator
    ) -> tuple[Blocks, tuple[tuple[str, int], ...]]:
        """Leave out a neuron drawn by the residual's mean square at its boundary, and fit the others again."""
        share = boundary_share(samples, blocks.weights, samples.residual(blocks)).cpu().numpy() + 1e-3
        keep = blocks.support.clone()
        keep[int(draws.choice(len(share), p=share / share.sum()))] = False
        return GaussNewton(3, floor=self.floor)(samples, blocks.kept(keep)).blocks, (("left_out", 1),)

    def _split(
        self, samples: Samples, blocks: Blocks, draws: np.random.Generator
    ) -> tuple[Blocks, tuple[tuple[str, int], ...]]:
        """Split neurons drawn by what it gains, and fit again."""
        split = Split.best(samples, blocks, samples.residual(blocks))
        gain = split.gain.cpu().numpy() + 1e-3
        count = min(1 + int(draws.integers(MOST_SPLIT)), len(gain))
        which = draws.choice(len(gain), count, replace=False, p=gain / gain.sum()).tolist()
        return GaussNewton(3, floor=self.floor)(samples, split.applied(blocks, which)).blocks, (("split", count),)

    def _with_one_sparse(self, samples: Samples, blocks: Blocks, residual: Tensor) -> Blocks:
        """Add a one-sparse neuron on every input that has none and is of both signs; drop neurons that never change.

        A gate that is open or closed on nearly all samples is a linear part, which the network has.
        """
        bare = ~blocks.support[blocks.support.sum(1) == 1].any(0)
        added = torch.diag(torch.full_like(blocks.weights.new_zeros(blocks.weights.shape[1]), ONE_SPARSE))[bare]
        outputs = None
        if blocks.outputs is not None:
            x = samples.features[bare]
            size = x.abs() - x.abs().mean(1, keepdim=True)
            outputs = torch.where(size @ residual < 0, -1.0, 1.0).to(added)
        grown = blocks.joined(Blocks(added, added != 0, None, outputs))
        return grown.kept(grown.support & ajar(samples, grown.weights)[:, None])

    def _pruned(self, samples: Samples, grown: Blocks, wide: bool) -> Fitted:
        """Fit a grown network, and eliminate weights in stages of falling budget and rising z."""
        fitted = GaussNewton(6 if wide else 3, floor=self.floor)(samples, grown)
        stages = 4 if wide else 2
        excess = max(fitted.blocks.nnz / self.weights, 1.0)
        for i in range(stages):
            z = 2.0 + 1.5 * i / (stages - 1)
            budget = round(self.weights * excess ** (1.0 - (i + 1) / stages))
            steps = 6 if i == stages - 1 else 3
            # The loss of a network with many weights is below the noise.
            free = max(samples.n - len(fitted.quadratic.gradient), samples.n // 5)
            noise = replace(fitted, loss=max(fitted.loss, self.floor) * samples.n / free)
            fitted = GaussNewton(steps, floor=self.floor)(samples, Elimination(z, budget)(noise))
        return self._united(samples, fitted)

    def _united(self, samples: Samples, fitted: Fitted) -> Fitted:
        """Put neurons together that are open on nearly the same samples, unless the loss rises."""
        fewer = united(samples, fitted.blocks, NEARLY)
        if len(fewer.weights) == len(fitted.blocks.weights):
            return fitted
        tried = GaussNewton(4, floor=self.floor)(samples, fewer)
        return tried if tried.loss < max(1.1 * fitted.loss, self.floor) else fitted


def partial_z(samples: Samples, blocks: Blocks, residual: Tensor) -> Tensor:
    """Return the z-value of every entry outside the support, all entries inside moving along: ``[b, d]``, 0 inside."""
    n = min(samples.n, SAMPLES)
    field = Field.of(samples.columns(blocks, slice(0, n)), samples.features[:, :n], residual[:n])
    mask = (blocks.weights.to(field.x.dtype) @ field.x > 0).to(field.x.dtype)
    z = torch.stack([field.z(field.x * mask[j]) for j in range(len(mask))])
    return torch.where(blocks.support, 0.0, z)


def united(samples: Samples, blocks: Blocks, share: float) -> Blocks:
    """Put neurons together that are open on the same samples, or on opposite ones, but for a share of the samples.

    With the share 0 no value changes on the samples.
    """
    if len(blocks.weights) < 2 or blocks.skip is None:
        return blocks
    same = torch.zeros(len(blocks.weights), len(blocks.weights), dtype=samples.y.dtype, device=samples.y.device)
    w = blocks.weights.to(samples.features.dtype)
    for run in tiles(samples.n):
        gates = torch.where(w @ samples.features[:, run] > 0, 1.0, -1.0).to(same.dtype)
        same += gates @ gates.T
    first = (same.abs() >= (1.0 - 2.0 * share) * samples.n - 0.5).to(torch.int8).argmax(1)
    weights, support, skip = blocks.weights.clone(), blocks.support.clone(), blocks.skip
    sign = torch.ones(len(w), dtype=weights.dtype) if blocks.outputs is None else blocks.outputs
    for j in (first < torch.arange(len(w), device=first.device)).nonzero().flatten().tolist():
        i = int(first[j])
        if float(sign[i] * sign[j]) < 0.0:
            continue
        if float(same[i, j]) < 0.0:
            skip = skip + sign[j] * weights[j]
            weights[j] = -weights[j]
        weights[i] += weights[j]
        support[i] |= support[j]
        support[j] = False
    return replace(blocks, weights=weights, support=support, skip=skip).kept(support)


def above(z: Tensor, least: float, most: int) -> Tensor:
    """Return the entries of a size of at least ``least``, no more than ``most`` but for equal ones, bool."""
    size = z.abs()
    bound = size.flatten().topk(min(most, z.numel())).values[-1] if z.numel() else z.new_zeros(())
    return size >= bound.clamp(min=least)


def ajar(samples: Samples, weights: Tensor) -> Tensor:
    """Return whether neurons are open on some samples and closed on some, at least 20 of each, bool ``[b]``."""
    count = torch.zeros(len(weights), dtype=torch.int64, device=weights.device)
    w = weights.to(samples.features.dtype)
    for run in tiles(samples.n):
        count += (w @ samples.features[:, run] > 0).sum(1)
    return (count >= FEWEST) & (count <= samples.n - FEWEST)
