"""Named random streams: the only place that makes random generators.

Every random number of an experiment comes from one stream of :class:`Streams`. So a data set, an initialisation or a
gate depends only on the seed and the name of the stream, never on earlier runs. All streams draw on the CPU: data and
initial weights are the same on every device.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

# Stream identifiers of the counter-based generator. The meaning of a number never changes.
_GATES, _SPLIT, _REVIVAL, _HASHES, _START, _PAIRS, _MOVES, _RESTART = range(1, 9)
_DIRECTIONS, _INPUTS, _NOISE, _TEST, _NEURONS, _COORDINATES, _READOUT, _SIGNS = range(16, 24)
_PLANTED, _SUPPORTS, _MASKS, _RELAXATION = range(24, 28)
_ROWS = 4096  # samples of planted inputs drawn at a time, which limits the float64 numbers
_LAYER = 2**16  # layer i of a layerwise fit draws from streams _GATES + i * _LAYER, ...
_RESTARTS = 2**40  # restart i of a method draws from streams _GATES + i * _RESTARTS, ...


@dataclass(frozen=True)
class NormalRows:
    """A virtual matrix of independent N(0, 1) rows; any block of rows can be drawn on its own.

    Row ``j`` depends only on ``(key, j)``: a counter-based generator (Philox) starts at the counter range of the row,
    and the Box-Muller transform uses a fixed number of draws per row. So gate ``j`` is the same for any width ``m``
    and any tile size, and an array of ``m * d`` numbers is not needed.
    """

    key: tuple[int, int]
    dim: int

    def rows(self, start: int, stop: int) -> NDArray[np.float64]:
        """Return rows ``start`` to ``stop - 1``, shape ``[stop - start, dim]``, float64."""
        radius, angle = np.split(_uniform_rows(self.key, self.dim, start, stop), 2, axis=1)
        radius, angle = np.sqrt(-2.0 * np.log(radius)), 2.0 * np.pi * angle
        return np.concatenate([radius * np.cos(angle), radius * np.sin(angle)], axis=1)[:, : self.dim]


@dataclass(frozen=True)
class UniformRows:
    """A virtual matrix of independent rows, uniform on (-1, 1), drawn as those of :class:`NormalRows`.

    Row ``j`` depends only on ``(key, j)`` and is the same at every call.
    """

    key: tuple[int, int]
    dim: int

    def rows(self, start: int, stop: int) -> NDArray[np.float64]:
        """Return rows ``start`` to ``stop - 1``, shape ``[stop - start, dim]``, float64."""
        return 2.0 * _uniform_rows(self.key, self.dim, start, stop)[:, : self.dim] - 1.0


def _uniform_rows(key: tuple[int, int], dim: int, start: int, stop: int) -> NDArray[np.float64]:
    """Return numbers uniform on (0, 1), ``[stop - start, 4 ceil(dim / 4)]``: each row has its own counter range."""
    blocks = -(-dim // 4)  # one counter step of Philox gives four 64-bit words
    bits = np.random.Philox(key=np.array(key, dtype=np.uint64), counter=[start * blocks, 0, 0, 0])
    words = np.asarray(bits.random_raw((stop - start) * blocks * 4)).reshape(stop - start, 4 * blocks)
    return ((words >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53


@dataclass(frozen=True)
class Permutations:
    """Random orders of samples, one after the other from one torch generator."""

    generator: torch.Generator

    def draw(self, n: int) -> torch.Tensor:
        """Return the next order of ``n`` samples, int64 ``[n]``."""
        return torch.randperm(n, generator=self.generator)


@dataclass(frozen=True)
class HashFunctions:
    """Pairwise independent hash functions from keys to buckets and signs, by multiply-shift (Dietzfelbinger 1996).

    A function takes the upper 32 bits of ``(a x + b) mod 2^64``: the last of them is the sign, the others the bucket.

    Attributes
    ----------
    words
        Multiplier ``a`` and offset ``b`` of each function, int64 ``[count, 2]``.
    width
        Number of buckets, below 2^31.
    """

    words: NDArray[np.int64]
    width: int

    def codes(self, keys: NDArray[np.int64]) -> NDArray[np.int32]:
        """Return the codes of keys below 2^32, int32 ``[*keys.shape, count]``.

        The code of a positive sign is the bucket, that of a negative one its bitwise complement.
        """
        codes = np.empty((*keys.shape, len(self.words)), dtype=np.int32)
        for i, (a, b) in enumerate(self.words):
            with np.errstate(over="ignore"):  # products wrap around, as intended
                bits = (keys * a + b).view(np.uint64) >> np.uint64(32)
            bucket = ((bits >> np.uint64(1)) * np.uint64(self.width) >> np.uint64(31)).astype(np.int32)
            codes[..., i] = np.where(bits & np.uint64(1), bucket, ~bucket)
        return codes


Block = NDArray[np.floating[Any]]
"""Some samples, one a row."""


class Drawn(Hashable, Protocol):
    """A distribution of samples; equal ones draw equal samples."""

    def blocks(self, generator: np.random.Generator, n: int, d: int, rows: int, /) -> Iterator[Block]:
        """Draw ``n`` samples of ``d`` features in blocks of ``rows`` and a last, smaller one, float64."""
        ...


class Prepared(Hashable, Protocol):
    """A map of samples ``[n, d]`` as a whole; equal ones map alike."""

    def __call__(self, x: NDArray[np.float32], /) -> None:
        """Replace the samples by what becomes of them, in their memory."""
        ...


@dataclass(frozen=True)
class _PaperInputs:
    """Standard normal inputs from NumPy's legacy generator, as in the paper's reference code."""

    seed: int

    def blocks(self, generator: np.random.Generator, n: int, d: int, rows: int, /) -> Iterator[Block]:
        """Draw the samples; the given generator is not used."""
        legacy = np.random.RandomState(self.seed)
        return (legacy.normal(size=(min(rows, n - start), d)) for start in range(0, n, rows))


@dataclass(frozen=True)
class Streams:
    """The random streams of one seed.

    The planted weights and inputs and the Fourier stream, with their offsets and their legacy generator, follow the
    paper's reference code; mlpiht adds the other streams.
    """

    seed: int
    layer: int = 0
    restart: int = 0
    _inputs: dict[tuple[int, int, Drawn | None, Prepared | None], torch.Tensor] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def for_layer(self, layer: int) -> Streams:
        """Return the streams of one layer of a layerwise fit; the draws of a layer depend on no other layer."""
        return Streams(self.seed, layer, self.restart)

    def for_restart(self, restart: int) -> Streams:
        """Return the streams of one more random start of a method; those of restart 0 are these."""
        return Streams(self.seed, self.layer, restart) if restart else self

    def _key(self, stream: int) -> tuple[int, int]:
        return stream + _LAYER * self.layer + _RESTARTS * self.restart, self.seed

    def _torch_seed(self, offset: int) -> int:
        """Return the seed of a torch generator: an offset of the seed, or for a restart a number drawn for it."""
        if not self.restart:
            return self.seed + offset
        return int(self._generator(_RESTART).integers(2**32)) + offset  # torch takes 32 bits of a seed

    def _generator(self, stream: int) -> np.random.Generator:
        return np.random.Generator(np.random.Philox(key=np.array(self._key(stream), dtype=np.uint64)))

    def planted_weights(self) -> np.random.RandomState:
        """Generator of the planted weights (``RandomState(seed + 1)``)."""
        return np.random.RandomState(self.seed + 1)

    def planted_inputs(
        self, n: int, d: int, drawn: Drawn | None = None, prepare: Prepared | None = None
    ) -> torch.Tensor:
        """Planted inputs ``[n, d]`` in float32: never write to them.

        They are standard normal (``RandomState(seed + 2)``), or ``drawn`` block by block from a stream of their own; if
        asked for, all are then prepared together. The last ones live as long as the streams: another call returns the
        same tensor, other ones free it first.
        """
        key = n, d, drawn, prepare
        if key not in self._inputs:
            self._inputs.clear()
            x, source = np.empty((n, d), dtype=np.float32), _PaperInputs(self.seed + 2) if drawn is None else drawn
            for start, block in zip(
                range(0, n, _ROWS), source.blocks(self._generator(_PLANTED), n, d, _ROWS), strict=True
            ):
                x[start : start + _ROWS] = block
            if prepare is not None:
                prepare(x)
            self._inputs[key] = torch.from_numpy(x)
        return self._inputs[key]

    def planted_signs(self) -> np.random.Generator:
        """Generator of the planted network's output signs, neuron by neuron."""
        return self._generator(_SIGNS)

    def fourier(self) -> np.random.RandomState:
        """Generator of random Fourier features (``RandomState(seed)``)."""
        return np.random.RandomState(self.seed)

    def batch_order(self) -> Permutations:
        """Orders of the samples in minibatches (torch, ``seed + 3``)."""
        return Permutations(torch.Generator().manual_seed(self._torch_seed(3)))

    def initial_weights(self) -> torch.Generator:
        """Generator of a dense network's initial weights (torch, ``seed``)."""
        return torch.Generator().manual_seed(self._torch_seed(0))

    def gates(self, dim: int) -> NormalRows:
        """Random gate vectors ``h_j ~ N(0, I_dim)``, one row per neuron."""
        return NormalRows(self._key(_GATES), dim)

    def split(self) -> np.random.Generator:
        """Generator of train/test splits."""
        return self._generator(_SPLIT)

    def revival(self, dim: int) -> UniformRows:
        """Numbers that empty blocks of weights restart from, one row per neuron: the same at every restart."""
        return UniformRows(self._key(_REVIVAL), dim)

    def start(self) -> np.random.Generator:
        """Generator of a random sparse vector that a solver starts from."""
        return self._generator(_START)

    def pairs(self) -> np.random.Generator:
        """Generator of the pairs of points that a smoothness constant is estimated on."""
        return self._generator(_PAIRS)

    def moves(self) -> np.random.Generator:
        """Generator of the random starts of a search over supports."""
        return self._generator(_MOVES)

    def supports(self) -> np.random.Generator:
        """Generator of random supports, whose eigenvalues are compared with those of supports that are searched for."""
        return self._generator(_SUPPORTS)

    def masks(self) -> np.random.Generator:
        """Generator of random masks of a sparse network, and of the weights that it grows at random."""
        return self._generator(_MASKS)

    def hashes(self, count: int, width: int) -> HashFunctions:
        """Random hash functions to ``width`` buckets, ``count`` of them."""
        bits = self._generator(_HASHES).integers(-(2**63), 2**63 - 1, size=(count, 2), dtype=np.int64, endpoint=True)
        return HashFunctions(np.asarray(bits), width)

    def directions(self) -> np.random.Generator:
        """Generator of the planted directions of an index model."""
        return self._generator(_DIRECTIONS)

    def inputs(self) -> np.random.Generator:
        """Generator of an index model's inputs, sample by sample: a larger set begins with the smaller one."""
        return self._generator(_INPUTS)

    def noise(self) -> np.random.Generator:
        """Generator of the noise of training labels, sample by sample."""
        return self._generator(_NOISE)

    def test_set(self) -> np.random.Generator:
        """Generator of an index model's test inputs and then their noise."""
        return self._generator(_TEST)

    def neurons(self) -> np.random.Generator:
        """Generator of the neurons that feature learning starts from."""
        return self._generator(_NEURONS)

    def coordinates(self) -> np.random.Generator:
        """Generator of randomly kept coordinates."""
        return self._generator(_COORDINATES)

    def readout(self) -> np.random.Generator:
        """Generator of the read-out's random features: the neuron, its sign and its bias."""
        return self._generator(_READOUT)

    def relaxation(self) -> np.random.Generator:
        """Generator of the noise of random weights in training: of their gates, and of their values."""
        return self._generator(_RELAXATION)
