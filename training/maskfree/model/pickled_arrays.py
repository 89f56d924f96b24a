"""Numpy arrays in pickles, built without numpy's own way of being unpickled.

``BUILDERS`` stand in for what pickles of arrays call, under the names of numpy 1 and 2, as Python 2
and 3 wrote them (detectron2's ``.pkl``: a dictionary of arrays, protocol 2). Numbers alone are
built: an array of objects could hold anything, and is refused.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

import numpy as np

from maskfree.model.plain_pickle import Word

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["BUILDERS", "CONTAINERS", "WORDS", "PickledArray", "is_shape"]

_NUMBERS = re.compile(r"[<>|=]?(?:[biu](?:1|2|4|8)|f(?:2|4|8)|c(?:8|16)|\?)")
_LATIN = ("latin1", "latin-1", "iso-8859-1")
_MOST_SIDES, _MOST_SIDE = 64, 1 << 63
"""More sides, and longer ones, no library has: their product alone could take minutes."""
_STATE, _DTYPE_STATE = 4, 2
"""Fewest entries of the state of an array and of a dtype."""


class _Dtype:
    """Stands in for ``numpy.dtype``; the state says the order of bytes."""

    def __init__(self, code: Any = "", *_: Any) -> None:
        text = code.decode("ascii") if isinstance(code, bytes) else code
        if not isinstance(text, str) or not _NUMBERS.fullmatch(text):
            raise ValueError(f"an array of {str(code)[:20]}, which are no numbers")
        self.dtype = np.dtype(text)

    def build(self, state: Any) -> None:
        """Take the state: version, order of bytes, and what only other kinds of values have."""
        if not isinstance(state, tuple) or len(state) < _DTYPE_STATE or state[1] not in "<>|=":
            raise ValueError("a kind of numbers that is not known")
        if any(each is not None for each in state[2:5]):
            raise ValueError("an array of records")
        if state[1] in "<>":
            self.dtype = self.dtype.newbyteorder(state[1])


class PickledArray:
    """Stands in for an array; ``value`` is it once its state came, in the machine's own order."""

    value: np.ndarray | None = None

    def build(self, state: Any) -> None:
        """Take the state: (version,) shape, kind of numbers, stored by column, bytes."""
        if not isinstance(state, tuple) or len(state) < _STATE:
            raise ValueError("an array without its state")
        shape, dtype, by_column, raw = state[-_STATE:]
        self.value = _array(raw, dtype, shape, "F" if by_column else "C")


def _array(raw: Any, dtype: Any, shape: Any, order: Any) -> np.ndarray:
    if isinstance(raw, str):  # Python 2
        raw = raw.encode("latin-1")
    if not isinstance(dtype, _Dtype) or not isinstance(raw, bytes | bytearray):
        raise ValueError("an array of what are no numbers")
    if not isinstance(shape, tuple) or not is_shape(shape):
        raise ValueError("an array without a shape")
    if math.prod(shape) * dtype.dtype.itemsize != len(raw) or order not in "CF":
        raise ValueError("an array whose bytes do not fill its shape")
    found = np.ndarray(shape, dtype.dtype, bytes(raw), order=order)
    return found.astype(dtype.dtype.newbyteorder("="))


def is_shape(numbers: tuple[Any, ...]) -> bool:
    """Whether these may be the sides of a tensor: few, whole, and within what a machine counts."""
    few = len(numbers) <= _MOST_SIDES
    return few and all(type(each) is int and 0 <= each < _MOST_SIDE for each in numbers)


def _empty_array(kind: Any, *_: Any) -> PickledArray:
    if kind != Word("numpy.ndarray"):
        raise ValueError("an array of an unknown kind")
    return PickledArray()


def _from_buffer(raw: Any, dtype: Any, shape: Any, order: Any, *_: Any) -> PickledArray:
    made = PickledArray()
    made.value = _array(raw, dtype, shape, order)
    return made


def _scalar(dtype: Any, raw: Any) -> Any:
    return _array(raw, dtype, (), "C").item()


def _encoded(text: Any, encoding: Any = "latin1") -> bytes:
    if not isinstance(text, str) or encoding not in _LATIN:
        raise ValueError("bytes in an unknown encoding")
    return text.encode("latin-1")


def _no_bytes(*items: Any) -> bytes:
    """Stand in for ``bytes()``: all others are told by ``_codecs.encode``."""
    if items:
        raise ValueError("bytes of something else")
    return b""


def _mapping(*items: Any) -> dict[Any, Any]:
    """Stand in for a dictionary of any kind."""
    found: dict[Any, Any] = {}
    for pairs in items:
        for key, value in pairs.items() if isinstance(pairs, dict) else pairs or ():
            if not isinstance(key, str | bytes | int | float):
                raise ValueError(f"{type(key).__name__} as a key")
            found[key] = value
    return found


CONTAINERS: dict[str, Callable[..., Any]] = {
    "collections.OrderedDict": _mapping,
    "collections.defaultdict": lambda kind=None, *items: _mapping(*items),
    "collections.Counter": _mapping,
}
"""Builders of plain containers."""
WORDS = frozenset(("numpy.ndarray", "builtins.int", "builtins.list", "builtins.dict"))
"""Names that stand among the arguments."""
BUILDERS: dict[str, Callable[..., Any]] = {
    **CONTAINERS,
    "numpy.dtype": _Dtype,
    "_codecs.encode": _encoded,
    "builtins.bytes": _no_bytes,
    "__builtin__.bytes": _no_bytes,
    "numpy.core.multiarray._reconstruct": _empty_array,
    "numpy._core.multiarray._reconstruct": _empty_array,
    "numpy.core.multiarray.scalar": _scalar,
    "numpy._core.multiarray.scalar": _scalar,
    "numpy.core.numeric._frombuffer": _from_buffer,
    "numpy._core.numeric._frombuffer": _from_buffer,
}
"""Builders of arrays and plain containers by dotted name."""
