"""How far a predicted mask can be trusted, without the truth.

*Stability*: how much of the mask stays when the threshold moves to either side (the stability score
of Segment Anything, Kirillov and others, ICCV 2023). *Fit*: how well the mask's own box overlaps
the box that was drawn or interpolated. Their product ranks masks as their true J would
(`training/benchmarks/quality.py`, column rho). What is ignored has no part in either.
"""

from __future__ import annotations

import math

import numpy as np

__all__ = ["box_fit", "stability"]


def stability(logits: np.ndarray, margin: float, ignored: np.ndarray | None = None) -> float:
    """Return the overlap of the masks at thresholds ``margin`` above and below 0, in [0, 1].

    ``logits``: float ``(h, w)``; ``ignored``: bool ``(h, w)``, pixels that do not count, or None.
    """
    logits = logits if ignored is None else logits[~ignored]
    above, below = int((logits > margin).sum()), int((logits > -margin).sum())
    return above / below if below else 0.0


def box_fit(
    mask: np.ndarray,
    window: tuple[slice, slice],
    box: np.ndarray,
    ignored: np.ndarray | None = None,
) -> float:
    """Return the overlap (IoU) of a mask's bounding box with a box, in [0, 1].

    Parameters
    ----------
    mask
        bool ``(h, w)``, the part ``window`` (rows, columns) of a frame.
    box
        xyxy in pixels of the frame.
    ignored
        bool ``(h, w)``: mask and box are cut back to the rest of the window, None: to nothing.
    """
    if ignored is not None:
        mask, box = mask & ~ignored, _cut_back(box, window, ignored)
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return 0.0
    top, left = window[0].start + rows[0], window[1].start + columns[0]
    bottom, right = window[0].start + rows[-1] + 1, window[1].start + columns[-1] + 1
    x0, y0, x1, y1 = (float(v) for v in box)
    across = max(0.0, min(x1, right) - max(x0, left))
    down = max(0.0, min(y1, bottom) - max(y0, top))
    union = (x1 - x0) * (y1 - y0) + (right - left) * (bottom - top) - across * down
    return across * down / union if union > 0 and math.isfinite(union) else 0.0


def _cut_back(box: np.ndarray, window: tuple[slice, slice], ignored: np.ndarray) -> np.ndarray:
    """Return what spans the part of a box that counts; the box itself where none of it does."""
    y = np.arange(window[0].start, window[0].stop)
    x = np.arange(window[1].start, window[1].stop)
    x0, y0, x1, y1 = (float(v) for v in box)
    inside = ((y + 1 > y0) & (y < y1))[:, None] & ((x + 1 > x0) & (x < x1))
    left = inside & ~ignored
    if not left.any():
        return box
    y, x = y[left.any(1)], x[left.any(0)]
    return np.array([max(x0, x[0]), max(y0, y[0]), min(x1, x[-1] + 1), min(y1, y[-1] + 1)])
