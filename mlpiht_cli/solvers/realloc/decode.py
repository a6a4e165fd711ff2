"""Equivalent networks: signs of neurons, pairs of one-sparse neurons, and neurons that can be merged."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from mlpiht_cli.solvers.realloc.blocks import Blocks
from mlpiht_cli.solvers.realloc.told import Inputs

if TYPE_CHECKING:
    from torch import Tensor

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

PAIR = 0.1  # cost of a pair of one-sparse neurons
CLEAR = 3.0  # standard errors up to which a rest counts as zero
TOGETHER = 10  # largest number of neurons that flip together
WORST = 12  # largest number of inputs with a rest for which neurons flip together
TINY = 1e-4  # a half of a pair below this relative weight is dropped


def signed(blocks: Blocks, errors: Tensor | None = None) -> Blocks:
    """Flip neurons so that the skip connection needs the fewest inputs.

    ``relu(w . x) = relu(-w . x) + w . x``: flipping neuron j adds ``w_j``, times its output sign, to the skip
    connection. The rest ``c + W^T f`` with f in {0, 1} is zero except on inputs where the planted network has
    one-sparse neurons of both directions. So the search makes the rest sparse: it rounds the solution of a linear
    program, then flips one or two neurons at a time. One-sparse neurons follow the others, because such a neuron could
    hide any mistake on its own input. A rest of up to three of its standard ``errors`` ``[d]`` counts as zero.
    """
    if blocks.skip is None or not len(blocks.weights):
        return blocks
    w, skip = blocks.slopes.cpu().numpy(), blocks.skip.cpu().numpy()
    least = np.zeros_like(skip) if errors is None else CLEAR * errors.cpu().numpy()
    single = blocks.support.sum(1).cpu().numpy() == 1
    return flipped(blocks, Signs(w, skip, single, blocks.outputs is not None, least))


def flipped(blocks: Blocks, puzzle: Signs) -> Blocks:
    """Flip the neurons that a search finds, from none, the solution of the linear program, and what inputs tell."""
    starts = (np.zeros(len(puzzle.several), dtype=bool), puzzle.relaxed() > 0.5, puzzle.told())
    turn = puzzle.with_singles(min((puzzle.improved(start) for start in starts), key=puzzle.cost))
    sign = torch.from_numpy(np.where(turn, -1.0, 1.0)).to(blocks.weights.device)
    left = torch.from_numpy(puzzle.rest(turn)).to(sign.device)
    return replace(blocks, weights=blocks.weights * sign[:, None], skip=left)


class Signs:
    """Search for the neurons to flip.

    ``several`` holds the neurons with several weights; the others are single, at most one per input. ``w`` holds
    weights times output signs. ``free`` says whether output signs are free; a pair of one-sparse neurons can then have
    any slopes. Rests of at most ``least`` ``[d]`` count as zero.
    """

    def __init__(self, w: Floats, skip: Floats, single: Flags, free: bool, least: Floats | float = 0.0) -> None:
        self.several = np.flatnonzero(~single)
        self._least = least
        self._w, self._skip, self._rows = w, skip, w[self.several]
        self._singles = np.flatnonzero(single)
        self._single = w[single].sum(0)  # one entry per input
        self._free = free

    def rest(self, turn: Flags) -> Floats:
        """Return the skip connection after the neurons ``turn``, bool ``[b]``, are flipped, ``[d]``."""
        return np.asarray(self._skip + self._w[turn].sum(0))

    def relaxed(self) -> Floats:
        """Return shares in [0, 1] of the neurons with several weights that give the least absolute sum of the rest."""
        from scipy.optimize import linprog

        b, d = self._rows.shape
        cost = np.concatenate([np.zeros(b), np.ones(2 * d)])
        equal = np.concatenate([self._rows.T, np.eye(d), -np.eye(d)], axis=1)
        bounds = [(0.0, 1.0)] * b + [(0.0, None)] * (2 * d)
        found = linprog(cost, A_eq=equal, b_eq=-self._skip, bounds=bounds, method="highs")
        return np.zeros(b) if found.x is None else np.asarray(found.x[:b])

    def told(self) -> Flags:
        """Return the neurons with several weights to flip as far as single inputs tell."""
        least = np.broadcast_to(self._least, self._skip.shape)
        return Inputs(self._rows, self._skip, self._single, least).told()

    def _left(self, turn: Flags) -> Floats:
        return np.asarray(self._skip + self._rows[turn].sum(0))

    def _costs(self, left: Floats) -> Floats:
        """Return a sum of square roots, small for sparse vectors, over the last axis.

        A rest that a pair of one-sparse neurons cannot represent counts most. A rest that such a pair can represent
        costs a weight and counts a little.
        """
        near, apart = self._rests(left)
        return np.asarray((np.sqrt(apart) + PAIR * np.sqrt(near)).sum(-1))

    def _rests(self, left: Floats) -> tuple[Floats, Floats]:
        """Return the sizes of the rests, and of those that no pair can represent."""
        turned = left + self._single
        near = np.minimum(np.abs(left), np.abs(turned))
        near = np.where(near > self._least, near, 0.0)
        return near, np.where((self._single == 0.0) if self._free else (left * turned > 0.0), near, 0.0)

    def cost(self, turn: Flags) -> float:
        """Return the cost of flipping the neurons ``turn``, bool ``[len(several)]``."""
        return float(self._costs(self._left(turn)))

    def improved(self, turn: Flags) -> Flags:
        """Flip one neuron, or two that share an input, the best first, as long as the cost falls.

        Where that ends, any of the neurons on one or two inputs flip together.
        """
        turn, meets = turn.copy(), (self._rows != 0).astype(float) @ (self._rows != 0).T > 0
        for _ in range(4 * len(turn)):
            moves = np.where(turn, -1.0, 1.0)[:, None] * self._rows
            after = self._left(turn) + moves
            least, best = self.cost(turn) - 1e-9, list[int]()
            costs = self._costs(after)
            if len(costs) and costs.min() < least:
                least, best = costs.min(), [int(costs.argmin())]
            for j in range(len(turn)) if not best else ():
                partners = np.flatnonzero(meets[j, :j])
                costs = self._costs(after[j] + moves[partners])
                if len(costs) and costs.min() < least:
                    least, best = costs.min(), [j, int(partners[costs.argmin()])]
            best = best or self._together(turn)
            if not best:
                break
            turn[best] = ~turn[best]
        return turn

    def _together(self, turn: Flags) -> list[int]:
        """Return the neurons on one input or two whose turns lower the cost most, none if no turns do.

        The first input has a rest, and one neuron at least has weights on both.
        """
        left, moves = self._left(turn), np.where(turn, -1.0, 1.0)[:, None] * self._rows
        rest, on = self._rests(left)[1], self._rows != 0
        worst = np.flatnonzero(rest)
        worst = worst if len(worst) <= WORST else worst[:0]  # such a network is not the right one yet
        least, best = self.cost(turn) - 1e-9, list[int]()
        for first in worst:
            for second in np.flatnonzero(on[on[:, first]].any(0)):
                size = 2.0 * np.abs(self._rows[:, first]) + np.abs(self._rows[:, second])
                here = np.argsort(-size, kind="stable")[: min(TOGETHER, np.count_nonzero(size))]
                flips = (np.arange(2 ** len(here))[:, None] >> np.arange(len(here))) & 1
                costs = self._costs(left + flips @ moves[here])
                if costs.min() < least:
                    least, best = costs.min(), [int(j) for j in here[flips[costs.argmin()] == 1]]
        return best

    def with_singles(self, turn: Flags) -> Flags:
        """Return all neurons to flip, bool ``[b]``."""
        out, left = np.zeros(len(self._w), dtype=bool), self._left(turn)
        out[self.several] = turn
        for j in self._singles:
            a = int(np.flatnonzero(self._w[j])[0]) if self._w[j].any() else 0
            if abs(left[a] + self._w[j, a]) < abs(left[a]):
                out[j] = True
                left[a] += self._w[j, a]
        return out


def unpaired(blocks: Blocks, room: int = 0, errors: Tensor | None = None) -> Blocks:
    """Write the skip connection as one-sparse neurons as far as possible, and drop the rest of it.

    A one-sparse neuron ``w relu(x_a)`` and the linear part ``c x_a`` on its input equal
    ``p relu(x_a) + q relu(-x_a)``. This is a pair of neurons if p and q are not negative, or if output signs are free.
    With free signs a pair is also possible on an input without such a neuron: ``c relu(x_a) - c relu(-x_a)``, the
    largest first, for at most ``room`` further neurons. Halves of up to three of the skip connection's standard
    ``errors`` ``[d]`` count as zero.
    """
    if blocks.skip is None:
        return blocks
    w, skip, free = blocks.weights.clone(), blocks.skip.clone(), blocks.outputs is not None
    largest = float(w.abs().max()) if len(w) else 0.0
    pairs = blocks.kept(torch.zeros_like(blocks.support))
    noise = torch.zeros_like(skip) if errors is None else CLEAR * errors
    for j in ((w != 0).sum(1) == 1).nonzero().flatten().tolist():
        a = int(w[j].nonzero())
        value, rest = float(blocks.slopes[j, a]), float(skip[a])
        halves = (value + rest, -rest) if float(w[j, a]) > 0.0 else (rest, -value - rest)
        least = max(TINY * abs(value), float(noise[a]))
        if free or min(halves) > -least:
            skip[a] = 0.0
            w[j] = 0.0
            pairs = pairs.joined(_pair(blocks, a, halves, least))
    found = replace(blocks, weights=w, skip=None).kept(w != 0).joined(pairs)
    spare = max(0, room + len(blocks.weights) - len(found.weights)) // 2 if free else 0
    for a in skip.abs().argsort(descending=True)[:spare].tolist():
        found = found.joined(_pair(blocks, a, (float(skip[a]), -float(skip[a])), TINY * largest))
    return found


def paired(blocks: Blocks) -> Blocks:
    """Write pairs of one-sparse neurons as one neuron and a part of the skip connection, which :func:`unpaired` undoes.

    ``p relu(x_a) + q relu(-x_a) = (p + q) relu(x_a) - q x_a``, for positive output signs.
    """
    w = blocks.weights
    single = (w != 0.0).sum(1) == 1
    sides = torch.stack([w[single].clamp(min=0.0).sum(0), (-w[single]).clamp(min=0.0).sum(0)])
    both = (sides > 0.0).all(0)
    left = torch.where(both, sides.sum(0), sides[0] - sides[1])
    rows = torch.cat([w[~single], torch.diag(left)[left != 0.0]])
    return Blocks(rows, rows != 0.0, torch.where(both, -sides[1], 0.0))


def _pair(like: Blocks, a: int, halves: tuple[float, float], least: float) -> Blocks:
    """Return the neurons ``p relu(x_a) + q relu(-x_a)``, ``halves = (p, q)``; drop a half of at most ``least``."""
    kept = [(half, side) for half, side in zip(halves, (1.0, -1.0), strict=True) if abs(half) > least]
    weights = like.weights.new_zeros(len(kept), like.weights.shape[1])
    for row, (half, side) in zip(weights, kept, strict=True):
        row[a] = side * abs(half)
    outputs = None if like.outputs is None else like.outputs.new_tensor([np.sign(half) for half, _ in kept])
    return Blocks(weights, weights != 0, None, outputs)


def merged(blocks: Blocks, cosine: float) -> Blocks:
    """Merge neurons, the closest first, while the cosine of two is above ``cosine`` or, if flipped, below its negative.

    Two neurons with different output signs leave their difference, with the sign of the larger neuron.
    """
    w, support, skip = blocks.weights.clone(), blocks.support.clone(), blocks.skip
    sign = torch.ones_like(w[:, 0]) if blocks.outputs is None else blocks.outputs.clone()
    live = torch.ones(len(w), dtype=torch.bool, device=w.device)
    unit = w / w.norm(dim=1, keepdim=True).clamp(min=1e-30)
    close = (unit @ unit.T).triu(1)
    if skip is None:
        close = close.clamp(min=0.0)
    for flat in close.abs().flatten().argsort(descending=True).tolist():
        i, j = divmod(flat, len(w))
        if abs(float(close[i, j])) < cosine:
            break
        if not (live[i] and live[j]):
            continue
        if float(close[i, j]) < 0.0 and skip is not None:
            skip = skip + sign[j] * w[j]
            w[j] = -w[j]
        total = w[i] + sign[i] * sign[j] * w[j]
        if blocks.outputs is not None and float(total @ unit[i]) < 0.0:
            total, sign[i] = -total, -sign[i]
        w[i] = total
        support[i] |= support[j]
        live[j] = False
    return Blocks(w[live], support[live], skip, None if blocks.outputs is None else sign[live])
