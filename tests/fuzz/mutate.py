"""Damaged and hostile variants of good files, from a seed."""

from __future__ import annotations

import random

LARGE = (b"9007199254740993", b"1" + b"0" * 29, b"9" * 5000)
NUMBERS = (
    *LARGE,
    b"0",
    b"007",
    b"-1",
    b"1e999",
    b"nan",
    b"99999999999999999999",
    b"0x10",
    b"1_0",
    b"1e-3",
    b"true",
    b"",
)
TAGS = (b"!!a ", b"!!bool ", b"!!timestamp ", b"&a ", b"*a")
SIGNS = (*TAGS, b"\x00", b"\xff\xfe", b"\n", b"\r", b"\t", b'"', b"'", b",", b";", b"|", b"%", b":", b"[", b"{", b"}")
INTEGERS = (0, 1, 127, 128, 255, 256, 65535, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1)


def mutated(good: bytes, random_state: random.Random) -> bytes:
    """Apply one to four random changes."""
    data = bytearray(good)
    for _ in range(random_state.randint(1, 4)):
        random_state.choice(CHANGES)(data, random_state)
        if len(data) > 3 * len(good) + 20_000:
            break
    return bytes(data)


def _span(data: bytearray, rng: random.Random) -> slice:
    start = rng.randint(0, len(data))
    return slice(start, min(len(data), start + int(rng.expovariate(1 / 20)) + 1))


def _flip(data: bytearray, rng: random.Random) -> None:
    if data:
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def _cut(data: bytearray, rng: random.Random) -> None:
    del data[rng.randint(0, len(data)) :]


def _drop(data: bytearray, rng: random.Random) -> None:
    del data[_span(data, rng)]


def _double(data: bytearray, rng: random.Random) -> None:
    part = bytes(data[_span(data, rng)])
    at = rng.randint(0, len(data))
    data[at:at] = part * rng.choice((1, 1, 2, 300))


def _number(data: bytearray, rng: random.Random) -> None:
    """Put an odd number in the place of one."""
    places = [i for i, byte in enumerate(data) if 48 <= byte < 58]
    if places:
        at = rng.choice(places)
        data[at : at + rng.randint(0, 2)] = rng.choice(NUMBERS)


def _sign(data: bytearray, rng: random.Random) -> None:
    at = rng.randint(0, len(data))
    data[at:at] = rng.choice(SIGNS) * rng.choice((1, 1, 1, 2, 2000))


def _integer(data: bytearray, rng: random.Random) -> None:
    """Overwrite bytes by an edge value of a header's integer."""
    size = rng.choice((1, 2, 4, 8))
    value = rng.choice(INTEGERS) % 256**size
    at = rng.randint(0, len(data))
    data[at : at + size] = value.to_bytes(size, rng.choice(("little", "big")))


def _noise(data: bytearray, rng: random.Random) -> None:
    data[_span(data, rng)] = rng.randbytes(rng.randint(1, 30))


CHANGES = (_flip, _flip, _cut, _drop, _double, _number, _number, _sign, _integer, _noise)
