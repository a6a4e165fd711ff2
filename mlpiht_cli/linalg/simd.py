"""Vectors of floats as values in Numba kernels: each fills one register of the processor.

Loops that hold their sums in registers are written with these operations, because the compiler's own vectorisation of
plain loops goes through memory. A vector has ``lanes(dtype)`` floats. Masks are ``uint64`` words; an operation takes
the bits from ``shift`` on, one for each lane.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.registry import cpu_target
from numba.extending import intrinsic, models, register_model

BYTES = 64 if "+avx512f" in cpu_target.target_context.codegen().magic_tuple()[2] else 32
"""Size of a vector in bytes, for the processor that Numba compiles for; its cache of machine code goes by that, too.

On a processor with smaller registers LLVM splits each vector in two.
"""
INT64 = ir.IntType(64)


def operation(define: Callable[..., Any]) -> Any:
    """Make an operation for kernels of a function that gives its signature and code, as Numba's intrinsics do."""
    return intrinsic(define)


class Vector(types.Type):
    """Numba type of a vector of floats."""

    def __init__(self, dtype: types.Float) -> None:
        self.dtype, self.lanes = dtype, BYTES * 8 // dtype.bitwidth
        element = ir.FloatType() if dtype.bitwidth == 32 else ir.DoubleType()
        self.llvm = ir.VectorType(element, self.lanes)
        self.suffix = f"v{self.lanes}f{dtype.bitwidth}"
        super().__init__(name=f"Vector({dtype} x {self.lanes})")

    def chosen(self, builder: Any, word: Any, shift: Any) -> Any:
        """Return the bits of a word from ``shift`` on as one boolean for each lane."""
        bits = builder.trunc(builder.lshr(word, shift), ir.IntType(self.lanes))
        return builder.bitcast(bits, ir.VectorType(ir.IntType(1), self.lanes))

    def first(self, builder: Any, count: Any) -> Any:
        """Return one boolean for each lane: whether its number is below ``count``."""
        kind = ir.VectorType(INT64, self.lanes)
        return builder.icmp_signed("<", ir.Constant(kind, list(range(self.lanes))), _splat(builder, kind, count))

    def call(self, builder: Any, name: str, result: Any, args: list[Any]) -> Any:
        """Call an LLVM intrinsic."""
        kind = ir.FunctionType(result, [arg.type for arg in args])
        return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), args)


@register_model(Vector)
class _Model(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Vector) -> None:
        super().__init__(manager, kind, kind.llvm)


@operation
def lanes(typing: Any, array: Any) -> Any:
    """Return the number of lanes of vectors of the array's dtype."""
    count = Vector(array.dtype).lanes
    return types.int64(array), lambda context, builder, signature, args: INT64(count)


def _place(context: Any, builder: Any, kind: Any, args: tuple[Any, Any, Any]) -> Any:
    """Return a pointer to the vector from element ``[row, i]`` on, of an array whose rows are contiguous.

    ``row`` counts for an array with two axes.
    """
    array, row, i = args
    data, vector = context.make_array(kind)(context, builder, array), Vector(kind.dtype)
    start = builder.bitcast(data.data, ir.IntType(8).as_pointer())
    if kind.ndim == 2:
        stride = cgutils.unpack_tuple(builder, data.strides)[0]
        start = builder.gep(start, [builder.mul(row, stride)])
    at = builder.gep(builder.bitcast(start, vector.llvm.element.as_pointer()), [i])
    return builder.bitcast(at, vector.llvm.as_pointer())


@operation
def load(typing: Any, array: Any, row: Any, i: Any) -> Any:
    """Read ``array[row, i : i + lanes]``."""
    kind = Vector(array.dtype)

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        out = builder.load(_place(context, builder, array, args))
        out.align = array.dtype.bitwidth // 8
        return out

    return kind(array, types.int64, types.int64), code


@operation
def load_first(typing: Any, array: Any, row: Any, i: Any, count: Any) -> Any:
    """Read the first ``count`` floats of ``array[row, i : i + lanes]``; the other lanes are zero."""
    kind = Vector(array.dtype)

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        align = ir.IntType(32)(array.dtype.bitwidth // 8)
        given = [_place(context, builder, array, args[:3]), align, kind.first(builder, args[3])]
        zero = ir.Constant(kind.llvm, None)
        return kind.call(builder, f"llvm.masked.load.{kind.suffix}.p0", kind.llvm, [*given, zero])

    return kind(array, types.int64, types.int64, types.int64), code


@operation
def store(typing: Any, value: Any, array: Any, row: Any, i: Any) -> Any:
    """Write to ``array[row, i : i + lanes]``."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        out = builder.store(args[0], _place(context, builder, array, args[1:]))
        out.align = array.dtype.bitwidth // 8
        return context.get_dummy_value()

    return types.none(value, array, types.int64, types.int64), code


@operation
def store_first(typing: Any, value: Any, array: Any, at: Any, count: Any) -> Any:
    """Write the first ``count`` lanes to ``array[row, i : i + lanes]``, with ``at = (row, i)``."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        place = _place(context, builder, array, (args[1], *cgutils.unpack_tuple(builder, args[2], 2)))
        given = [args[0], place, ir.IntType(32)(array.dtype.bitwidth // 8), value.first(builder, args[3])]
        value.call(builder, f"llvm.masked.store.{value.suffix}.p0", ir.VoidType(), given)
        return context.get_dummy_value()

    return types.none(value, array, types.UniTuple(types.int64, 2), types.int64), code


def _splat(builder: Any, kind: Any, number: Any) -> Any:
    unknown, index = ir.Constant(kind, ir.Undefined), ir.VectorType(ir.IntType(32), kind.count)
    one = builder.insert_element(unknown, number, ir.IntType(32)(0))
    return builder.shuffle_vector(one, unknown, ir.Constant(index, None))


@operation
def splat(typing: Any, number: Any) -> Any:
    """Return a vector of equal floats."""
    kind = Vector(number)
    return kind(number), lambda context, builder, signature, args: _splat(builder, kind.llvm, args[0])


@operation
def fma(typing: Any, a: Any, b: Any, c: Any) -> Any:
    """Return ``a * b + c``, lane by lane."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return a.call(builder, f"llvm.fmuladd.{a.suffix}", a.llvm, list(args))

    return a(a, a, a), code


@operation
def add(typing: Any, a: Any, b: Any) -> Any:
    """Return ``a + b``, lane by lane."""
    return a(a, a), lambda context, builder, signature, args: builder.fadd(*args)


@operation
def subtract(typing: Any, a: Any, b: Any) -> Any:
    """Return ``a - b``, lane by lane."""
    return a(a, a), lambda context, builder, signature, args: builder.fsub(*args)


@operation
def keep(typing: Any, a: Any, word: Any, shift: Any) -> Any:
    """Return ``a`` with zeros in the lanes whose bit is not set."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.select(a.chosen(builder, *args[1:]), args[0], ir.Constant(a.llvm, None))

    return a(a, types.uint64, types.uint64), code


@operation
def add_kept(typing: Any, a: Any, b: Any, word: Any, shift: Any) -> Any:
    """Return ``a + b`` in the lanes whose bit is set, and ``a`` in the others."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.select(a.chosen(builder, *args[2:]), builder.fadd(*args[:2]), args[0])

    return a(a, a, types.uint64, types.uint64), code


@operation
def positive(typing: Any, a: Any, shift: Any) -> Any:
    """Return a word whose bits from ``shift`` on tell which lanes are above zero; its other bits are zero."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        above = builder.fcmp_ordered(">", args[0], ir.Constant(a.llvm, None))
        bits = builder.bitcast(above, ir.IntType(a.lanes))
        return builder.shl(builder.zext(bits, INT64), args[1])

    return types.uint64(a, types.uint64), code


@operation
def square(typing: Any, a: Any) -> Any:
    """Return the sum of the squares of all lanes, float64; squares of large numbers overflow float32."""
    wide = ir.VectorType(ir.DoubleType(), a.lanes)

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        value = builder.fpext(args[0], wide) if a.dtype.bitwidth == 32 else args[0]
        kind = ir.FunctionType(ir.DoubleType(), [ir.DoubleType(), wide])
        name = f"llvm.vector.reduce.fadd.v{a.lanes}f64"
        function = cgutils.get_or_insert_function(builder.module, kind, name)
        return builder.call(function, [ir.DoubleType()(0.0), builder.fmul(value, value)], fastmath=("reassoc",))

    return types.float64(a), code


@operation
def transpose(typing: Any, array: Any, rows: Any, at: Any, out: Any) -> Any:
    """Write ``out[c : c + lanes, i : i + lanes] = array[rows[i : i + lanes], c : c + lanes].T``, with ``at = (i, c)``.

    Each round interleaves the two halves of the rows, so that log2(lanes) rounds move every float to its place.
    """
    kind, half = Vector(array.dtype), Vector(array.dtype).lanes // 2
    index = ir.VectorType(ir.IntType(32), kind.lanes)
    pairs = [[e // 2 + e % 2 * kind.lanes + first for e in range(kind.lanes)] for first in (0, half)]

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        given, listed, target = args[0], context.make_array(rows)(context, builder, args[1]), args[3]
        i, c = cgutils.unpack_tuple(builder, args[2], 2)
        now = []
        for e in range(kind.lanes):
            row = builder.load(builder.gep(listed.data, [builder.add(i, INT64(e))]))
            now.append(builder.load(_place(context, builder, array, (given, row, c))))
            now[-1].align = array.dtype.bitwidth // 8
        for _ in range(kind.lanes.bit_length() - 1):
            halves = zip(now[:half], now[half:], strict=True)
            now = [builder.shuffle_vector(a, b, ir.Constant(index, pair)) for a, b in halves for pair in pairs]
        for e, vector in enumerate(now):
            place = _place(context, builder, out, (target, builder.add(c, INT64(e)), i))
            builder.store(vector, place).align = array.dtype.bitwidth // 8
        return context.get_dummy_value()

    return types.none(array, rows, types.UniTuple(types.int64, 2), out), code


@operation
def prefetch(typing: Any, array: Any, row: Any, i: Any) -> Any:
    """Ask for the line of the cache with ``array[row, i]``, without waiting; for few lines, which are read soon."""
    kinds = [ir.IntType(8).as_pointer(), *[ir.IntType(32)] * 3]

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        place = builder.bitcast(_place(context, builder, array, args), kinds[0])
        kind = ir.FunctionType(ir.VoidType(), kinds)
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        builder.call(function, [place, *(ir.IntType(32)(number) for number in (0, 3, 1))])
        return context.get_dummy_value()

    return types.none(array, types.int64, types.int64), code
