"""Valid files made faulty: any bytes of them, and what they are made of, each kind of file its own.

Every mutator takes the bytes of a file and a seeded generator, and returns other bytes. One that
knows the kind of a file keeps what a reader checks first (the form of JSON, the sums of a PNG or an
archive) and breaks what comes after.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from binary_mutators import mutate_png, mutate_safetensors, mutate_tiff, mutate_zip
from byte_mutators import TOKENS, mutate_bytes

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from cases import Case

NUMBERS: list[Any] = [
    *(-1, 0, 1, 2, 255, 256, 65535, 65536, 2**31 - 1, 2**31, 2**32, 2**53, 2**63 - 1, 2**63),
    *(-(2**63), 10**30, 10**400, 0.5, -0.0, 1e-320, 1e15, 1e300, -1e300, 1e17),
    *(float("nan"), float("inf"), float("-inf")),
]
TEXTS = [
    *("", " ", "0", "-1", "1e999", "x" * 5000, "\ud800", "\0", "é\u202e", "../../x", "/etc/passwd"),
    *("a\nb", "C:\\x", "NaN", "..", "con", "1" * 5000, "\x00" * 20, "%s%n", "٣"),
]
KEPT_AS_IT_IS = 0.03


def mutate(case: Case, rng: random.Random) -> tuple[Case, set[str]]:
    """A case with faults, and the names of the files that differ."""
    if rng.random() < KEPT_AS_IT_IS:
        return case, set()
    changed = dict(case)
    names = list(case)
    touched = set()
    for _ in range(rng.choice([1, 1, 1, 2])):
        name = rng.choice(names)
        touched.add(name)
        kind = rng.random()
        if kind < 0.02 and len(names) > 1:
            changed.pop(name, None)
        elif kind < 0.04 and len(names) > 1:
            changed[name] = case[rng.choice(names)]
        else:
            changed[name] = mutate_file(name, changed.get(name, b""), rng)
    return changed, touched


def mutate_file(name: str, data: bytes, rng: random.Random) -> bytes:
    for _ in range(rng.choice([1, 1, 2, 3])):
        special = MUTATORS.get(name.rpartition(".")[2].lower())
        if special is not None and rng.random() < 0.7:
            try:
                data = special(data, rng)
                continue
            except Exception:  # noqa: BLE001  (what was made faulty before may be anything)
                pass
        data = mutate_bytes(data, rng)
    return data


def mutate_json(data: bytes, rng: random.Random) -> bytes:
    content = json.loads(data)
    places = list(_places(content))
    if not places or rng.random() < 0.02:
        return json.dumps(_value(rng)).encode("utf-8", "surrogatepass")
    holder, key = rng.choice(places)
    _change(holder, key, rng)
    text = json.dumps(content, ensure_ascii=rng.random() < 0.9)
    if rng.random() < 0.03:
        text = text.replace('"_":0', "[" * rng.choice([100, 2000, 100_000]), 1)
    return text.encode("utf-8", "surrogatepass")


def _places(content: Any) -> Any:
    """Every place of a document: the list or object, and the index or name in it."""
    waiting = [content]
    while waiting:
        holder = waiting.pop()
        pairs = holder.items() if isinstance(holder, dict) else enumerate(holder)
        for key, value in list(pairs):
            yield holder, key
            if isinstance(value, dict | list):
                waiting.append(value)


def _change(holder: Any, key: Any, rng: random.Random) -> None:
    old, kind = holder[key], rng.randrange(10)
    if kind == 0:
        del holder[key]
    elif kind == 1 and isinstance(holder, list):
        holder[key:key] = [old] * rng.choice([1, 2, 50])
    elif kind == 1:
        holder[rng.choice([*holder, "new"])] = old
    elif kind == 2:
        holder[key] = rng.choice([[old], {"a": old}, [old] * 3, {"_": 0}])
    elif kind == 3 and isinstance(old, str) and old:
        place = rng.randrange(len(old))
        put = rng.choice(["", chr(rng.randrange(32, 127)), old[place:] * 2, rng.choice(TEXTS)])
        holder[key] = old[:place] + put + old[place + 1 :]
    elif kind == 4 and isinstance(old, int | float) and not isinstance(old, bool):
        holder[key] = rng.choice([old + 1, old - 1, -old, old * 1000, old / 3, str(old)])
    elif kind == 5 and isinstance(old, list):
        rng.shuffle(old)
    else:
        holder[key] = _value(rng)


def _value(rng: random.Random) -> Any:
    return rng.choice(
        [
            rng.choice(NUMBERS),
            rng.choice(NUMBERS),
            rng.choice(TEXTS),
            None,
            rng.random() < 0.5,
            [],
            {},
            [rng.choice(NUMBERS)] * rng.choice([1, 2, 4, 100]),
            [[rng.choice(NUMBERS), rng.choice(NUMBERS)]] * rng.choice([1, 3]),
        ]
    )


def mutate_lines(data: bytes, rng: random.Random) -> bytes:
    """Tables, logs and settings: whole lines, or one value between separators."""
    lines = data.split(b"\n")
    place, kind = rng.randrange(len(lines)), rng.randrange(6)
    if kind == 0:
        del lines[place]
    elif kind == 1:
        lines[place:place] = [lines[place]] * rng.choice([1, 2, 100])
    elif kind == 2:
        lines[place] = mutate_json(lines[place], rng) if lines[place][:1] == b"{" else b"{}"
    elif kind == 3:
        lines[place], lines[0] = lines[0], lines[place]
    else:
        parts = re.split(rb"([ ,;=\t:]+)", lines[place])
        parts[rng.randrange(len(parts))] = _text_token(rng)
        lines[place] = b"".join(parts)
    return b"\n".join(lines)


def _text_token(rng: random.Random) -> bytes:
    if rng.random() < 0.5:
        return str(rng.choice(NUMBERS)).encode() if rng.random() < 0.9 else b"9" * 5000
    return rng.choice(TEXTS).encode("utf-8", "surrogatepass")


_DOCTYPES = (
    b'<!DOCTYPE a [<!ENTITY b "c">]>',
    b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]>',
    b'<!DOCTYPE a SYSTEM "http://127.0.0.1:1/x.dtd">',
    b'<!DOCTYPE a [<!ENTITY b "cccc"><!ENTITY d "&b;&b;&b;&b;">]>',
)


def mutate_xml(data: bytes, rng: random.Random) -> bytes:
    tags = list(re.finditer(rb"<[^>]*>", data))
    tag, kind = rng.choice(tags), rng.randrange(8)
    start, end = tag.span()
    if kind == 0:
        return data[:start] + data[end:]
    if kind == 1:
        return data[:end] + tag.group() * rng.choice([1, 3, 1000]) + data[end:]
    if kind == 2:
        return data[:start] + rng.choice(_DOCTYPES) + rng.choice([b"", b"&b;"]) + data[start:]
    if kind == 3:
        other = rng.choice(tags)
        return data[:start] + other.group() + data[end:]
    values = list(re.finditer(rb'"([^"]*)"|>([^<]*)<', data))
    value = rng.choice(values)
    group = 1 if value.group(1) is not None else 2
    put = _text_token(rng).replace(b'"', b"").replace(b"<", b"")
    return data[: value.start(group)] + put + data[value.end(group) :]


MUTATORS: dict[str, Callable[[bytes, random.Random], bytes]] = {
    "json": mutate_json,
    "jsonl": mutate_lines,
    "txt": mutate_lines,
    "csv": mutate_lines,
    "ini": mutate_lines,
    "yaml": mutate_lines,
    "xml": mutate_xml,
    "npz": mutate_zip,
    "pth": mutate_zip,
    "pt": mutate_zip,
    "png": mutate_png,
    "tif": mutate_tiff,
    "tiff": mutate_tiff,
    "safetensors": mutate_safetensors,
}
__all__ = ["MUTATORS", "TOKENS", "mutate", "mutate_file"]
