"""A tiny clip with true masks, as the benchmarks read them: one bright square that moves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["make_square_clip"]


def make_square_clip(clip: Path, count: int) -> Path:
    """Write ``frames/`` and ``masks/`` of so many frames into a new folder; return it."""
    for name in ("frames", "masks"):
        (clip / name).mkdir(parents=True)
    for t in range(count):
        frame = np.random.default_rng(0).integers(0, 60, (48, 64, 3), np.uint8)
        ids = np.zeros((48, 64), np.uint8)
        ids[12:30, 10 + 2 * t : 30 + 2 * t] = 1
        frame[ids == 1] = (230, 120, 40)
        Image.fromarray(frame).save(clip / "frames" / f"{t:05d}.png")
        Image.fromarray(ids).save(clip / "masks" / f"{t:05d}.png")
    return clip
