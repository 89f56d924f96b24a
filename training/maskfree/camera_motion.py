"""Camera motion between the frames of a video, from points that are certainly background.

Corners outside every box are followed from each frame to the next (pyramidal Lucas-Kanade) and a
homography is fitted by RANSAC, all through OpenCV; motions are chained over the video. Where too
few corners agree the chain is broken: frames on different sides of a break say nothing about each
other.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from maskfree.config import EvidenceConfig

__all__ = ["CameraMotion", "estimate_motion"]

_CORNER_QUALITY = 0.01
_CORNER_SPACING = 5
_STATIC_DIFFERENCE = 2.0
_LEAST_AGREEMENT = 0.3
"""Part of the corners that must agree on the motion."""
_LEAST_DETERMINANT = 0.05
"""A homography that shrinks a frame's area by more is a wrong one, and may be singular."""


@dataclasses.dataclass(frozen=True)
class CameraMotion:
    """Homographies of a video, chained.

    ``to_first``: float ``(T, 3, 3)``, maps pixel ``(x, y, 1)`` of frame t to the first frame of its
    span; ``span``: int ``(T,)``, frames with different numbers are not connected.
    """

    to_first: np.ndarray
    span: np.ndarray

    def between(self, source: int, target: int) -> np.ndarray | None:
        """Return the ``(3, 3)`` map of pixels from ``source`` to ``target``; None if unknown."""
        if self.span[source] != self.span[target]:
            return None
        matrix = np.linalg.inv(self.to_first[target]) @ self.to_first[source]
        return np.asarray(matrix / matrix[2, 2])


def estimate_motion(
    frames: Iterable[tuple[np.ndarray, np.ndarray]], *, config: EvidenceConfig
) -> CameraMotion:
    """Estimate the camera motion of a whole video; one pass, two frames in memory.

    Parameters
    ----------
    frames
        For each frame in order: grey uint8 ``(H, W)`` and bool ``(H, W)``, True where the pixel is
        certainly background (outside every box).
    config
        Numbers of corners and the RANSAC threshold.
    """
    to_first, span = [], []
    before: tuple[np.ndarray, np.ndarray] | None = None
    for grey, background in frames:
        if before is None:
            to_first.append(np.eye(3))
            span.append(0)
        else:
            step = _step(grey, background, *before, config)
            if step is None:
                to_first.append(np.eye(3))
                span.append(span[-1] + 1)
            else:
                chained = to_first[-1] @ step
                to_first.append(chained / chained[2, 2])
                span.append(span[-1])
        before = (grey, background)
    return CameraMotion(np.array(to_first), np.array(span))


def _step(
    grey: np.ndarray,
    background: np.ndarray,
    grey_before: np.ndarray,
    background_before: np.ndarray,
    config: EvidenceConfig,
) -> np.ndarray | None:
    """Map from this frame's pixels to those of the frame before, or None."""
    corners = cv2.goodFeaturesToTrack(
        grey,
        config.max_corners,
        _CORNER_QUALITY,
        _CORNER_SPACING,
        mask=background.astype(np.uint8),
    )
    both = background & background_before
    if corners is not None and len(corners) >= config.min_inliers:
        followed, found, _ = cv2.calcOpticalFlowPyrLK(grey, grey_before, corners, None)
        ok = found[:, 0] == 1
        if ok.sum() >= config.min_inliers:
            matrix, inliers = cv2.findHomography(
                corners[ok], followed[ok], cv2.RANSAC, config.ransac_threshold
            )
            if matrix is not None and np.linalg.det(matrix) > _LEAST_DETERMINANT:
                if inliers.sum() >= max(config.min_inliers, _LEAST_AGREEMENT * ok.sum()):
                    return np.asarray(matrix)
    difference = cv2.absdiff(grey, grey_before)[both]
    if difference.size and float(difference.mean()) < _STATIC_DIFFERENCE:
        return np.eye(3)  # nothing to follow, and nothing moves: a static camera
    return None
