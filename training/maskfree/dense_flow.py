"""Where each pixel of a picture is in another one: dense optical flow, checked there and back."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np

__all__ = ["DisFlow", "RoundTrip"]

_LEAST_SIDE = 16
"""Pixels: smaller pictures are filled up, DIS does not take them."""


class DisFlow:
    """Flow by DIS, OpenCV's medium preset (Kroeger and others, ECCV 2016)."""

    def __init__(self) -> None:
        self._flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)

    def __call__(self, one: np.ndarray, other: np.ndarray) -> np.ndarray:
        """Return how far each pixel of ``one`` is from where it is in ``other``.

        Parameters
        ----------
        one, other
            uint8 RGB ``(H, W, 3)``.

        Returns
        -------
        np.ndarray
            float32 ``(H, W, 2)``: x and y, in pixels.
        """
        height, width = one.shape[:2]
        found = self._flow.calc(_grey(one), _grey(other), None)
        return np.asarray(found[:height, :width])


@dataclasses.dataclass(frozen=True)
class RoundTrip:
    """Where each pixel of a picture is in another one, and how well the way back agrees.

    All ``(H, W)``: ``x``, ``y``: float32, the place in the other picture; ``missed``: float32, how
    far from where it began a way there and back ends, in pixels; ``inside``: bool, whether the
    place is in the picture.
    """

    x: np.ndarray
    y: np.ndarray
    missed: np.ndarray
    inside: np.ndarray

    @classmethod
    def of(cls, there: np.ndarray, back: np.ndarray) -> RoundTrip:
        """Follow the flow ``there`` and then the flow ``back``, float32 ``(H, W, 2)`` each."""
        height, width = there.shape[:2]
        y, x = np.mgrid[:height, :width].astype(np.float32)
        x, y = x + there[..., 0], y + there[..., 1]
        again = cv2.remap(back, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        missed = np.hypot(*np.moveaxis(again + there, -1, 0))
        inside = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
        return cls(x, y, missed, inside)


def _grey(picture: np.ndarray) -> np.ndarray:
    """Return uint8 RGB ``(H, W, 3)`` in grey, filled up to `_LEAST_SIDE`."""
    grey = np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY))
    return np.pad(grey, [(0, max(0, _LEAST_SIDE - side)) for side in grey.shape], mode="edge")
