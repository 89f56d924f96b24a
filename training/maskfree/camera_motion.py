"""Camera motion between the frames of a video, from points that are certainly background.

Corners outside every box are followed from each frame to the one before and back (pyramidal
Lucas-Kanade); those that return agree on a motion by RANSAC, all through OpenCV; motions are
chained over the video, and each chain is held to an anchor (:mod:`maskfree.motion_chain`). One
homography, the *world's*, is fitted to the whole frame. Where the
corners around a box do not follow it (parallax, a stage that moves, a tiled picture), that box's
surroundings get a chain of their own. Where too few corners agree a chain is broken: frames on
different sides of a break say nothing about each other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from maskfree.motion_chain import CameraMotion, Chain, Picture, followed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from maskfree.config import EvidenceConfig

__all__ = ["estimate_motion", "estimate_motions", "surroundings"]

_CORNER_QUALITY = 0.005
_CORNER_SPACING = 4
_STATIC_DIFFERENCE = 2.0
_LEAST_AGREEMENT = 0.3
"""Part of the corners that must agree on the motion."""
_LEAST_DETERMINANT = 0.05
"""A homography that shrinks a frame's area by more is a wrong one, and may be singular."""
_FREEDOM = 2
"""Around a box a homography takes this many times the corners that a similarity takes."""


def estimate_motion(
    frames: Iterable[tuple[np.ndarray, np.ndarray]], *, config: EvidenceConfig
) -> CameraMotion:
    """Estimate the world's motion alone; see :func:`estimate_motions`."""
    return estimate_motions(frames, np.zeros((0, 0, 4)), config=config)[0]


def estimate_motions(
    frames: Iterable[tuple[np.ndarray, np.ndarray]], boxes: np.ndarray, *, config: EvidenceConfig
) -> tuple[CameraMotion, list[CameraMotion | None]]:
    """Estimate the motion of the world and around each box; one pass.

    In memory: two frames, and one more for each chain (its anchor).

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

    Raises
    ------
    ValueError
        When there is no frame.
    """
    pictures = (Picture(*frame) for frame in frames)
    before = next(pictures, None)
    if before is None:
        raise ValueError("There must be at least one frame, got none.")
    chains = [Chain(before, every=config.drift_every) for _ in range(len(boxes) + 1)]
    world, around = chains[0], chains[1:]
    agree = np.zeros((len(boxes), 2))

    def fit(here: np.ndarray, there: np.ndarray) -> np.ndarray | None:
        return _fit(here[: config.max_corners], there[: config.max_corners], config)

    def fit_near(here: np.ndarray, there: np.ndarray) -> np.ndarray | None:
        return _local(here, there, None, config)

    for t, picture in enumerate(pictures, 1):
        here, there = _follow(picture, before, config)
        step = fit(here, there)
        if step is None and _is_static(picture, before):
            step = np.eye(3)  # nothing to follow, and nothing moves: a static camera
        world.append(step, picture, here, fit)
        for n, chain in enumerate(around):
            both = boxes[n, t - 1 : t + 1]
            near = _near(here, both, config.surroundings)
            own = _local(here[near], there[near], step, config)
            chain.append(own, _part(picture, both, config), here[near], fit_near)
            if step is not None:
                agree[n] += _agreement(here[near], there[near], step, config), near.sum()
        before = picture
    with_world = agree[:, 0] >= config.world_share * agree[:, 1]
    motions = [None if w else c.motion() for w, c in zip(with_world, around, strict=True)]
    return world.motion(), motions


def surroundings(box: np.ndarray, margin: float) -> np.ndarray:
    """Return the box grown on each side by ``margin`` of its longer side."""
    by = margin * max(box[2] - box[0], box[3] - box[1])
    return np.asarray(box + np.array([-by, -by, by, by]))


def _follow(
    picture: Picture, before: Picture, config: EvidenceConfig
) -> tuple[np.ndarray, np.ndarray]:
    """Corners of this frame and their places in the frame before, best first: ``(M, 2)`` each."""
    corners = cv2.goodFeaturesToTrack(
        picture.grey,
        3 * config.max_corners,
        _CORNER_QUALITY,
        _CORNER_SPACING,
        mask=picture.background.astype(np.uint8),
    )
    corners = np.zeros((0, 2), np.float32) if corners is None else corners[:, 0]
    return followed(picture.grey, before.grey, corners, before.background)


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


def _is_static(picture: Picture, before: Picture) -> bool:
    difference = cv2.absdiff(picture.grey, before.grey)[picture.background & before.background]
    return bool(difference.size and float(difference.mean()) < _STATIC_DIFFERENCE)


def _part(picture: Picture, boxes: np.ndarray, config: EvidenceConfig) -> Picture:
    """Return the surroundings of a box, given in this frame and the one before, and no more."""
    background = np.zeros_like(picture.background)
    present = boxes[np.isfinite(boxes).all(1)]
    if len(present):
        height, width = background.shape
        limits = [width, height, width, height]
        grown = surroundings(present[-1], config.surroundings)
        low_x, low_y, high_x, high_y = np.clip(grown, 0, limits).round().astype(int)
        window = slice(low_y, high_y), slice(low_x, high_x)
        background[window] = picture.background[window]
    return Picture(picture.grey, background)
