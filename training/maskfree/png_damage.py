"""What Pillow may raise for a PNG that is damaged, or made to be."""

from __future__ import annotations

import struct
import zlib

from PIL import Image

__all__ = ["PNG_DAMAGE"]

PNG_DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    OverflowError,
    TypeError,
    IndexError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)
