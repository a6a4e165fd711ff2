"""Networks as few bytes: what their nonzero weights and the places of these weigh when they are stored.

A packed network is what a file of it needs and no more: the sizes of its layers, the places of the nonzeros as gaps
between them, and the values. Integers take 7 bits a byte (LEB128, the varint of protocol buffers); the bytes of values
lie plane by plane, exponents together. Places and values are deflated (RFC 1951) where that makes them smaller.
"""

from __future__ import annotations

import zlib
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from mlpiht_cli.core.model import SparseMLP
from mlpiht_cli.core.model_arrays import MAX_SIDE
from mlpiht_cli.linalg.sparse import SparseMatrix

if TYPE_CHECKING:
    from torch import Tensor

_DOUBLE, _GATED, _BIASED, _READ_OUT, _SIGNED, _FREE = (1 << i for i in range(6))
"""Flags: 8 bytes a value; gates; biases; a readout, which is not all +1 (_SIGNED), nor all +1 and -1 (_FREE)."""
_SEVEN, _MORE = 7, 1 << 7
_MOST_BYTES = 9
"""Bytes of the longest integer, of 63 bits."""
_RAW_DEFLATE = -15
"""What zlib calls a stream without header and checksum."""


def packed_size(model: SparseMLP) -> int:
    """Bytes of a network as :func:`pack` stores it."""
    return len(pack(model))


def pack(model: SparseMLP) -> bytes:
    """Store a network; :func:`unpack` returns it.

    Weights, biases and gates keep their bits, in 4 bytes a number or in 8 if the network is in float64. What no
    prediction needs is left out: entries that are zero, and gates and output signs of neurons without weights.
    """
    layers, flags, signs = [layer.compact() for layer in model.layers], 0, b""
    sizes = [len(layers), layers[0].cols, *(layer.rows for layer in layers)]
    matrices, numbers = [*layers], [layer.values for layer in layers]
    if model.dtype == torch.float64:
        flags |= _DOUBLE
    if model.gates is not None:
        flags |= _GATED
        matrices.append(_of_rows(model.gates.compact(), layers[0].live_rows()))
        numbers.append(matrices[-1].values)
    if model.bias is not None:
        flags |= _BIASED
        numbers.append(model.bias)
    if model.readout is not None:
        needed = model.readout[_needed_signs(model)]
        is_plain, is_sign = bool((needed == 1).all()), bool((needed.abs() == 1).all())
        flags |= _READ_OUT | (0 if is_plain else _SIGNED) | (0 if is_sign else _FREE)
        numbers += [] if is_sign else [needed]
        signs = b"" if is_plain or not is_sign else np.packbits((needed < 0).cpu().numpy()).tobytes()
    gaps = b"".join(_varints(np.diff(one.index.cpu().numpy(), prepend=-1) - 1) for one in matrices)
    kind = "<f8" if flags & _DOUBLE else "<f4"
    values = np.concatenate([one.cpu().numpy().astype(kind) for one in numbers])
    planes = values.view(np.uint8).reshape(len(values), values.itemsize).T.tobytes()
    counts = [len(one.index) for one in matrices]
    return bytes([flags]) + _varints(np.array([*sizes, *counts])) + _smaller(gaps) + _smaller(planes) + signs


def unpack(data: bytes) -> SparseMLP:
    """Return the network that :func:`pack` stored; output signs of neurons without weights are +1.

    Raises
    ------
    ValueError
        The bytes are no packed network.
    """
    if not data:
        raise ValueError("no packed network: it is empty")
    flags, reader = data[0], _Reader(data[1:])
    depth, cols = reader.integers(2)
    rows = reader.integers(depth)
    counts = reader.integers(depth + bool(flags & _GATED))
    if not depth or not all(0 < side < MAX_SIDE for side in (cols, *rows)):
        raise ValueError("no packed network: a layer has no size")
    shapes = [(b, a) for a, b in pairwise([cols, *rows])] + [(rows[0], cols)] * bool(flags & _GATED)
    if any(count > a * b for count, (a, b) in zip(counts, shapes, strict=True)):
        raise ValueError("no packed network: it has more weights than places")
    gaps = _Reader(reader.part(_MOST_BYTES * sum(counts)))
    places = [np.cumsum(np.array(gaps.integers(count), dtype=np.int64) + 1) - 1 for count in counts]
    kind = np.dtype("<f8" if flags & _DOUBLE else "<f4")
    planes = np.frombuffer(reader.part((sum(counts) + rows[0] + rows[-1]) * kind.itemsize), dtype=np.uint8)
    if len(planes) % kind.itemsize:
        raise ValueError("no packed network: half a value is left")
    values = _Values(planes.reshape(kind.itemsize, -1).T.copy().view(kind).flatten())
    matrices = [_matrix(index, values, *shape) for index, shape in zip(places, shapes, strict=True)]
    model = SparseMLP(tuple(matrices[:depth]), gates=matrices[depth] if flags & _GATED else None)
    if flags & _BIASED:
        model = replace(model, bias=values.take(rows[0]))
    return _with_readout(model, flags, values, reader) if flags & _READ_OUT else model


def _with_readout(model: SparseMLP, flags: int, values: _Values, reader: _Reader) -> SparseMLP:
    needed, last = _needed_signs(model), model.layers[-1]
    readout = last.values.new_ones(last.rows)
    if flags & _FREE:
        readout[needed] = values.take(len(needed))
    elif flags & _SIGNED:
        bits = np.unpackbits(np.frombuffer(reader.take(-(-len(needed) // 8)), dtype=np.uint8), count=len(needed))
        readout[needed] = torch.from_numpy(1.0 - 2.0 * bits).to(readout)
    return replace(model, readout=readout)


def _matrix(index: NDArray[np.int64], values: _Values, rows: int, cols: int) -> SparseMatrix:
    if (index < 0).any() or (index >= rows * cols).any():
        raise ValueError("no packed network: a weight is out of place")
    return SparseMatrix(torch.from_numpy(index), values.take(len(index)), rows, cols)


def _needed_signs(model: SparseMLP) -> Tensor:
    """Neurons of the last layer that may be other than zero."""
    last = model.layers[-1].compact()
    every = len(model.layers) == 1 and model.bias is not None
    return torch.arange(last.rows, device=last.index.device) if every else last.live_rows()


def _of_rows(matrix: SparseMatrix, rows: Tensor) -> SparseMatrix:
    kept = torch.isin(matrix.row, rows)
    return SparseMatrix(matrix.index[kept], matrix.values[kept], matrix.rows, matrix.cols)


def _varints(numbers: NDArray[np.int64]) -> bytes:
    """Integers from 0 up in 7 bits a byte, the lowest first; the eighth bit says that more follow."""
    if not len(numbers):
        return b""
    shifted = numbers[:, None] >> np.arange(0, _SEVEN * max(1, -(-int(numbers.max()).bit_length() // _SEVEN)), _SEVEN)
    there = np.concatenate([np.ones((len(numbers), 1), dtype=bool), shifted[:, 1:] > 0], axis=1)
    follows = np.concatenate([there[:, 1:], np.zeros((len(numbers), 1), dtype=bool)], axis=1)
    coded: NDArray[np.uint8] = ((shifted & (_MORE - 1)) | (follows * _MORE)).astype(np.uint8)
    return bytes(coded[there])


def _smaller(data: bytes) -> bytes:
    """Bytes with their length, deflated if that is shorter."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, _RAW_DEFLATE)
    short = deflate.compress(data) + deflate.flush()
    is_short = len(short) < len(data)
    kept = short if is_short else data
    return _varints(np.array([2 * len(kept) + is_short])) + kept


class _Values:
    """Values that are taken one part after the other."""

    def __init__(self, values: NDArray[np.floating]) -> None:
        self._rest = torch.from_numpy(values)

    def take(self, count: int) -> Tensor:
        taken, self._rest = self._rest[:count], self._rest[count:]
        if len(taken) < count:
            raise ValueError("no packed network: it ends too early")
        return taken.clone()


class _Reader:
    """Bytes that are read one part after the other."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def take(self, count: int) -> bytes:
        """The next bytes."""
        found = self._data[self._at : self._at + count]
        if len(found) < count:
            raise ValueError("no packed network: it ends too early")
        self._at += count
        return found

    def integers(self, count: int) -> list[int]:
        """The next integers of :func:`_varints`."""
        if count > len(self._data) - self._at:
            raise ValueError("no packed network: it ends too early")
        return [self._integer() for _ in range(count)]

    def _integer(self) -> int:
        number = 0
        for i in range(_MOST_BYTES):
            byte = self.take(1)[0]
            number |= (byte % _MORE) << (_SEVEN * i)
            if byte < _MORE:
                return number
        raise ValueError("no packed network: an integer is too long")

    def part(self, most: int) -> bytes:
        """The next part of :func:`_smaller`, of ``most`` bytes at most."""
        length, is_short = divmod(self.integers(1)[0], 2)
        data = self.take(length)
        if not is_short:
            return data
        inflate = zlib.decompressobj(_RAW_DEFLATE)
        try:
            found = inflate.decompress(data, most + 1)
        except zlib.error as error:
            raise ValueError(f"no packed network: {error}") from error
        if len(found) > most:
            raise ValueError("no packed network: a part is too long")
        return found
