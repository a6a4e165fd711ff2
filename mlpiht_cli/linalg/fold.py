"""Compiled selection: blocks of new entries join the entries held, of which the best s stay.

An entry is held in a slot; the order of the slots has no meaning. A dropped entry makes room for the last one.
"""

from __future__ import annotations

import numpy as np

from mlpiht_cli.linalg.jit import kernel

LARGEST = 1e300
"""Rank of infinite estimates: below that of NaN, which is infinite."""


@kernel
def _signed(table, codes, i, h):  # type: ignore[no-untyped-def]
    """Return what row ``h`` of the sketch says of entry ``i``; a negative code is the complement of a bucket."""
    code = codes[i, h]
    sign = code >> 31
    value = table[h, np.uint32(code ^ sign)]  # unsigned: it needs no check for places from the end
    return value if sign == 0 else -value


@kernel
def _add(table, codes, update):  # type: ignore[no-untyped-def]
    """Add the updates of a block to the sketch, in the sketch's precision, entry by entry."""
    kind = table.dtype.type
    for h in range(len(table)):
        row = table[h]
        for c in range(len(update)):
            value, code = kind(update[c]), codes[c, h]
            sign = code >> 31
            row[np.uint32(code ^ sign)] += value if sign == 0 else -value


@kernel
def _estimate(table, codes, i):  # type: ignore[no-untyped-def]
    """Return the estimate of entry ``i``; that of four rows is the mean of the middle two. NaN where a row is NaN."""
    if len(table) == 1:
        return _signed(table, codes, i, 0)
    a, b = _signed(table, codes, i, 0), _signed(table, codes, i, 1)
    c, d = _signed(table, codes, i, 2), _signed(table, codes, i, 3)
    lower, upper = max(min(a, b), min(c, d)), min(max(a, b), max(c, d))
    found = (lower + upper) * table.dtype.type(0.5)
    is_known = (a == a) & (b == b) & (c == c) & (d == d)
    return found if is_known else a + b + c + d


@kernel
def _rank(table, codes, values, count, rank):  # type: ignore[no-untyped-def]
    """Rank the first ``count`` entries by the magnitudes of their estimates; without a table, of their values.

    NaN ranks above all, so that divergence stays visible. A value of zero has the rank -1: it is no entry.
    """
    for i in range(count):
        found = np.float64(_estimate(table, codes, i) if len(table) else values[i])
        size = min(abs(found), LARGEST) if found == found else np.inf
        rank[i] = size if values[i] != 0 else -1.0


@kernel
def _largest(values, count, s):  # type: ignore[no-untyped-def]
    """Return the ``s``-th largest of the first ``count`` values, which it shuffles (Hoare's selection)."""
    low, high, place = 0, count - 1, count - s
    while low < high:
        a, b, c = values[low], values[(low + high) // 2], values[high]
        pivot = max(min(a, b), min(max(a, b), c))
        i, j = low, high
        while i <= j:
            while values[i] < pivot:
                i += 1
            while values[j] > pivot:
                j -= 1
            if i <= j:
                values[i], values[j] = values[j], values[i]
                i += 1
                j -= 1
        if place <= j:
            high = j
        elif place >= i:
            low = i
        else:
            break
    return values[place]


@kernel
def _put(held, to, entries, i):  # type: ignore[no-untyped-def]
    """Copy entry ``i`` of some keys, values and codes to the slot ``to``."""
    keys, values, codes = entries
    held.keys[to], held.values[to] = keys[i], values[i]
    for h in range(codes.shape[1]):
        held.codes[to, h] = codes[i, h]


@kernel
def _drop(held, count, i):  # type: ignore[no-untyped-def]
    """Free a slot by the last one; return how many entries are left."""
    _put(held, i, (held.keys, held.values, held.codes), count - 1)
    held.rank[i] = held.rank[count - 1]
    return count - 1


@kernel
def _least_key(held, count, keys, least, room):  # type: ignore[no-untyped-def]
    """Return the least key that an entry of rank ``least`` needs, if ``room`` such entries stay."""
    rank, size = held.rank, len(keys)
    above, ties = 0, 0
    for i in range(count + size):
        above += rank[i] > least
        ties += rank[i] == least
    if ties <= room - above:
        return np.int64(0)
    tied = np.concatenate((held.keys[:count][rank[:count] == least], keys[rank[count : count + size] == least]))
    return np.sort(tied)[ties - (room - above)]


@kernel
def _without(held, count, first, last):  # type: ignore[no-untyped-def]
    """Drop the entries whose keys lie from ``first`` to ``last``; return how many are left."""
    i = 0
    while i < count:
        if first <= held.keys[i] <= last:
            count = _drop(held, count, i)
        else:
            i += 1
    return count


@kernel
def _reaches(held, count, size):  # type: ignore[no-untyped-def]
    """Whether a new entry has at least the least rank of those held."""
    least, most = np.inf, -1.0
    for i in range(count):
        least = min(least, held.rank[i])
    for c in range(size):
        most = max(most, held.fresh[c])
    return most >= least


@kernel
def _cut(held, count, keys, s):  # type: ignore[no-untyped-def]
    """Drop the entries that are not among the best ``s`` of those held and the new ones.

    Returns how many are left, and the least rank and, at this rank, the least key with which a new entry joins them.
    """
    size = len(keys)
    held.order[:count], held.order[count : count + size] = held.rank[:count], held.fresh[:size]
    held.rank[count : count + size] = held.fresh[:size]
    least = _largest(held.order, count + size, s)
    from_key = _least_key(held, count, keys, least, s)
    i = 0
    while i < count:
        if held.rank[i] < least or (held.rank[i] == least and held.keys[i] < from_key):
            count = _drop(held, count, i)
        else:
            i += 1
    return count, least, from_key


@kernel
def _join(table, held, count, block, s):  # type: ignore[no-untyped-def]
    """Replace the entries of a block among those held, and keep the best ``s``.

    The last item of ``block`` says whether the ranks of the entries held are those of the table. Returns how many are
    held then, and whether the ranks are.
    """
    keys, values, codes, ranked = block
    count, size, more = _without(held, count, keys[0], keys[-1]), len(keys), 0
    for c in range(size):
        more += values[c] != 0
        held.fresh[c] = 0.0 if values[c] != 0 else -1.0
    least, from_key, is_full = 0.0, np.int64(0), count + more > s
    if is_full:
        if not ranked:
            _rank(table, held.codes, held.values, count, held.rank)
        _rank(table, codes, values, size, held.fresh)
        if count == s and not _reaches(held, count, size):
            return count, True
        count, least, from_key = _cut(held, count, keys, s)
    for c in range(size):
        if held.fresh[c] > least or (held.fresh[c] == least and keys[c] >= from_key):
            _put(held, count, (keys, values, codes), c)
            held.rank[count] = held.fresh[c]
            count += 1
    return count, is_full


@kernel
def add(table, moved):  # type: ignore[no-untyped-def]
    """Add the updates of a tile of neurons to the sketch."""
    for j in range(len(moved.keys)):
        _add(table, moved.codes[j], moved.update[j])


@kernel
def fold(table, held, count, moved, rules):  # type: ignore[no-untyped-def]
    """Let the blocks of a tile join the entries held one after the other; return how many entries are held then.

    Each block is added to the sketch first if the rules say so. More than ``s`` entries are cut to the best ``s`` at
    once.
    """
    d, ranked = rules.d, False
    for j in range(len(moved.keys)):
        for part in range(2):
            p, q = (0, d) if part == 0 else (d, moved.keys.shape[1])
            codes, update = moved.codes[j, p:q], moved.update[j, p:q]
            if rules.adds and update.any():
                _add(table, codes, update)
                ranked = False
            block = moved.keys[j, p:q], moved.values[j, p:q], codes, ranked
            count, ranked = _join(table, held, count, block, rules.s)
    return count
