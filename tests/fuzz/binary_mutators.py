"""Faults in the parts of binary files, with their sums and lengths right again."""

from __future__ import annotations

import io
import re
import struct
import zipfile
import zlib
from typing import TYPE_CHECKING

from byte_mutators import mutate_bytes

if TYPE_CHECKING:
    import random

SIZES = (0, 1, 2, 7, 255, 65535, 65536, 2**20, 2**27, 2**31 - 1, 2**31, 2**32 - 1)
_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def mutate_zip(data: bytes, rng: random.Random) -> bytes:
    """An archive with a member changed, renamed, doubled or left out, packed or stored."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = [(entry.filename, archive.read(entry)) for entry in archive.infolist()]
    place, kind = rng.randrange(len(members)), rng.randrange(8)
    name, content = members[place]
    if kind == 0:
        del members[place]
    elif kind == 1:
        members[place] = (mutate_bytes(name.encode(), rng).decode("latin-1"), content)
    elif kind == 2:
        members.append((rng.choice(members)[0] + rng.choice(["", "x"]), content))
    elif name.endswith(".npy") and kind < 6:
        members[place] = (name, _mutate_npy(content, rng))
    else:
        members[place] = (name, mutate_bytes(content, rng))
    out = io.BytesIO()
    packing = rng.choice([zipfile.ZIP_STORED] * 3 + [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2])
    with zipfile.ZipFile(out, "w", packing) as archive:
        for each, inside in members:
            entry = zipfile.ZipInfo(each.replace("\0", "_") or "_")
            entry.compress_type = packing
            archive.writestr(entry, inside)
    return out.getvalue()


def _mutate_npy(content: bytes, rng: random.Random) -> bytes:
    """An array whose header says something else, of the right length."""
    length = struct.unpack("<H", content[8:10])[0]
    header, body = content[10 : 10 + length].decode("latin-1"), content[10 + length :]
    kind = rng.randrange(4)
    if kind == 0:
        shape = tuple(rng.choice(SIZES) for _ in range(rng.randrange(4)))
        header = re.sub(r"'shape': \([^)]*\)", f"'shape': {shape}", header)
    elif kind == 1:
        code = rng.choice(["|O", "<f8", "<i8", "|i1", "|b1", "<U9", "|S0", "<M8[s]", ">f4", "|V4"])
        header = re.sub(r"'descr': '[^']*'", f"'descr': '{code}'", header)
    elif kind == 2:
        header = header.replace("False", "True")
    else:
        header = mutate_bytes(header.encode("latin-1"), rng).decode("latin-1")
    raw = header.encode("latin-1")
    return content[:8] + struct.pack("<H", min(len(raw), 65535)) + raw + body


def mutate_png(data: bytes, rng: random.Random) -> bytes:
    """A chunk changed, doubled, moved or left out; sums are made anew."""
    if not data.startswith(_SIGNATURE):
        raise ValueError("no PNG")
    chunks = []
    place = len(_SIGNATURE)
    while place + 8 <= len(data):
        (length,) = struct.unpack(">I", data[place : place + 4])
        chunks.append([data[place + 4 : place + 8], data[place + 8 : place + 8 + length]])
        place += 12 + length
    chosen, kind = rng.choice(chunks), rng.randrange(7)
    if kind == 0:
        chunks.remove(chosen)
    elif kind == 1:
        chunks.insert(rng.randrange(len(chunks) + 1), list(chosen))
    elif kind == 2:
        chunks[0][1] = _sizes(chunks[0][1], rng)
    elif kind == 3:
        chunks.insert(rng.randrange(1, len(chunks) + 1), [b"IHDR", _sizes(chunks[0][1], rng)])
    elif kind == 4:
        pixels = next(chunk for chunk in chunks if chunk[0] == b"IDAT")
        pixels[1] = zlib.compress(mutate_bytes(zlib.decompress(pixels[1]), rng))
    elif kind == 5:
        chosen[0] = rng.choice(
            [b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"tEXt", b"zTXt", b"eXIf"]
        )
    else:
        chosen[1] = mutate_bytes(chosen[1], rng)
    parts = [_SIGNATURE]
    for name, content in chunks:
        sum_of = zlib.crc32(name + content)
        parts.append(struct.pack(">I", len(content)) + name + content + struct.pack(">I", sum_of))
    return b"".join(parts)


def _sizes(header: bytes, rng: random.Random) -> bytes:
    fields = list(struct.unpack(">IIBBBBB", header))
    place = rng.randrange(len(fields))
    fields[place] = rng.choice(SIZES) if place < 2 else rng.choice([0, 1, 2, 3, 4, 6, 8, 16, 255])
    return struct.pack(">IIBBBBB", *fields)


def mutate_tiff(data: bytes, rng: random.Random) -> bytes:
    """A tag of a little-endian classic TIFF with another kind, count or value."""
    if data[:4] != b"II*\0":
        raise ValueError("no such TIFF")
    (place,) = struct.unpack("<I", data[4:8])
    tags, steps = [], 0
    while place and steps < 10:
        (count,) = struct.unpack("<H", data[place : place + 2])
        tags += [place + 2 + 12 * n for n in range(count)]
        tags.append(-(place + 2 + 12 * count))
        (place,) = struct.unpack("<I", data[place + 2 + 12 * count : place + 6 + 12 * count])
        steps += 1
    tag = rng.choice(tags)
    if tag < 0:
        value = rng.choice([8, 0, len(data), *SIZES])
        return data[:-tag] + struct.pack("<I", value) + data[-tag + 4 :]
    field, size = rng.choice([(0, "<H"), (2, "<H"), (4, "<I"), (8, "<I"), (8, "<I")])
    value = rng.choice(SIZES) if size == "<I" else rng.choice([0, 1, 3, 4, 5, 12, 256, 257, 322])
    start = tag + field
    return data[:start] + struct.pack(size, value) + data[start + struct.calcsize(size) :]


def mutate_safetensors(data: bytes, rng: random.Random) -> bytes:
    """A header that says something else, of the right length or not."""
    from mutators import mutate_json

    (length,) = struct.unpack("<Q", data[:8])
    if rng.random() < 0.2:
        return struct.pack("<Q", rng.choice([*SIZES, 2**63, 2**64 - 1])) + data[8:]
    header = mutate_json(data[8 : 8 + length], rng)
    return struct.pack("<Q", len(header)) + header + data[8 + length :]
