"""JSON a value at a time: the same values and the same faults as JSON as a whole."""

from __future__ import annotations

import io
import json
import math
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maskfree.errors import InputError
from maskfree.json_stream import JsonStream
from maskfree.storage import read_json

if TYPE_CHECKING:
    from pathlib import Path

NAME = "file x"
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(st.characters(exclude_categories=["Cs"])),
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text('aé\n"'), inner), max_leaves=20
)


def stream(text: str | bytes, chunk: int = 3) -> JsonStream:
    raw = text.encode() if isinstance(text, str) else text
    return JsonStream(io.BytesIO(raw), NAME, chunk=chunk)


def walked(found: JsonStream, depth: int = 9) -> Any:
    """Return what comes next, step by step down to a depth."""
    opening = found.peek()
    if depth and opening == "[":
        return [walked(found, depth - 1) for _ in found.items()]
    if depth and opening == "{":
        return {name: walked(found, depth - 1) for name in found.fields()}
    return found.value()


@given(
    value=VALUES,
    chunk=st.integers(1, 9),
    depth=st.integers(0, 4),
    indent=st.sampled_from([None, 1]),
    plain=st.booleans(),
)
@settings(max_examples=150, deadline=None)
def test_the_same_values_as_of_the_whole_text(
    value: Any, chunk: int, depth: int, indent: int | None, plain: bool
) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=plain)
    found = stream(text, chunk)
    assert walked(found, depth) == value
    found.end()


@given(value=VALUES, chunk=st.integers(1, 9))
@settings(max_examples=60, deadline=None)
def test_a_text_cut_anywhere_is_refused(value: Any, chunk: int) -> None:
    text = json.dumps([value])
    for length in range(len(text)):
        found = stream(text[:length], chunk)
        with pytest.raises(InputError, match=r"file x is (not JSON|empty)"):
            walked(found)


@pytest.mark.parametrize("chunk", [1, 2, 7, 65536])
def test_what_is_left_is_passed_over(chunk: int) -> None:
    text = '{"a": [1, [2, 3], {"b": "]"}], "c": {"d": [0]}, "e": 5, "f": [], "g": [7, 8]}'
    found = stream(text, chunk)
    taken = {}
    for name in found.fields():
        if name == "e":
            taken[name] = found.value()
        if name == "g":
            taken[name] = [found.value() for number in found.items() if number]
    found.end()
    assert taken == {"e": 5, "g": [8]}


@pytest.mark.parametrize("chunk", [1, 2, 6, 65536])
def test_the_place_of_a_value_finds_it_again(chunk: int) -> None:
    raw = b'\xef\xbb\xbf{"k\xc3\xa4fer": ["\xc3\xbc", 1.5e3, {"a": [2]},\n null]}'
    places = []
    found = stream(raw, chunk)
    for _ in found.fields():
        for _ in found.items():
            places.append(found.byte())
    read = [JsonStream(io.BytesIO(raw), NAME, start=at, chunk=chunk).value() for at in places]
    assert read == ["ü", 1500.0, {"a": [2]}, None]


def test_numbers_are_read_to_their_end() -> None:
    text = "[12, -3.25e-2, 1E5, -0, NaN, -Infinity, 123456789012345678901234567890]"
    for chunk in range(1, 12):
        values = walked(stream(text, chunk))
        assert math.isnan(values.pop(4))
        assert values == [12, -0.0325, 1e5, 0, -math.inf, 123456789012345678901234567890]
        assert walked(stream("12.5", chunk)) == 12.5


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \n\t ",
        "[1, 2",
        "[1 2]",
        "[1., 2]",
        "[1.e5]",
        "[-]",
        "[01]",
        '{"a" 1}',
        "{a: 1}",
        '{"a": 1\n, "b": tru}',
        '{"a": 1, "a": 2}',
        '{"a": {"b": 1, "b": 2}}',
        '["\n"]',
        '["\\x"]',
        '["\\ud83d',
        '["abc]',
        "[1] 2",
        "[1]]",
        "]",
        "[" * 100_000,
        '{"a":' * 100_000,
        "[\n\n  1,\n 'x']",
        "\0",
        "[nan]",
    ],
)
@pytest.mark.parametrize("depth", [0, 1, 9])
@pytest.mark.parametrize("chunk", [1, 5, 65536])
def test_what_is_not_json_is_refused_at_the_same_place(
    tmp_path: Path, text: str, depth: int, chunk: int
) -> None:
    if len(text) > 50_000 and chunk < 65536:
        chunk = 4096
    path = tmp_path / "x"
    path.write_bytes(text.encode())
    with pytest.raises(InputError) as whole:
        read_json(path, "file")
    found = stream(text, chunk)
    with pytest.raises(InputError) as caught:
        walked(found, depth)
        found.end()
    assert str(caught.value) == str(whole.value).replace(f"file {path}", NAME)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1, 2,]", "line 1, column 7"),  # Python's own words for these two change
        ('{"a": 1,}', "line 1, column 9"),
        (f"[{'1' * 5000}]", "cannot be read: Exceeds the limit"),
    ],
)
def test_more_that_is_refused(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        walked(stream(text))


@pytest.mark.parametrize(
    ("raw", "byte"), [(b"\xff\xfe[\0]\0", 0), (b'["\xc3\xa4\xc3"]', 4), (b'["a\xe2\x82', 3)]
)
@pytest.mark.parametrize("chunk", [1, 2, 100])
def test_bytes_that_are_no_text(raw: bytes, byte: int, chunk: int) -> None:
    with pytest.raises(InputError, match=rf"is not UTF-8 text \(byte {byte}\)"):
        walked(stream(raw, chunk))


def test_a_disk_that_fails(tmp_path: Path) -> None:
    class Failing(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise OSError(5, "Input/output error")

    with pytest.raises(InputError, match="file x could not be read \\(Input/output error\\)"):
        JsonStream(Failing(), NAME).value()


def test_a_long_list_is_never_a_whole() -> None:
    class Counting(io.BytesIO):
        most = 0

        def read(self, size: int | None = -1) -> bytes:
            assert size is not None
            self.most = max(self.most, size)
            return super().read(size)

    file = Counting(json.dumps({"a": ["x" * 50] * 1000, "b": ["y" * 50] * 1000}).encode())
    found = JsonStream(file, NAME, chunk=100)
    for name in found.fields():
        if name == "b":
            assert {found.value() for _ in found.items()} == {"y" * 50}
    assert file.most < 400
