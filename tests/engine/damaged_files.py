"""Files of strangers: a valid one with bytes changed, cut, put in or repeated."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from hypothesis import strategies as st

from maskfree.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from maskfree.formats import Annotations


@st.composite
def mutations(draw: st.DrawFn, valid: bytes) -> bytes:
    data = bytearray(valid)
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, max(0, len(data) - 1)))
        kind = draw(st.sampled_from(["set", "cut", "put", "repeat", "ones"]))
        if kind == "set":
            data[place : place + 1] = draw(st.binary(min_size=1, max_size=1))
        elif kind == "cut":
            del data[place : place + draw(st.integers(1, 64))]
        elif kind == "put":
            data[place:place] = draw(st.binary(min_size=1, max_size=8))
        elif kind == "ones":
            data[place : place + 4] = b"\xff" * 4
        else:
            data[place:place] = data[place : place + 32]
    return bytes(data)


def is_read_or_refused(read: Callable[[], Annotations]) -> bool:
    """Read everything; whatever is wrong must be one of our errors. Returns whether it was read."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            found = read()
            for frame in range(min(len(found.frame_names), 50)):
                found.read_masks(frame)
        except InputError as error:
            assert str(error)
            return False
    return True
