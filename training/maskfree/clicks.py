"""A click says of a place that it belongs to an object, or that it does not: the region follows.

Two fronts set out, one from the clicks and one from what is surely the contrary, and each place
goes to the one that reaches it more cheaply, where a step costs what the colour changes (as in
:mod:`.geodesic`) and, for the clicks' front, how unlike the clicked colour it is. Only what is
connected with the click and was not yet so changes. Source: Bai, Sapiro: *A Geodesic Framework for
Fast Interactive Image and Video Segmentation and Matting*, ICCV 2007; here the mask that there is
says which places can change.

Where there is no mask yet the colours inside the box are held against those around it, and the part
that holds the click is taken.
"""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

import cv2
import numpy as np
from scipy import ndimage
from skimage.graph import MCP_Geometric

from maskfree.box_pixels import box_pixels
from maskfree.edges import GuidedFilter
from maskfree.errors import InputError
from maskfree.geodesic import step_cost

if TYPE_CHECKING:
    from collections.abc import Sequence

    from maskfree.config import ClicksConfig
    from maskfree.types import Box

__all__ = ["Click", "apply_click"]

_HALF = 0.5
_FAR = 1e9
"""Costs more than any way there is."""
_LAB_LOW, _LAB_SPAN = (0.0, -60.0, -60.0), (100.0, 120.0, 120.0)
"""The colours that the bins are spread over; what lies beyond goes into the last one."""
_LEAST = 1e-5
"""Part of the pixels that a colour has which was never seen."""
_SURE = 3.0
"""Logits: colours say no more than this."""
_BLUR_BINS = 0.7
"""Neighbouring bins share what they count: standard deviation, bins."""
_CORNERS = np.ones((3, 3), np.uint8)


@dataclasses.dataclass(frozen=True)
class Click:
    """A pixel of a frame, and whether it belongs to the object."""

    y: int
    x: int
    belongs: bool


def apply_click(
    frame: np.ndarray,
    mask: np.ndarray,
    box: Box,
    click: Click,
    *,
    earlier: Sequence[Click] = (),
    kept: np.ndarray | None = None,
    config: ClicksConfig,
) -> np.ndarray:
    """Return a mask as a click makes it, bool ``(H, W)``; beside the box nothing changes.

    The clicked pixel is as the click says, unless it is kept.

    Parameters
    ----------
    frame
        RGB uint8 ``(H, W, 3)``.
    mask
        The object as it is known so far, bool ``(H, W)``; without a pixel in the box the mask is
        made from box and clicks.
    box
        Pixels ``xyxy``, half-open.
    earlier
        Clicks that were made before: what they say stays sure.
    kept
        Pixels that do not change, bool ``(H, W)``, as those that a person painted.

    Raises
    ------
    InputError
        For a click that is not in the box.
    ValueError
        For arrays of different sizes.
    """
    kept = np.zeros(mask.shape, bool) if kept is None else kept
    if frame.shape[:2] != mask.shape or kept.shape != mask.shape:
        raise ValueError(
            f"frame, mask and kept must be of one size (H, W), got {frame.shape[:2]}, {mask.shape} "
            f"and {kept.shape}. Pass those of one frame."
        )
    look = _Look.at(frame, box, config)
    height, width = mask.shape
    if not (0 <= click.y < height and 0 <= click.x < width and look.boxed[click.y, click.x]):
        raise InputError(
            f"The click at x {click.x}, y {click.y} is not in the box. Click inside it, or make "
            "the box larger first."
        )
    if click.belongs and not (mask & look.boxed).any():
        region = _from_colours(look, click, earlier, config)
        turned = look.full(region)
    else:
        turned = _turned(look, mask, click, earlier, kept, config)
    turned[click.y, click.x] = True
    turned &= look.boxed & ~kept
    return np.asarray(mask | turned if click.belongs else mask & ~turned)


@dataclasses.dataclass(frozen=True)
class _Look:
    """A window around a box at a size of its own: ``lab`` float32 ``(h, w, 3)``.

    ``rows``, ``columns``: the window in the frame; ``boxed``: bool ``(H, W)``, the box's pixels.
    """

    rows: slice
    columns: slice
    lab: np.ndarray
    boxed: np.ndarray
    box: Box

    @classmethod
    def at(cls, frame: np.ndarray, box: Box, config: ClicksConfig) -> _Look:
        height, width = frame.shape[:2]
        x0, y0, x1, y1 = box
        room = config.margin * max(x1 - x0, y1 - y0) + 2
        rows, columns = box_pixels((x0 - room, y0 - room, x1 + room, y1 + room), height, width)
        boxed = np.zeros((height, width), bool)
        boxed[box_pixels(box, height, width)] = True
        part = np.ascontiguousarray(frame[rows, columns])
        scale = min(1.0, math.sqrt(config.area / max(1, part.shape[0] * part.shape[1])))
        size = tuple(max(1, round(n * scale)) for n in part.shape[1::-1])
        small = np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_AREA))
        lab = cv2.cvtColor(small.astype(np.float32) / np.float32(255), cv2.COLOR_RGB2LAB)
        return cls(rows, columns, np.asarray(lab), boxed, box)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the window at its own size."""
        return self.lab.shape[1], self.lab.shape[0]

    def small(self, image: np.ndarray) -> np.ndarray:
        """Return the window of bool ``(H, W)``, true where most is: bool ``(h, w)``."""
        part = np.ascontiguousarray(image[self.rows, self.columns], np.float32)
        return np.asarray(cv2.resize(part, self.size, interpolation=cv2.INTER_AREA)) > _HALF

    def full(self, image: np.ndarray) -> np.ndarray:
        """Return bool ``(h, w)`` at the frame's own size, with even edges: bool ``(H, W)``."""
        out = np.zeros(self.boxed.shape, bool)
        shape = out[self.rows, self.columns].shape
        smooth = cv2.resize(image.astype(np.float32), shape[::-1], interpolation=cv2.INTER_LINEAR)
        out[self.rows, self.columns] = smooth > _HALF
        return out

    def place(self, click: Click) -> tuple[int, int]:
        """Return the row and column of a click in the window at its own size."""
        down, across = self._centres()
        return int(np.abs(down - click.y).argmin()), int(np.abs(across - click.x).argmin())

    def from_middle(self) -> np.ndarray:
        """Return how far each place is from the box's middle, 1 on the ellipse in it: (h, w)."""
        x0, y0, x1, y1 = self.box
        down, across = self._centres()
        down = (2 * down + 1 - y0 - y1) / max(y1 - y0, 1)
        across = (2 * across + 1 - x0 - x1) / max(x1 - x0, 1)
        return np.asarray(np.hypot(down[:, None], across[None]), np.float32)

    def _centres(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the frame's y of each row and x of each column (pixel centres whole)."""
        return tuple(
            s.start + (np.arange(n) + _HALF) * (s.stop - s.start) / n - _HALF
            for s, n in zip((self.rows, self.columns), self.lab.shape, strict=False)
        )


def _turned(
    look: _Look,
    mask: np.ndarray,
    click: Click,
    earlier: Sequence[Click],
    kept: np.ndarray,
    config: ClicksConfig,
) -> np.ndarray:
    """Return the pixels that become what the click says, bool ``(H, W)``."""
    at, boxed, now = look.place(click), look.small(look.boxed), look.small(mask)
    fixed = look.small(kept)
    open_ = boxed & (now != click.belongs)
    smooth = _smooth(look.lab, config)
    contrary = fixed & open_
    if click.belongs:
        contrary |= ~boxed
    else:
        contrary |= _interior(now & boxed, np.linalg.norm(smooth - smooth[at], axis=2), config)
    own, said = np.zeros_like(now), np.zeros_like(now)
    for each in earlier:
        (own if each.belongs == click.belongs else said)[look.place(each)] = True
    open_[at] = own[at] = True
    own, said = _dots(own), _dots(said)
    contrary = (contrary & ~own) | said
    contrary[at] = False
    cost = step_cost(look.lab, 1.0, config.geodesic)
    colour = smooth[own & open_].mean(0)
    away = np.maximum(np.linalg.norm(smooth - colour, axis=2) - config.alike, 0)
    ours = _ways(cost + config.unlike * away, own & open_, open_)
    rim = contrary & _dots(open_)
    theirs = _ways(cost, rim, open_ | rim) if rim.any() else config.reach
    taken = open_ & ~contrary & (ours < theirs)
    taken[at] = True
    parts, _ = ndimage.label(taken)
    taken = parts == parts[at]
    after = look.full(now | taken if click.belongs else now & ~taken)
    near = look.full(cv2.dilate(taken.astype(np.uint8), _CORNERS))
    return np.asarray(near & (after == click.belongs) & (mask != click.belongs))


def _interior(mask: np.ndarray, away: np.ndarray, config: ClicksConfig) -> np.ndarray:
    """Return a mask's middle, as far as its colour is ``away`` from the click's: bool (h, w)."""
    padded = np.pad(mask, 1).astype(np.uint8)
    depth = np.asarray(cv2.distanceTransform(padded, cv2.DIST_L2, 3))[1:-1, 1:-1]
    return np.asarray(mask & (depth >= config.deep * depth.max()) & (away > config.other))


def _dots(places: np.ndarray) -> np.ndarray:
    """Return places with those beside them: a way that begins on an edge is then no dearer."""
    return np.asarray(cv2.dilate(places.astype(np.uint8), _CORNERS)) > 0


def _smooth(lab: np.ndarray, config: ClicksConfig) -> np.ndarray:
    side = min(config.geodesic.blur, 5)  # the largest that takes float
    return np.asarray(cv2.medianBlur(lab, side))


def _ways(cost: np.ndarray, start: np.ndarray, open_to: np.ndarray) -> np.ndarray:
    """Return the cost of the cheapest way from ``start``, float ``(h, w)``."""
    found, _ = MCP_Geometric(np.where(open_to, cost, -1)).find_costs(np.argwhere(start))
    return np.asarray(np.minimum(found, _FAR))


def _from_colours(
    look: _Look, click: Click, earlier: Sequence[Click], config: ClicksConfig
) -> np.ndarray:
    """Return the object of a box without a mask, bool ``(h, w)``."""
    boxed, middle = look.small(look.boxed), look.from_middle()
    low, span = np.array(_LAB_LOW, np.float32), np.array(_LAB_SPAN, np.float32)
    place = np.clip((look.lab - low) / span * config.bins, 0, config.bins - 1).astype(int)
    colour = np.ravel_multi_index(tuple(np.moveaxis(place, -1, 0)), (config.bins,) * 3)
    inside = _counted(colour[boxed & (middle < 1)], config)
    around = _counted(colour[~boxed], config)
    belief = np.log((inside + _LEAST) / (around + _LEAST)).ravel()[colour]
    belief = np.clip(belief - config.corner * np.maximum(middle - config.ellipse, 0), -_SURE, _SURE)
    radius = max(1, round(config.smooth * max(look.size)))
    belief = GuidedFilter(look.lab, radius, config.contrast)(belief.astype(np.float32))
    for each in earlier:
        belief[look.place(each)] = _SURE if each.belongs else -_SURE
    at = look.place(click)
    belief[at] = _SURE
    found = (belief > 0) & boxed
    found[at] = True
    parts, _ = ndimage.label(found)
    return np.asarray(parts == parts[at])


def _counted(colours: np.ndarray, config: ClicksConfig) -> np.ndarray:
    """Return how often each colour comes, as a part of all, float ``(bins, bins, bins)``."""
    count = np.bincount(colours, minlength=config.bins**3).reshape((config.bins,) * 3)
    smooth = ndimage.gaussian_filter(count.astype(float), _BLUR_BINS)
    return np.asarray(smooth / max(smooth.sum(), 1))
