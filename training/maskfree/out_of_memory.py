"""Which errors mean that the memory, of the machine or of its GPU, is used up. No torch here."""

from __future__ import annotations

__all__ = ["is_out_of_memory"]

_TORCH_WORDS = ("out of memory", "not enough memory")
"""What torch says of it, on every device; its own exception is of CUDA alone."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether ``error`` says that there is no memory left."""
    return isinstance(error, MemoryError) or any(words in str(error) for words in _TORCH_WORDS)
