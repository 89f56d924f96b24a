"""Any bytes changed: set, cut, put in, doubled, overwritten by what often goes wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random

TOKENS = (
    *(b"-1", b"0", b"1.5", b"1e999", b"99999999999999999999", b"NaN", b"null", b"true", b"[]"),
    *(b"{}", b'"', b"\\", b"\xff", b"\0", b"[[", b"}}", b":", b",", b"\n", b"<!DOCTYPE a>", b"&b;"),
    *(b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", b"\0\0\0\x80", b"\x80\x02", b"cos\nsystem\n"),
    *(
        b"\x00" * 8,
        b"\xff" * 8,
        b"\x7f" + b"\xff" * 7,
        b"PK\x03\x04",
        b"PK\x01\x02",
        b"\xef\xbb\xbf",
    ),
    *(b"R", b"b", b"}", b"(", b"t", b".", b"0", b"2", b"q\x00", b"r\xff\xff\xff\xff", b"\x8a\xff"),
)
_LARGEST = 1 << 16


def mutate_bytes(data: bytes, rng: random.Random) -> bytes:
    if rng.random() < 0.01:
        return rng.randbytes(rng.choice([0, 1, 10, 200]))
    place, kind = rng.randrange(len(data) + 1), rng.randrange(9)
    end = min(len(data), place + rng.choice([1, 1, 2, 4, 12, 64]))
    if kind == 0:
        return data[:place] + rng.randbytes(end - place) + data[end:]
    if kind == 1:
        return data[:place] + data[end:]
    if kind == 2:
        return data[:place] + rng.randbytes(rng.choice([1, 4])) + data[place:]
    if kind == 3:
        times = min(rng.choice([1, 2, 10, 1000]), _LARGEST // max(1, end - place))
        return data[:place] + data[place:end] * times + data[place:]
    if kind == 4:
        return data[:place]
    if kind == 5 and place < len(data):
        flipped = data[place] ^ (1 << rng.randrange(8))
        return data[:place] + bytes([flipped]) + data[place + 1 :]
    token = rng.choice(TOKENS)
    if kind == 6:
        return data[:place] + token + data[place:]
    return data[:place] + token + data[place + len(token) :]
