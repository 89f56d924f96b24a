"""MaskFreeVIS for one video: masks from boxes, by box projection, colour pairs and the TK-Loss.

The engine: torch and numpy, never Qt or napari. Submodules are imported when used.
"""

from __future__ import annotations

__all__ = ["__version__"]

__version__ = "0.1.0"
