"""Pickles read without importing or calling anything that they name.

A pickle is a program for a small machine with a stack. This is that machine without what makes it
dangerous: nothing is looked up by name. What a pickle names must be one of the builders or words
that the caller gives, or it is refused by that name. Opcodes:
https://docs.python.org/3/library/pickletools.html (protocols 0 to 5); the text of Python 2 is read
as latin-1.

Python's own unpickler, restricted by ``find_class``, is not enough: 20 bytes make it clear tables
of many gigabytes, and what it is allowed to call gets the file's arguments.
"""

from __future__ import annotations

import io
import pickletools
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["Forbidden", "Word", "read_pickle"]

_MOST_STEPS = 4_000_000
"""Opcodes of one pickle; a checkpoint of 1,000 tensors has some 30,000."""
_FLOOR = 1 << 24
"""Bytes that what is built may take however small the pickle is."""
_SHARED = 4
"""Times that the bytes of a pickle's file may be built anew: text becomes bytes, and an array."""
_ENTRY = 64
"""Bytes that an entry of a container is taken for."""
_MARK = object()
_KEYS = (str, bytes, int, float, bool, type(None))
"""What may be a key of a dictionary: a hash of deeper things may exhaust the machine's stack."""
_SINGLES = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_EMPTY: dict[str, Callable[[], Any]] = {
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
    "EMPTY_TUPLE": tuple,
    "EMPTY_SET": set,
}
_LITERALS = frozenset(
    "INT BININT BININT1 BININT2 LONG LONG1 LONG4 FLOAT BINFLOAT STRING BINSTRING SHORT_BINSTRING "
    "UNICODE BINUNICODE SHORT_BINUNICODE BINUNICODE8 BINBYTES SHORT_BINBYTES BINBYTES8 "
    "BYTEARRAY8".split()
)
_PUTS = frozenset(("PUT", "BINPUT", "LONG_BINPUT"))
_GETS = frozenset(("GET", "BINGET", "LONG_BINGET"))
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_NOTHING = frozenset(("PROTO", "FRAME"))


class Forbidden(ValueError):
    """A pickle names what is not one of the builders: ``name``, dotted."""

    def __init__(self, name: str) -> None:
        super().__init__(f"it calls {name}")
        self.name = name


class Word(NamedTuple):
    """A function or class that a pickle names, as its dotted name and nothing else."""

    name: str


def read_pickle(
    file: BinaryIO,
    builders: Mapping[str, Callable[..., Any]],
    *,
    words: frozenset[str] = frozenset(),
    stored: Callable[[Any], Any] | None = None,
) -> Any:
    """Return the value of the pickle that comes next in ``file``, which stays behind it.

    Parameters
    ----------
    file
        In memory (io.BytesIO): a length that a file claims is then never made before it is there.
    builders
        What stands in for each function or class by its dotted name. An object that has a method
        ``build`` gets the state that the pickle would have put into it.
    words
        Names that may stand in the pickle as a `Word`.
    stored
        Returns what is kept outside the pickle (persistent ids).

    Raises
    ------
    Forbidden
        For a name that is neither.
    ValueError
        For anything else that is no such pickle, or that is built to many times the file's size.
    """
    here = file.tell()
    room = max(_FLOOR, _SHARED * file.seek(0, io.SEEK_END))
    file.seek(here)
    machine = _Machine(builders, words, stored, room)
    try:
        return machine.run(file)
    except Forbidden:
        raise
    except Exception as error:
        if isinstance(error, MemoryError):
            raise
        raise ValueError(f"no pickle of plain values ({type(error).__name__}: {error})") from error


class _Machine:
    def __init__(
        self,
        builders: Mapping[str, Callable[..., Any]],
        words: frozenset[str],
        stored: Callable[[Any], Any] | None,
        room: int,
    ) -> None:
        self._builders, self._words, self._stored = builders, words, stored
        self._room = room
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}

    def run(self, file: BinaryIO) -> Any:
        steps = pickletools.genops(file)
        for _, (opcode, argument, _place) in zip(range(_MOST_STEPS), steps, strict=False):
            if opcode.name == "STOP":
                return self._pop()
            self._step(opcode.name, argument)
        raise ValueError(f"more than {_MOST_STEPS} steps")

    def _step(self, name: str, argument: Any) -> None:
        stack = self._stack
        if name in _LITERALS:
            stack.append(argument)
        elif name in _PUTS:
            self._memo[int(argument)] = self._top()
        elif name == "MEMOIZE":
            self._memo[len(self._memo)] = self._top()
        elif name in _GETS:
            stack.append(self._memo[int(argument)])
        elif name in _SINGLES:
            stack.append(_SINGLES[name])
        elif name in _EMPTY:
            stack.append(_EMPTY[name]())
        elif name in _TUPLES:
            items = tuple(self._pop() for _ in range(_TUPLES[name]))
            stack.append(items[::-1])
        elif name not in _NOTHING:
            self._rarer(name, argument)

    def _rarer(self, name: str, argument: Any) -> None:
        step = getattr(self, f"_op_{name.lower()}", None)
        if step is None:
            raise ValueError(f"opcode {name}")
        step(argument)

    def _top(self) -> Any:
        if self._stack[-1] is _MARK:
            raise ValueError("nothing there")
        return self._stack[-1]

    def _pop(self) -> Any:
        found = self._top()
        del self._stack[-1]
        return found

    def _since_mark(self) -> list[Any]:
        for place in range(len(self._stack) - 1, -1, -1):
            if self._stack[place] is _MARK:
                items = self._stack[place + 1 :]
                del self._stack[place:]
                return items
        raise ValueError("no mark")

    # ---- containers

    def _op_mark(self, _: Any) -> None:
        self._stack.append(_MARK)

    def _op_pop(self, _: Any) -> None:
        del self._stack[-1]

    def _op_pop_mark(self, _: Any) -> None:
        self._since_mark()

    def _op_dup(self, _: Any) -> None:
        self._stack.append(self._top())

    def _op_tuple(self, _: Any) -> None:
        self._stack.append(tuple(self._since_mark()))

    def _op_list(self, _: Any) -> None:
        self._stack.append(self._since_mark())

    def _op_dict(self, _: Any) -> None:
        items = self._since_mark()
        self._stack.append({})
        self._put(items)

    def _op_frozenset(self, _: Any) -> None:
        self._stack.append(frozenset(self._hashed(self._since_mark())))

    def _op_append(self, _: Any) -> None:
        item = self._pop()
        self._expect(list).append(item)

    def _op_appends(self, _: Any) -> None:
        items = self._since_mark()
        self._expect(list).extend(items)

    def _op_additems(self, _: Any) -> None:
        items = self._hashed(self._since_mark())
        self._expect(set).update(items)

    def _op_setitem(self, _: Any) -> None:
        value, key = self._pop(), self._pop()
        self._put([key, value])

    def _op_setitems(self, _: Any) -> None:
        self._put(self._since_mark())

    def _put(self, items: list[Any]) -> None:
        keys = self._hashed(items[::2])
        self._expect(dict).update(zip(keys, items[1::2], strict=True))

    def _hashed(self, keys: list[Any]) -> list[Any]:
        for key in keys:
            if not isinstance(key, _KEYS):
                raise ValueError(f"{type(key).__name__} as a key")
        return keys

    def _expect(self, kind: type) -> Any:
        found = self._top()
        if type(found) is not kind:
            raise ValueError(f"expected {kind.__name__}, got {type(found).__name__}")
        return found

    # ---- what is named

    def _named(self, name: str) -> None:
        if name not in self._builders and name not in self._words:
            raise Forbidden(name[:100])
        self._stack.append(Word(name))

    def _op_global(self, argument: str) -> None:
        self._named(argument.replace(" ", "."))

    def _op_stack_global(self, _: Any) -> None:
        name, module = self._pop(), self._pop()
        if not isinstance(name, str) or not isinstance(module, str):
            raise ValueError("a name that is no text")
        self._named(f"{module}.{name}")

    def _op_inst(self, argument: str) -> None:
        items = tuple(self._since_mark())
        self._named(argument.replace(" ", "."))
        self._call(items)

    def _op_obj(self, _: Any) -> None:
        first, *items = self._since_mark()
        self._stack.append(first)
        self._call(tuple(items))

    def _op_reduce(self, _: Any) -> None:
        self._call(self._pop())

    def _op_newobj(self, _: Any) -> None:
        self._call(self._pop())

    def _call(self, items: Any) -> None:
        word = self._pop()
        if not isinstance(word, Word) or type(items) is not tuple:
            raise ValueError("a call of what is no function")
        if word.name not in self._builders:
            raise Forbidden(word.name)
        made = self._builders[word.name](*items)
        self._charge(made)
        self._stack.append(made)

    def _charge(self, made: Any) -> None:
        """Take the bytes of what a builder made off those that may be made; references are free."""
        array = getattr(made, "value", None)
        if isinstance(made, bytes | bytearray | str):
            self._room -= len(made)
        elif isinstance(made, dict | list | tuple):
            self._room -= _ENTRY * len(made)
        else:
            self._room -= int(getattr(array, "nbytes", 0))
        if self._room < 0:
            raise ValueError("values that are much larger than the file")

    def _op_build(self, _: Any) -> None:
        state = self._pop()
        built = getattr(self._top(), "build", None)
        if built is not None:
            built(state)
            self._charge(self._top())
        elif not isinstance(self._top(), dict):
            raise ValueError("a state for what has none")

    def _op_persid(self, argument: str) -> None:
        self._stack.append(argument)
        self._op_binpersid(None)

    def _op_binpersid(self, _: Any) -> None:
        if self._stored is None:
            raise ValueError("something kept outside")
        self._stack.append(self._stored(self._pop()))
