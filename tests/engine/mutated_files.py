"""Files at random fault, for readers that must answer each with one of our own errors."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from hypothesis import strategies as st

from maskfree.errors import InputError, InputWarning

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from maskfree.formats import Annotations

MOST_FRAMES = 50
TOKENS = b'-1 0 1.5 1e999 99999999999999999999 NaN null true [] {} " \\ \xff \0 [[ }} : , \n'.split(
    b" "
)


@st.composite
def mutated(draw: st.DrawFn, raw: bytes) -> bytes:
    """``raw`` with a few places changed, cut out, doubled or overwritten; or bytes of any kind."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.binary(max_size=200))
    data = raw
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.integers(0, 12)))
        put = draw(st.sampled_from([b"", data[start:end] * 2, *TOKENS]) | st.binary(max_size=4))
        data = data[:start] + put + data[end:]
    return data


def read_all(read: Callable[[Path], Annotations], path: Path) -> bool:
    """Read a file and its masks; whether that was possible. Only an InputError may end it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InputWarning)
        try:
            found = read(path)
            for frame in range(min(len(found.frame_names), MOST_FRAMES)):
                found.read_masks(frame)
        except InputError as error:
            assert str(error).count("\n") == 0
            return False
    return True
