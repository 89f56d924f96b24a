"""Sample data: a real clip with boxes drawn by hand, and clips made on the fly with exact masks.

Importing this package loads neither torch nor scikit-image. README.md beside it credits the clip.
"""

from __future__ import annotations

from pathlib import Path

from .generated import GeneratedClip, generated_clip

__all__ = ["GeneratedClip", "generated_clip", "rabbit_boxes_path", "rabbit_path"]

_HERE = Path(__file__).resolve().parent


def rabbit_path() -> Path:
    """Return the path of the real clip: 60 frames of 854 x 480 from Big Buck Bunny, H.264."""
    return _HERE / "rabbit.mp4"


def rabbit_boxes_path() -> Path:
    """Return the path of the boxes file of :func:`rabbit_path`: one track, "rabbit"."""
    return _HERE / "rabbit_boxes.json"
