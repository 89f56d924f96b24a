"""A frame at its own size with its masks and ids drawn on it, fast enough for every frame."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
from PIL import Image, ImageDraw

from maskfree.colours import track_colour
from maskfree.contact_sheet import FILL, HEM, Size, draw_tag

if TYPE_CHECKING:
    from maskfree.types import Box, InstanceMasks

__all__ = ["overlay"]

_LINE_OF = 360
"""Rows of a frame for each pixel of a line's thickness."""
_HEM = 2
"""How much wider the dark line under a line is, pixels."""
_PILL = 230
"""Opacity (0 to 255) of the ground under an id."""
_ABSENT = (-1, -1)


def overlay(
    frame: np.ndarray, masks: InstanceMasks | None, boxes: dict[int, Box] | None = None
) -> np.ndarray:
    """Return ``frame`` with everything that is known of it drawn on it: uint8 RGB ``(H, W, 3)``.

    A mask is lightly filled, with its outline and its track's id, in the track's colour. Boxes are
    drawn where no masks are known.

    Parameters
    ----------
    frame
        uint8 RGB ``(H, W, 3)``.
    masks
        The frame's, bool ``(N, H, W)``; None: none are known.
    boxes
        The frame's ``xyxy`` by track id, pixels.
    """
    thickness = max(2, round(frame.shape[0] / _LINE_OF))
    out = np.ascontiguousarray(frame).copy()
    places: dict[int, tuple[int, int]] = {}
    if masks is not None:
        for track_id, mask in zip(masks.track_ids, masks.masks, strict=True):
            _fill(out, mask, track_colour(track_id))
        for track_id, mask in zip(masks.track_ids, masks.masks, strict=True):
            place = _outline(out, mask, track_colour(track_id), thickness)
            if place != _ABSENT:
                places[track_id] = place
    for track_id, (x0, y0, x1, y1) in ({} if masks is not None else boxes or {}).items():
        corners = (round(x0), round(y0)), (round(x1) - 1, round(y1) - 1)
        for colour, wider in ((HEM, _HEM), (track_colour(track_id), 0)):
            cv2.rectangle(out, *corners, colour, thickness + wider)
        places[track_id] = corners[0]
    return _tagged(out, places) if places else out


def _fill(out: np.ndarray, mask: np.ndarray, colour: tuple[int, int, int]) -> None:
    inside = out[mask].astype(np.float32)
    out[mask] = np.rint(inside + FILL * (np.array(colour, np.float32) - inside)).astype(np.uint8)


def _outline(
    out: np.ndarray, mask: np.ndarray, colour: tuple[int, int, int], thickness: int
) -> tuple[int, int]:
    """Draw a mask's outline; return where its id stands, (x, y)."""
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    if not contours:
        return _ABSENT
    for ink, wider in ((HEM, _HEM), (colour, 0)):
        cv2.drawContours(out, contours, -1, ink, thickness + wider, cv2.LINE_AA)
    points = np.concatenate(contours)[:, 0]
    x, y = points[points[:, 1].argmin()].tolist()
    return int(x), int(y)


def _tagged(out: np.ndarray, places: dict[int, tuple[int, int]]) -> np.ndarray:
    picture = Image.fromarray(out)
    draw = ImageDraw.Draw(picture, "RGBA")
    size = Size(picture.width, picture.height)
    for track_id, place in places.items():
        draw_tag(draw, place, size, str(track_id), (*track_colour(track_id), _PILL))
    return np.array(picture)
