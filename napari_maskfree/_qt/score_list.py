"""The least sure masks of a frame as rows: track, score as a bar and a number, what was done."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import QModelIndex, QRectF, Qt
from qtpy.QtGui import QColor, QLinearGradient, QPainter
from qtpy.QtWidgets import (
    QLabel,
    QSizePolicy,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QWidget,
)

from napari_maskfree._qt.painting import painting
from napari_maskfree._qt.row_tree import RowTree
from napari_maskfree._qt.section import row
from napari_maskfree._qt.swatch import swatch
from napari_maskfree.constants import SCORE_COLOURS, SCORE_RANGE, SCORE_ROWS
from napari_maskfree.timeline_rows import score_colours

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qtpy.QtGui import QPaintEvent

    from napari_maskfree.frame_scores import FrameScore
    from napari_maskfree.state import State

__all__ = ["ScoreList", "score_scale"]

_ROW, _SWATCH, _BAR, _NUMBER, _SCALE = 22, 12, 7, 34, (60, 8)
_ID, _SCORE = Qt.ItemDataRole.UserRole, Qt.ItemDataRole.UserRole
_LOOKS = Qt.ItemDataRole.UserRole + 1
_NAME_SHARE = 0.42


class ScoreList(RowTree):
    """One row a mask, the least sure first; the selected row is the selected track."""

    def __init__(self, state: State) -> None:
        super().__init__("mfTracks", row=_ROW, icon=_SWATCH)
        self._state = state
        self._filling = False
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.setToolTip(
            "How sure each mask of this frame is, from 0 to 1, the least sure first. "
            "Click to select the track"
        )
        self.setItemDelegateForColumn(1, _Bar(self))
        self.itemSelectionChanged.connect(self._on_select)

    def show_scores(self, found: Sequence[FrameScore]) -> None:
        """Show the first of these, as many as there is room for."""
        found = found[:SCORE_ROWS]
        self._filling = True
        for item, own in zip(self.set_count(len(found)), found, strict=True):
            track = self._state.track(own.track_id)
            colour = self._state.classes.colour(own.track_id)
            if item.data(0, _LOOKS) != (own.track_id, colour):
                item.setData(0, _LOOKS, (own.track_id, colour))
                item.setData(0, _ID, own.track_id)
                item.setIcon(0, swatch(colour, _SWATCH))
            item.setText(0, str(own.track_id) + (f" {track.label}" if track else ""))
            item.setData(1, _SCORE, own.score)
            item.setText(2, own.by_hand)
        self._filling = False
        self.show_selection()
        self.fit(len(found))
        self.setVisible(bool(found))

    def show_selection(self) -> None:
        """Mark the row of the selected track."""
        self._filling = True
        for item in self.all_rows():
            item.setSelected(item.data(0, _ID) == self._state.selected)
        self._filling = False

    def resizeEvent(self, event: object) -> None:
        """Give the names their share of the width."""
        super().resizeEvent(event)  # type: ignore[arg-type]
        self.setColumnWidth(0, round(self.width() * _NAME_SHARE))

    def _on_select(self) -> None:
        chosen = self.selectedItems()
        if self._filling or not chosen:
            return
        track_id = chosen[0].data(0, _ID)
        if self._state.track(track_id) is not None:
            self._state.select(track_id)
        else:
            self.show_selection()


class _Bar(QStyledItemDelegate):
    """Paints a score as a bar in its colour and as a number."""

    def paint(
        self, painter: QPainter | None, option: QStyleOptionViewItem, index: QModelIndex
    ) -> None:
        """Paint one cell."""
        super().paint(painter, option, index)  # the selected row's ground
        score = index.data(_SCORE)
        if painter is None or score is None:
            return
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        room = QRectF(option.rect).adjusted(2, 0, -_NUMBER - 6, 0)
        bar = QRectF(room.left(), room.center().y() - _BAR / 2, room.width(), _BAR)
        ground = option.palette.text().color()
        ground.setAlpha(40)
        painter.setBrush(ground)
        painter.drawRoundedRect(bar, 2, 2)
        bar.setWidth(bar.width() * min(1.0, max(0.0, float(score))))
        painter.setBrush(QColor(*(int(v) for v in score_colours(np.array(score)))))
        painter.drawRoundedRect(bar, 2, 2)
        painter.setPen(option.palette.text().color())
        place = QRectF(option.rect).adjusted(option.rect.width() - _NUMBER - 2, 0, -2, 0)
        align = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft
        painter.drawText(place, int(align), f"{float(score):.2f}")
        painter.restore()


def score_scale() -> QWidget:
    """Return the scale of the colours, with the scores at its ends."""
    low, high = (QLabel(text) for text in _ends())
    for label in (low, high):
        label.setObjectName("mfHint")
    scale = _Scale()
    return row(low, scale, high, grows=scale)


def _ends() -> tuple[str, str]:
    return f"unsure, {SCORE_RANGE[0]:.2f}", f"{SCORE_RANGE[1]:.2f}, sure"


class _Scale(QWidget):
    def __init__(self) -> None:
        super().__init__()
        self.setMinimumSize(*_SCALE)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Paint the colours from the least to the most sure."""
        colours = QLinearGradient(0, 0, self.width(), 0)
        for place, rgb in zip(np.linspace(0, 1, len(SCORE_COLOURS)), SCORE_COLOURS, strict=True):
            colours.setColorAt(float(place), QColor(*rgb))
        top = (self.height() - _SCALE[1]) // 2
        with painting(self) as painter:
            painter.fillRect(0, top, self.width(), _SCALE[1], colours)
