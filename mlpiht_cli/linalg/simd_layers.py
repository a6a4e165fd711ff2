"""Operations of vectors that the layers of a network need, in addition to those of :mod:`~mlpiht_cli.linalg.simd`."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from mlpiht_cli.linalg.simd import INT64, operation

BUILT_ON = "3faea860e9ac4fbf"
"""Start of the SHA-256 of ``simd.py``; see :data:`mlpiht_cli.linalg.loops.BUILT_ON`."""


def _pick(builder: Any, a: Any, b: Any, lanes: list[int]) -> Any:
    """Return the given lanes of two vectors side by side."""
    return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(ir.IntType(32), len(lanes)), lanes))


def _halve(builder: Any, a: Any, b: Any, group: int) -> Any:
    """Add the halves of every group of lanes; the first half of a group of the result is of ``a``, the last of ``b``.

    Lanes that keep their place cost no shuffle.
    """
    lanes, half = range(a.type.count), group // 2
    first = [lane % group < half for lane in lanes]
    stay = [lane if is_a else lane + a.type.count for lane, is_a in zip(lanes, first, strict=True)]
    move = [lane + half if is_a else lane - half + a.type.count for lane, is_a in zip(lanes, first, strict=True)]
    return builder.fadd(_pick(builder, a, b, stay), _pick(builder, a, b, move))


def _sums(builder: Any, vectors: list[Any]) -> list[tuple[Any, int]]:
    """Return where the sum of the lanes of each vector, at most as many as lanes, is: a vector and a lane."""
    count, group = len(vectors), vectors[0].type.count
    while len(vectors) > 1:
        half = len(vectors) // 2
        vectors = [_halve(builder, vectors[i], vectors[half + i], group) for i in range(half)]
        group //= 2
    (sums,), size = vectors, group
    while group > 1:
        group //= 2
        other = [lane ^ group for lane in range(sums.type.count)]
        sums = builder.fadd(sums, _pick(builder, sums, sums, other))
    return [(sums, i * size) for i in range(count)]


@operation
def fetch(typing: Any, array: Any, i: Any) -> Any:
    """Read ``array[i]``, so that it is in the cache; the processor drops mere hints if they are many."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = context.make_array(array)(context, builder, args[0])
        at = builder.bitcast(builder.gep(data.data, [args[1]]), ir.IntType(32).as_pointer())
        builder.asm(ir.FunctionType(ir.VoidType(), [ir.IntType(32)]), "", "r", [builder.load(at)], side_effect=True)
        return context.get_dummy_value()

    return types.none(array, types.int64), code


@operation
def relu(typing: Any, a: Any) -> Any:
    """Return ``a`` with zeros for the lanes below zero; nan stays."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        zero = ir.Constant(a.llvm, None)
        return builder.select(builder.fcmp_ordered("<", args[0], zero), zero, args[0])

    return a(a), code


@operation
def where_active(typing: Any, active: Any, a: Any) -> Any:
    """Return ``a`` with zeros for the lanes where ``active`` is not above zero."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        zero = ir.Constant(a.llvm, None)
        return builder.select(builder.fcmp_ordered(">", args[0], zero), args[1], zero)

    return a(a, a), code


@operation
def add_totals(typing: Any, vectors: Any, array: Any, place: Any, shape: Any) -> Any:
    """Add the sums of the lanes of vectors, a tuple of rows of four, to float64 ``array[place + r * stride + c]``.

    ``shape`` is the number of rows, the number of columns, and ``stride``; the sums of further vectors are dropped.
    """
    lanes, wide, index = vectors.dtype.lanes, ir.VectorType(ir.DoubleType(), 4), ir.VectorType(INT64, 4)

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        every, found = cgutils.unpack_tuple(builder, args[0]), []
        for first in range(0, len(every), lanes):
            found += _sums(builder, every[first : first + lanes])
        rows, cols, stride = cgutils.unpack_tuple(builder, args[3])
        one = builder.insert_element(ir.Constant(index, ir.Undefined), cols, ir.IntType(32)(0))
        chosen = builder.icmp_signed("<", ir.Constant(index, [0, 1, 2, 3]), _pick(builder, one, one, [0] * 4))
        data = context.make_array(array)(context, builder, args[1])
        for r in range(len(every) // 4):
            with builder.if_then(builder.icmp_signed(">", rows, INT64(r))):
                start = builder.add(args[2], builder.mul(stride, INT64(r)))
                at = builder.bitcast(builder.gep(data.data, [start]), wide.as_pointer())
                sums = _pick(builder, found[4 * r][0], found[4 * r][0], [lane for _, lane in found[4 * r : 4 * r + 4]])
                sums = sums if vectors.dtype.dtype.bitwidth == 64 else builder.fpext(sums, wide)
                more = [at, ir.IntType(32)(8), chosen]
                zero = ir.Constant(wide, None)
                before = vectors.dtype.call(builder, "llvm.masked.load.v4f64.p0", wide, [*more, zero])
                after = [builder.fadd(before, sums), *more]
                vectors.dtype.call(builder, "llvm.masked.store.v4f64.p0", ir.VoidType(), after)
        return context.get_dummy_value()

    return types.none(vectors, array, types.int64, types.UniTuple(types.int64, 3)), code


@operation
def add_halves(typing: Any, a: Any, array: Any, row: Any) -> Any:
    """Add the sum of the two halves of ``a`` to ``array[row]``, which has half as many floats as a vector."""
    half = a.lanes // 2
    kind = ir.VectorType(a.llvm.element, half)

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = context.make_array(array)(context, builder, args[1])
        at = builder.gep(data.data, [builder.mul(args[2], INT64(half))])
        at = builder.bitcast(at, kind.as_pointer())
        more = builder.fadd(*(_pick(builder, args[0], args[0], [*range(i, i + half)]) for i in (0, half)))
        before = builder.load(at)
        before.align = a.dtype.bitwidth // 8
        builder.store(builder.fadd(before, more), at).align = a.dtype.bitwidth // 8
        return context.get_dummy_value()

    return types.none(a, array, types.int64), code
