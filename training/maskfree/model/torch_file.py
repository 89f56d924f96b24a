"""What ``torch.save`` wrote, read without torch's unpickler: tensors, arrays, plain containers.

Two layouts: an uncompressed zip with ``data.pkl`` and a file for each storage (torch 1.6 and
later), and before that five pickles and then the storages. Every storage is checked against the
bytes that are really there, and every tensor against its storage, before it is made:
``torch.load(weights_only=True)`` runs no code of a file either, but believes the sizes in it and
reads beyond the end of a storage that is shorter than it claims.
"""

from __future__ import annotations

import io
import math
import struct
import zipfile
from typing import TYPE_CHECKING, Any, BinaryIO

import torch

from maskfree.model.pickled_arrays import BUILDERS, WORDS, is_shape
from maskfree.model.plain_pickle import Forbidden, Word, read_pickle

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["Script", "is_torch_file", "read_torch_file"]

_ZIP = b"PK\x03\x04"
_MAGIC = 0x1950A86A20F9469CFC6C
_MAGIC_PICKLE = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
_PROTOCOL = 1001
_COUNT = struct.Struct("<q")
_MOST_RECORDS = 1_000_000
_SHARED = 4
"""Times that the bytes of a file may stand in its tensors: some share their storage."""
_FLOOR = 1 << 24
"""Bytes that tensors may take however small the file is."""
_KINDS = {
    "Float": torch.float32,
    "Double": torch.float64,
    "Half": torch.float16,
    "BFloat16": torch.bfloat16,
    "Long": torch.int64,
    "Int": torch.int32,
    "Short": torch.int16,
    "Char": torch.int8,
    "Byte": torch.uint8,
    "Bool": torch.bool,
    "ComplexFloat": torch.complex64,
    "ComplexDouble": torch.complex128,
}
_STORAGES = {f"torch.{kind}Storage": dtype for kind, dtype in _KINDS.items()}
_STORAGES["torch.storage.UntypedStorage"] = torch.uint8
_DTYPES = {
    f"torch.{name}": getattr(torch, name)
    for name in (
        "float32 float64 float16 bfloat16 int64 int32 int16 int8 uint8 uint16 uint32 uint64 bool "
        "complex64 complex128 float8_e4m3fn float8_e5m2"
    ).split()
    if hasattr(torch, name)
}
_WORDS = WORDS | frozenset(_STORAGES) | frozenset(_DTYPES)


class Script(ValueError):
    """The file is a TorchScript archive, which holds code."""


def is_torch_file(head: bytes) -> bool:
    """Return whether a file that begins with ``head`` says that ``torch.save`` wrote it."""
    return head.startswith((_ZIP, _MAGIC_PICKLE))


def read_torch_file(path: Path) -> Any:
    """Return the content of a file of ``torch.save``, its tensors on the CPU.

    Dictionaries of every kind are plain ones; parameters are tensors; arrays are
    :class:`maskfree.model.pickled_arrays.PickledArray`.

    Raises
    ------
    Forbidden
        For a file that names what is no tensor, array or container; nothing of it is run.
    Script
        For a TorchScript archive.
    ValueError
        For a file that is damaged, compressed, or claims more than it holds.
    OSError
        Where it cannot be read.
    """
    with path.open("rb") as file:
        zipped = file.read(len(_ZIP)) == _ZIP
        file.seek(0)
        try:
            return _Archive(file).read() if zipped else _Legacy(file.read()).read()
        except (Forbidden, Script):
            raise
        except Exception as error:
            if isinstance(error, MemoryError):
                raise
            raise ValueError(f"{type(error).__name__}: {error}") from error


class _Reader:
    """Builds tensors over storages; ``size``: bytes of the file, which bounds what is made."""

    def __init__(self, size: int) -> None:
        self._left = max(_FLOOR, _SHARED * size)
        self.storages: dict[str, torch.Tensor] = {}

    def builders(self) -> dict[str, Callable[..., Any]]:
        """Return what stands in for the functions of torch."""
        return {
            **BUILDERS,
            "torch._utils._rebuild_tensor": self._tensor,
            "torch._utils._rebuild_tensor_v2": self._tensor,
            "torch._utils._rebuild_tensor_v3": self._typed,
            "torch._utils._rebuild_parameter": _first,
            "torch._utils._rebuild_parameter_with_state": _first,
            "torch.Size": tuple,
            "torch.device": lambda *_: None,
        }

    def stored(self, key: Any) -> torch.Tensor:
        """Return the storage that a persistent id names, as a flat tensor of its kind."""
        mark, kind, name, _, count, *_ = key
        if mark != "storage" or not isinstance(kind, Word) or not isinstance(name, str):
            raise ValueError("a storage of an unknown kind")
        if kind.name not in _STORAGES:
            raise Forbidden(kind.name)
        dtype = _STORAGES[kind.name]
        if type(count) is not int or count < 0:
            raise ValueError("a storage without a size")
        if name not in self.storages:
            self.storages[name] = self.bytes_of(name, count * dtype.itemsize)
        flat = self.storages[name].view(dtype)
        if len(flat) < count:
            raise ValueError(f"a storage of {len(flat)} values claims {count}")
        return flat

    def bytes_of(self, name: str, size: int) -> torch.Tensor:
        """Return the bytes of a storage: uint8 ``(size,)``."""
        raise NotImplementedError

    def _tensor(self, flat: Any, offset: Any, size: Any, stride: Any, *_: Any) -> torch.Tensor:
        whole = all(
            isinstance(each, tuple) and is_shape(each) for each in ((offset,), size, stride)
        )
        if not whole or len(size) != len(stride):
            raise ValueError("a tensor of no size")
        last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
        if math.prod(size) and last >= len(flat):
            raise ValueError("a tensor beyond the end of its storage")
        self._left -= math.prod(size) * flat.element_size()
        if self._left < 0:
            raise ValueError("tensors that are much larger than the file")
        return torch.as_strided(flat, size, stride, offset)

    def _typed(self, flat: Any, *rest: Any) -> torch.Tensor:
        offset, size, stride, _, _, kind, *_ = rest
        return self._tensor(flat.view(_DTYPES[kind.name]), offset, size, stride)


def _first(found: Any, *_: Any) -> Any:
    return found


class _Archive(_Reader):
    """The layout of torch 1.6 and later."""

    def __init__(self, file: BinaryIO) -> None:
        size = file.seek(0, io.SEEK_END)
        super().__init__(size)
        self._zip = zipfile.ZipFile(file)
        entries = self._zip.infolist()
        names = {entry.filename for entry in entries}
        if len(entries) > _MOST_RECORDS or len(names) < len(entries):
            raise ValueError("an archive with a name twice")
        packed = any(entry.compress_type != zipfile.ZIP_STORED for entry in entries)
        # The sum shows entries that lie upon each other.
        if packed or sum(entry.file_size for entry in entries) > size:
            raise ValueError("a compressed archive, which torch.save does not write")
        tops = {name.partition("/")[0] for name in names}
        self._top = f"{tops.pop()}/" if len(tops) == 1 else ""
        if f"{self._top}constants.pkl" in names:
            raise Script("a TorchScript archive")
        order = f"{self._top}byteorder"
        if order in names and self._zip.read(order) != b"little":
            raise ValueError("the order of bytes of another kind of computer")

    def read(self) -> Any:
        """Return what the file holds."""
        file = io.BytesIO(self._zip.read(f"{self._top}data.pkl"))
        return read_pickle(file, self.builders(), words=_WORDS, stored=self.stored)

    def bytes_of(self, name: str, size: int) -> torch.Tensor:
        """Return the bytes of a storage; the archive checks their sum."""
        entry = self._zip.getinfo(f"{self._top}data/{name}")
        raw = bytearray(self._zip.read(entry))
        if len(raw) != size:
            raise ValueError(f"a storage of {len(raw)} bytes claims {size}")
        return _flat(raw)


class _Legacy(_Reader):
    """The layout before torch 1.6: the storages' bytes come last."""

    def __init__(self, data: bytes) -> None:
        super().__init__(len(data))
        self._file, self._room = io.BytesIO(data), len(data)

    def read(self) -> Any:
        """Return what the file holds."""
        if self._plain() != _MAGIC or self._plain() != _PROTOCOL:
            raise ValueError("another kind of checkpoint")
        if self._plain().get("little_endian") is not True:
            raise ValueError("the order of bytes of another kind of computer")
        found = read_pickle(self._file, self.builders(), words=_WORDS, stored=self.stored)
        for name in self._plain():
            flat = self.storages[name]
            self._fill(flat)
        return found

    def _plain(self) -> Any:
        return read_pickle(self._file, {})

    def stored(self, key: Any) -> torch.Tensor:
        """Return a storage, perhaps a part of another one."""
        flat, view = super().stored(key), key[5] if len(key) > 5 else None
        if view is None:
            return flat
        _, start, count = view
        if type(start) is not int or type(count) is not int or min(start, count) < 0:
            raise ValueError("a part of a storage without a size")
        if start + count > len(flat):
            raise ValueError("a part beyond the end of its storage")
        return flat[start : start + count]

    def bytes_of(self, name: str, size: int) -> torch.Tensor:
        """Return room for a storage, if the file has as many bytes."""
        self._room -= size
        if self._room < 0:
            raise ValueError("storages that are larger than the file")
        return torch.zeros(size, dtype=torch.uint8)

    def _fill(self, flat: torch.Tensor) -> None:
        (count,) = _COUNT.unpack(self._file.read(_COUNT.size))
        raw = self._file.read(len(flat))
        # The count is of values, whose kind stands in the pickle alone.
        if len(raw) < len(flat) or count < 0 or count > len(flat):
            raise ValueError("a storage is cut off")
        flat.copy_(_flat(bytearray(raw)))


def _flat(raw: bytearray) -> torch.Tensor:
    return torch.frombuffer(raw, dtype=torch.uint8) if raw else torch.zeros(0, dtype=torch.uint8)
