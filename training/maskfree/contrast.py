"""How much contrast a video has, and by how much its colours are stretched. No torch here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from maskfree.evenly import evenly
from maskfree.lab_array import GRID_STRIDE, rgb_to_lab

if TYPE_CHECKING:
    from maskfree.config import SamplingConfig
    from maskfree.working import WorkingFrames

__all__ = ["lab_stretch"]


def lab_stretch(frames: WorkingFrames, *, config: SamplingConfig) -> float:
    """Return the factor by which Lab is multiplied for the losses.

    The losses' colour thresholds were made for natural video. A clip of less contrast (the standard
    deviation of Lab over a few frames, all three channels together), as under a microscope, is
    stretched to ``contrast``, so that they tell its objects from its background as well.
    """
    chosen = evenly(range(len(frames)), config.contrast_frames)
    images = np.stack([frames[t][::GRID_STRIDE, ::GRID_STRIDE] for t in chosen])
    lab = rgb_to_lab(images.astype(np.float32) / np.float32(255))
    deviation = float(np.linalg.norm(lab.std(axis=(0, 1, 2), ddof=1, dtype=np.float64)))
    return min(config.max_stretch, max(1.0, config.contrast / max(deviation, 1e-6)))
