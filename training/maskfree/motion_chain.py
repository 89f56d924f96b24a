"""Motions from frame to frame, multiplied up, and corrected where they have drifted.

Errors of steps add up: after some hundred frames a chain is pixels off. So every so many frames one
is compared with the chain's *anchor*, an earlier frame: that is warped to what this frame should
show by the chain, and the corners' small displacements against it are fitted anew. Where most of
them agree and the two pictures then are clearly more alike, what was wrong is spread over the
frames since the last one that was right. A frame that shares too little background with the anchor,
or can no longer be compared with it, becomes the next one. Correcting every frame was worse than
never: in a far frame another plane may count (measured). Keyframes against drift: Klein and Murray,
PTAM, ISMAR 2007.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    Fit = Callable[[np.ndarray, np.ndarray], np.ndarray | None]

__all__ = ["CameraMotion", "Chain", "Picture", "followed"]

_RETURN = 1.0
"""Pixels: a corner followed there and back must come back this near."""
_LEAST_OVERLAP = 0.5
"""A frame that shares less of its background with the anchor becomes the next one."""
_GAIN = 0.9
"""A correction leaves at most this part of the difference to the anchor."""
_PATIENCE = 3
"""After so many comparisons in vain the anchor is given up."""
_MAJORITY, _NEAR = 0.5, 1.0
"""At least this part of the corners moves as the correction says, to within so many pixels."""


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
        matrix = self._from_first[target] @ self.to_first[source]
        return np.asarray(matrix / matrix[2, 2])

    @functools.cached_property
    def _from_first(self) -> np.ndarray:
        return np.linalg.inv(self.to_first)


@dataclasses.dataclass(frozen=True)
class Picture:
    """A frame: grey uint8 ``(H, W)``; bool ``(H, W)``, True where certainly background."""

    grey: np.ndarray
    background: np.ndarray


class Chain:
    """Steps from each frame to the one before, multiplied up and corrected.

    Parameters
    ----------
    first
        The first frame.
    every
        So many frames lie between two comparisons with the anchor; 0: there are none.
    """

    def __init__(self, first: Picture, *, every: int) -> None:
        self._every = every
        self._to_first = [np.eye(3)]
        self._span = [0]
        self._hold(first, 0)

    def append(
        self, step: np.ndarray | None, picture: Picture, corners: np.ndarray, fit: Fit
    ) -> None:
        """Add a frame.

        ``step``: the map to the frame before, None where it is unknown; ``corners``: ``(M, 2)``, to
        be compared with the anchor; ``fit`` makes a map of pairs of places, or says None.
        """
        t = len(self._to_first)
        if step is None:
            self._to_first.append(np.eye(3))
            self._span.append(self._span[-1] + 1)
            self._hold(picture, t)
            return
        self._to_first.append(_scaled(self._to_first[-1] @ step))
        self._span.append(self._span[-1])
        if self._every and t - self._tried >= self._every:
            self._compare(t, picture, corners, fit)

    def _hold(self, picture: Picture, t: int) -> None:
        """Make a frame the anchor; its own place is what it is."""
        self._anchor, self._anchored = picture, t
        self._right = self._tried = t  # the last frame known to be right; the last one compared

    def _compare(self, t: int, picture: Picture, corners: np.ndarray, fit: Fit) -> None:
        place = self._to_first[t]
        guess = _scaled(np.linalg.inv(self._to_first[self._anchored]) @ place)
        shared = _shared(picture, self._anchor, guess)
        exact = _aligned(picture, self._anchor, guess, shared, corners, fit)
        self._tried = t
        if exact is not None:
            wrong = _scaled(np.linalg.inv(guess) @ exact) - np.eye(3)  # in this frame's own pixels
            back = np.linalg.inv(place)
            for k in range(self._right + 1, t + 1):
                part = (k - self._right) / (t - self._right)
                mend = place @ (np.eye(3) + part * wrong) @ back
                self._to_first[k] = _scaled(mend @ self._to_first[k])
            self._right = t
        overlap = shared.sum() / max(1, np.count_nonzero(picture.background))
        if overlap < _LEAST_OVERLAP or t - self._right >= _PATIENCE * self._every:
            self._hold(picture, t)

    def motion(self) -> CameraMotion:
        """Return the motion of all frames that were added."""
        return CameraMotion(np.array(self._to_first), np.array(self._span))


def followed(
    here: np.ndarray, there: np.ndarray, corners: np.ndarray, visible: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Follow corners ``(M, 2)`` from a grey picture to another and back.

    Returns those that come back and end where ``visible`` ``(H, W)``, and their places there.
    """
    if not len(corners):
        return np.zeros((0, 2), np.float32), np.zeros((0, 2), np.float32)
    start = corners[:, None].astype(np.float32)
    places, found, _ = cv2.calcOpticalFlowPyrLK(here, there, start, None)
    returned, found_back, _ = cv2.calcOpticalFlowPyrLK(there, here, places, None)
    height, width = here.shape
    pixel = np.clip(places[:, 0].round().astype(int), 0, [width - 1, height - 1])
    good = (found[:, 0] == 1) & (found_back[:, 0] == 1)
    good &= np.linalg.norm((returned - start)[:, 0], axis=1) < _RETURN
    good &= visible[pixel[:, 1], pixel[:, 0]]
    return start[good, 0], places[good, 0]


def _shared(picture: Picture, anchor: Picture, to_anchor: np.ndarray) -> np.ndarray:
    """Which pixels are certainly background here and in the anchor: bool ``(H, W)``."""
    seen = _warp(anchor.background.astype(np.uint8), to_anchor, cv2.INTER_NEAREST) > 0
    return np.asarray(seen & picture.background)


def _aligned(
    picture: Picture,
    anchor: Picture,
    guess: np.ndarray,
    shared: np.ndarray,
    corners: np.ndarray,
    fit: Fit,
) -> np.ndarray | None:
    """Return a map to the anchor: ``guess`` unless another is clearly better.

    None where the two cannot be compared: too little is found again, or it agrees on nothing.
    """
    warped = _warp(anchor.grey, guess, cv2.INTER_LINEAR)
    here, places = followed(picture.grey, warped, corners, shared)
    if not len(here):
        return None
    there = cv2.perspectiveTransform(places[None].astype(np.float64), guess)[0]
    matrix = fit(here, there.astype(np.float32))
    if matrix is None:
        return None
    moved = cv2.perspectiveTransform(here[None].astype(np.float64), matrix)[0]
    if (np.linalg.norm(moved - there, axis=1) < _NEAR).mean() < _MAJORITY:
        return None
    both = shared & _shared(picture, anchor, matrix)
    if not both.any():
        return None
    before = cv2.absdiff(picture.grey, warped)[both].mean()
    after = cv2.absdiff(picture.grey, _warp(anchor.grey, matrix, cv2.INTER_LINEAR))[both].mean()
    return matrix if after < _GAIN * before else guess


def _warp(image: np.ndarray, matrix: np.ndarray, flags: int) -> np.ndarray:
    size = (image.shape[1], image.shape[0])
    return np.asarray(cv2.warpPerspective(image, matrix, size, flags=flags | cv2.WARP_INVERSE_MAP))


def _scaled(matrix: np.ndarray) -> np.ndarray:
    return np.asarray(matrix / matrix[2, 2])
