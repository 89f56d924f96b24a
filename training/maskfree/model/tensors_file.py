"""Reading safetensors files: tensors and nothing else, the header bounded."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import safetensors.torch

from maskfree.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    import torch

__all__ = ["check_header", "read_tensors"]

_MOST_HEADER = 1 << 24
"""Bytes of a header; a thousand tensors take some 100,000."""
_LENGTH = struct.Struct("<Q")


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """Read a safetensors file.

    Raises
    ------
    InputError
        When the file is missing, truncated or something else.
    """
    try:
        check_header(path)
        tensors: dict[str, torch.Tensor] = safetensors.torch.load_file(path)
        return tensors
    except Exception as error:
        if isinstance(error, MemoryError):
            raise
        # The library raises what it likes, for instance for numbers that torch does not have.
        raise InputError(
            f"{path} is not a readable safetensors file: {_reason(error)}. Fine-tune again, or "
            "convert foreign weights with: maskfree convert-weights IN OUT"
        ) from error


def check_header(path: Path) -> None:
    """Check how long a file's header says that it is, before it is read.

    Raises
    ------
    ValueError
        Where it is longer than the file, or than any header is.
    OSError
        Where the file cannot be read.
    """
    with path.open("rb") as file:
        head = file.read(_LENGTH.size)
    length = _LENGTH.unpack(head)[0] if len(head) == _LENGTH.size else 0
    if not 0 < length <= min(_MOST_HEADER, path.stat().st_size - _LENGTH.size):
        raise ValueError(f"its header claims {length} bytes")


def _reason(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
