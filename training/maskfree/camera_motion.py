"""Camera motion between the frames of a video, from points that are certainly background.

Corners outside every box are followed from each frame to the one before and back (pyramidal
Lucas-Kanade); those that return agree on a motion by RANSAC, all through OpenCV; motions are
chained over the video. One homography, the *world's*, is fitted to the whole frame. Where the
corners around a box do not follow it (parallax, a stage that moves, a tiled picture), that box's
surroundings get a chain of their own. Where too few corners agree a chain is broken: frames on
different sides of a break say nothing about each other.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from maskfree.config import EvidenceConfig

__all__ = ["CameraMotion", "estimate_motion", "estimate_motions", "surroundings"]

_CORNER_QUALITY = 0.005
_CORNER_SPACING = 4
_STATIC_DIFFERENCE = 2.0
_LEAST_AGREEMENT = 0.3
"""Part of the corners that must agree on the motion."""
_LEAST_DETERMINANT = 0.05
"""A homography that shrinks a frame's area by more is a wrong one, and may be singular."""
_RETURN = 1.0
"""Pixels: a corner followed there and back must come back this near."""
_FREEDOM = 2
"""Around a box a homography takes this many times the corners that a similarity takes."""


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
    """Estimate the world's motion alone; see :func:`estimate_motions`."""
    return estimate_motions(frames, np.zeros((0, 0, 4)), config=config)[0]


def estimate_motions(
    frames: Iterable[tuple[np.ndarray, np.ndarray]], boxes: np.ndarray, *, config: EvidenceConfig
) -> tuple[CameraMotion, list[CameraMotion | None]]:
    """Estimate the motion of the world and around each box; one pass, two frames in memory.

    Parameters
    ----------
    frames
        For each frame in order: grey uint8 ``(H, W)`` and bool ``(H, W)``, True where the pixel is
        certainly background (outside every box).
    boxes
        float ``(N, T, 4)``, xyxy in pixels, NaN where absent.
    config
        Numbers of corners, the RANSAC threshold and the size of a box's surroundings.

    Returns
    -------
    tuple
        The world's motion, and for each box the motion of its surroundings, or None where these
        move with the world.
    """
    world = _Chain()
    around = [_Chain() for _ in boxes]
    agree = np.zeros((len(boxes), 2))
    before: tuple[np.ndarray, np.ndarray] | None = None
    for t, (grey, background) in enumerate(frames):
        if before is None:
            before = (grey, background)
            continue
        here, there = _follow(grey, background, *before, config)
        step = _fit(here[: config.max_corners], there[: config.max_corners], config)
        if step is None and _is_static(grey, background, *before):
            step = np.eye(3)  # nothing to follow, and nothing moves: a static camera
        world.append(step)
        for n, chain in enumerate(around):
            near = _near(here, boxes[n, t - 1 : t + 1], config.surroundings)
            chain.append(_local(here[near], there[near], step, config))
            if step is not None:
                agree[n] += _agreement(here[near], there[near], step, config), near.sum()
        before = (grey, background)
    with_world = agree[:, 0] >= config.world_share * agree[:, 1]
    motions = [None if w else c.motion() for w, c in zip(with_world, around, strict=True)]
    return world.motion(), motions


def surroundings(box: np.ndarray, margin: float) -> np.ndarray:
    """Return the box grown on each side by ``margin`` of its longer side."""
    by = margin * max(box[2] - box[0], box[3] - box[1])
    return np.asarray(box + np.array([-by, -by, by, by]))


class _Chain:
    """Steps from each frame to the one before, multiplied up."""

    def __init__(self) -> None:
        self._to_first = [np.eye(3)]
        self._span = [0]

    def append(self, step: np.ndarray | None) -> None:
        if step is None:
            self._to_first.append(np.eye(3))
            self._span.append(self._span[-1] + 1)
        else:
            chained = self._to_first[-1] @ step
            self._to_first.append(chained / chained[2, 2])
            self._span.append(self._span[-1])

    def motion(self) -> CameraMotion:
        return CameraMotion(np.array(self._to_first), np.array(self._span))


def _follow(
    grey: np.ndarray,
    background: np.ndarray,
    grey_before: np.ndarray,
    background_before: np.ndarray,
    config: EvidenceConfig,
) -> tuple[np.ndarray, np.ndarray]:
    """Corners of this frame and their places in the frame before, best first: ``(M, 2)`` each."""
    corners = cv2.goodFeaturesToTrack(
        grey,
        3 * config.max_corners,
        _CORNER_QUALITY,
        _CORNER_SPACING,
        mask=background.astype(np.uint8),
    )
    if corners is None:
        return np.zeros((0, 2), np.float32), np.zeros((0, 2), np.float32)
    places, found, _ = cv2.calcOpticalFlowPyrLK(grey, grey_before, corners, None)
    returned, found_back, _ = cv2.calcOpticalFlowPyrLK(grey_before, grey, places, None)
    height, width = grey.shape
    pixel = np.clip(places[:, 0].round().astype(int), 0, [width - 1, height - 1])
    good = (found[:, 0] == 1) & (found_back[:, 0] == 1)
    good &= np.linalg.norm((returned - corners)[:, 0], axis=1) < _RETURN
    good &= background_before[pixel[:, 1], pixel[:, 0]]
    return corners[good, 0], places[good, 0]


def _fit(here: np.ndarray, there: np.ndarray, config: EvidenceConfig) -> np.ndarray | None:
    """Homography from this frame's corners to their places in the one before, or None."""
    if len(here) < config.min_inliers:
        return None
    matrix, inliers = cv2.findHomography(here, there, cv2.RANSAC, config.ransac_threshold)
    if matrix is None or np.linalg.det(matrix) <= _LEAST_DETERMINANT:
        return None
    enough = max(config.min_inliers, _LEAST_AGREEMENT * len(here))
    return np.asarray(matrix) if inliers.sum() >= enough else None


def _local(
    here: np.ndarray, there: np.ndarray, world: np.ndarray | None, config: EvidenceConfig
) -> np.ndarray | None:
    """Motion of a box's surroundings; the world's where they hold too few corners."""
    if len(here) >= _FREEDOM * config.min_inliers:
        matrix = _fit(here, there, config)
        if matrix is not None:
            return matrix
    if len(here) >= config.min_inliers:
        similar, inliers = cv2.estimateAffinePartial2D(
            here, there, method=cv2.RANSAC, ransacReprojThreshold=config.ransac_threshold
        )
        if similar is not None and inliers.sum() >= max(
            config.min_inliers, _LEAST_AGREEMENT * len(here)
        ):
            return np.vstack([similar, [0, 0, 1]])
    return world


def _near(points: np.ndarray, boxes: np.ndarray, margin: float) -> np.ndarray:
    """Which points lie in the surroundings of a box, given in this frame and the one before."""
    present = boxes[np.isfinite(boxes).all(1)]
    if not len(present):
        return np.zeros(len(points), bool)
    x0, y0, x1, y1 = surroundings(present[-1], margin)
    x, y = points[:, 0], points[:, 1]
    return np.asarray((x >= x0) & (x < x1) & (y >= y0) & (y < y1))


def _agreement(
    here: np.ndarray, there: np.ndarray, matrix: np.ndarray, config: EvidenceConfig
) -> int:
    """How many corners move as ``matrix`` says."""
    if not len(here):
        return 0
    moved = cv2.perspectiveTransform(here[None].astype(np.float64), matrix)[0]
    return int((np.linalg.norm(moved - there, axis=1) < config.ransac_threshold).sum())


def _is_static(
    grey: np.ndarray,
    background: np.ndarray,
    grey_before: np.ndarray,
    background_before: np.ndarray,
) -> bool:
    difference = cv2.absdiff(grey, grey_before)[background & background_before]
    return bool(difference.size and float(difference.mean()) < _STATIC_DIFFERENCE)
