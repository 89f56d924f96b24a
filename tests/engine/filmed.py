"""Films of something that moves, encoded as a person's programs would."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av
import cv2
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["film", "scenery"]


def scenery(count: int, height: int = 72, width: int = 128, seed: int = 0) -> np.ndarray:
    """Frames of a camera that pans over a landscape, with a disc that goes its own way.

    uint8 ``(count, height, width, 3)``.
    """
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 255, (12, 24 + count // 4, 3), dtype=np.uint8)
    land = cv2.resize(coarse, (width + 2 * count, height), interpolation=cv2.INTER_CUBIC)
    frames = np.stack([land[:, 2 * t : 2 * t + width] for t in range(count)])
    for t in range(count):
        at = (int(width * (0.5 + 0.4 * np.sin(t / 9))), int(height * (0.5 + 0.3 * np.cos(t / 7))))
        cv2.circle(frames[t], at, 9, (250, 240, 30), -1)
    return frames


def film(
    path: Path,
    frames: Sequence[np.ndarray] | np.ndarray,
    *,
    rate: int = 25,
    quality: int = 23,
    gop: int = 12,
    size: tuple[int, int] | None = None,
) -> Path:
    """Encode frames as H.264; ``quality``: the larger the worse; ``size``: height, width."""
    height, width = size or frames[0].shape[:2]
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=rate)
        stream.height, stream.width, stream.pix_fmt = height, width, "yuv420p"
        stream.options = {"crf": str(quality), "g": str(gop), "preset": "ultrafast"}
        for number, frame in enumerate(frames):
            if size is not None:
                frame = cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA)
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
            picture.pts, picture.time_base = number, Fraction(1, rate)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return path
