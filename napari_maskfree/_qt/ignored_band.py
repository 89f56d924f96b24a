"""The band on the timeline's ruler where ignore regions hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QRectF, Qt
from qtpy.QtGui import QColor

from napari_maskfree.constants import IGNORE_COLOUR
from napari_maskfree.ignoring import spans_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from qtpy.QtGui import QPainter

    from napari_maskfree.state import State

__all__ = ["paint_ignored"]

_BAND, _LEFT, _SIGN, _TEXT = 4, 4, 10, 14
"""Pixels: the band's height; where its sign begins beside it, how high that is, and its name."""


def paint_ignored(
    painter: QPainter, state: State, corner: QRectF, x_of: Callable[[float], float]
) -> None:
    """Paint a grey band at the ruler's lower edge, and what it means in the corner beside it.

    Nothing is painted where there is no region.

    Parameters
    ----------
    painter
        With the pen that the ruler is written with.
    corner
        The place left of the ruler, of its height.
    x_of
        Where the middle of a frame is.
    """
    if not state.ignoring.all or state.video is None:
        return
    grey, middle = QColor(*IGNORE_COLOUR), corner.center().y()
    painter.fillRect(QRectF(corner.left() + _LEFT, middle - _SIGN / 2, _BAND, _SIGN), grey)
    name = corner.adjusted(_TEXT, 0, 0, 0)
    painter.drawText(name, Qt.AlignmentFlag.AlignVCenter, "ignored")
    for first, last in spans_of(state.ignoring.all, state.video.num_frames):
        left, right = max(x_of(first - 0.5), corner.right()), x_of(last + 0.5)
        if right > left:
            painter.fillRect(QRectF(left, corner.bottom() - _BAND, right - left, _BAND), grey)
