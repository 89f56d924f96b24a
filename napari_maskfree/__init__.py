"""MaskFree in napari: from a few boxes on a video to instance masks on every frame.

The plugin's window. The engine is :mod:`maskfree`; nothing heavy is imported here.
"""

from __future__ import annotations

__all__ = ["__version__"]

__version__ = "0.1.0"
