"""The timeline's canvas: a lane a track over the whole video; the mouse zooms and scrolls."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import QPointF, QRectF, QSize, Qt, Signal
from qtpy.QtGui import QColor, QImage, QPainter, QPen
from qtpy.QtWidgets import QAbstractScrollArea, QFrame, QToolTip

from maskfree.corrections import is_gold
from napari_maskfree._qt.gold_marks import paint_gold
from napari_maskfree._qt.ignored_band import paint_ignored
from napari_maskfree.changes import Changes
from napari_maskfree.constants import GOLD_SIZE
from napari_maskfree.status import status_of
from napari_maskfree.timeline_rows import LANE, Columns, Lane, paint_lanes

if TYPE_CHECKING:
    from qtpy.QtGui import QMouseEvent, QPaintEvent, QResizeEvent, QWheelEvent

    from maskfree.types import Track
    from napari_maskfree._qt.style import Palette
    from napari_maskfree.state import State

__all__ = ["Timeline"]

_NAMES, _RULER = 118, 22
_MOST_ZOOM, _ZOOM_STEP = 80.0, 1.25
_DRAG = 4
_LABEL_GAP = 64
_NOTCH = 120
_FEWEST, _MOST_LANES = 2, 8
_EMPTY = "Draw a box around an object: its track appears here."


class Timeline(QAbstractScrollArea):
    """Lanes under a ruler, names at the left.

    A click on a lane selects the track and goes to the frame; a drag along it selects a range of
    frames; a drag along the ruler goes through the video. Ctrl and the wheel zoom, Shift and the
    wheel go along.
    """

    frame_picked = Signal(int)

    def __init__(self, state: State, colours: Palette) -> None:
        super().__init__()
        self.state, self.colours = state, colours
        self.scores: dict[int, np.ndarray] = {}
        self.hand: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        self.gold: dict[int, np.ndarray] = {}
        self._gold_frames = np.zeros(0, np.int64)
        self.changes = Changes()
        self._lanes: dict[int, Lane] = {}
        self._zoom: float | None = None
        self._pressed: QPointF | None = None
        self._start: int | None = None
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setAccessibleName("Timeline of the tracks")
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAsNeeded)
        view = self.viewport()
        assert view is not None
        self._view = view
        view.setMouseTracking(True)
        view.setCursor(Qt.CursorShape.PointingHandCursor)
        view.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self._arrange()

    # ---- geometry

    def sizeHint(self) -> QSize:
        """Return a size with some lanes in it."""
        lanes = min(max(len(self._tracks()), _FEWEST), _MOST_LANES)
        return QSize(600, _RULER + lanes * LANE + 20)

    def minimumSizeHint(self) -> QSize:
        """Return a size with the fewest lanes."""
        return QSize(_NAMES + 100, _RULER + _FEWEST * LANE)

    def columns(self) -> Columns:
        """Return which frames are shown where, in the device's pixels."""
        ratio = self._view.devicePixelRatioF()
        zoom = self.zoom
        width = max(0, round((self._view.width() - _NAMES) * ratio))
        return Columns(self._first(), zoom * ratio, width, self._count)

    @property
    def zoom(self) -> float:
        """Pixels a frame: at least as many as let the whole video fit."""
        return max(self._zoom or 0.0, self._fit)

    @property
    def _fit(self) -> float:
        return max(self._view.width() - _NAMES, 1) / self._count

    @property
    def _count(self) -> int:
        return max(self.state.video.num_frames if self.state.video else 1, 1)

    def _first(self) -> float:
        bar = self.horizontalScrollBar()
        return (bar.value() if bar is not None else 0) / self.zoom

    def frame_at(self, x: float) -> int:
        """Return the frame at ``x`` of the viewport, in logical pixels."""
        return Columns(self._first(), self.zoom, 1, self._count).frame(x - _NAMES)

    def x_of(self, frame: float) -> float:
        """Return where the middle of a frame is in the viewport, in logical pixels."""
        return _NAMES + Columns(self._first(), self.zoom, 1, self._count).x(frame)

    def track_at(self, y: float) -> Track | None:
        """Return the track whose lane is at ``y`` of the viewport."""
        tracks = self._tracks()
        row = int((y - _RULER + self._top()) // LANE)
        return tracks[row] if y >= _RULER and 0 <= row < len(tracks) else None

    def _top(self) -> int:
        bar = self.verticalScrollBar()
        return bar.value() if bar is not None else 0

    def _tracks(self) -> tuple[Track, ...]:
        return self.state.tracks.tracks if self.state.tracks else ()

    def _arrange(self) -> None:
        """Set the scroll bars to what there is."""
        across, down = self.horizontalScrollBar(), self.verticalScrollBar()
        assert across is not None and down is not None
        wide, high = self._view.width() - _NAMES, self._view.height() - _RULER
        across.setRange(0, max(0, round(self._count * self.zoom) - wide))
        across.setPageStep(max(wide, 1))
        across.setSingleStep(max(1, round(self.zoom)))
        down.setRange(0, max(0, len(self._tracks()) * LANE - high))
        down.setPageStep(max(high, 1))
        down.setSingleStep(LANE)

    # ---- what changes

    def refresh(self) -> None:
        """Show other tracks, another video or other scores."""
        self._arrange()
        self._view.update()

    def show_corrections(
        self, hand: dict[int, tuple[np.ndarray, np.ndarray]], gold: dict[int, np.ndarray]
    ) -> None:
        """Show what a person corrected, and which frames are gold; as `paint_lanes` takes them."""
        self.hand, self.gold = hand, gold
        self._gold_frames = np.unique(np.concatenate([self._gold_frames[:0], *gold.values()]))
        self._view.update()

    def show_frame(self) -> None:
        """Show the state's frame: scrolls where it is out of sight."""
        bar, x = self.horizontalScrollBar(), self.x_of(self.state.frame)
        assert bar is not None
        if not _NAMES <= x < self._view.width():
            middle = (self._view.width() - _NAMES) // 2
            bar.setValue(round((self.state.frame + 0.5) * self.zoom) - middle)
        self._view.update()

    def show_selected(self) -> None:
        """Show the lane of the selected track: scrolls where it is out of sight."""
        ids = [t.id for t in self._tracks()]
        bar = self.verticalScrollBar()
        if bar is not None and self.state.selected in ids:
            top = ids.index(self.state.selected) * LANE
            high = self._view.height() - _RULER
            if not bar.value() <= top <= bar.value() + high - LANE:
                bar.setValue(top - (high - LANE) // 2)
        self._view.update()

    def zoom_by(self, factor: float, x: float | None = None) -> None:
        """Zoom, with what is at ``x`` (by default the state's frame) staying where it is."""
        if x is None:
            x = min(max(self.x_of(self.state.frame), _NAMES), self._view.width())
        bar = self.horizontalScrollBar()
        assert bar is not None
        held = self._first() + (x - _NAMES) / self.zoom
        zoom = min(max(self.zoom * factor, self._fit), max(_MOST_ZOOM, self._fit))
        self._zoom = None if zoom <= self._fit else zoom
        self._arrange()
        bar.setValue(round(held * self.zoom - (x - _NAMES)))
        self._view.update()

    def fit(self) -> None:
        """Show the whole video."""
        self._zoom = None
        self._arrange()
        self._view.update()

    # ---- mouse

    def wheelEvent(self, event: QWheelEvent | None) -> None:
        """Zoom with Ctrl, go along with Shift or sideways, else through the tracks."""
        if event is None:
            return
        turn = event.angleDelta()
        if event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            self.zoom_by(_ZOOM_STEP ** (turn.y() / _NOTCH), event.position().x())
        else:
            sideways = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
            along = turn.x() or (turn.y() if sideways else 0)
            across, down = self.horizontalScrollBar(), self.verticalScrollBar()
            assert across is not None and down is not None
            across.setValue(across.value() - round(along))
            if not sideways:
                down.setValue(down.value() - round(turn.y() / _NOTCH * 2 * LANE))
        event.accept()

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        """Select the track under the mouse and go to the frame."""
        if event is None or event.button() != Qt.MouseButton.LeftButton:
            return
        place = event.position()
        track = self.track_at(place.y())
        if track is not None:
            self.state.select(track.id)
        if place.x() < _NAMES:
            return
        self._pressed = place
        self._start = self.frame_at(place.x()) if track is not None else None
        self.frame_picked.emit(self.frame_at(place.x()))

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:
        """Say what is under the mouse; with the button held, select a range or go along."""
        if event is None:
            return
        place = event.position()
        if self._pressed is None:
            QToolTip.showText(event.globalPosition().toPoint(), self.describe(place), self._view)
            return
        frame = self.frame_at(place.x())
        if self._start is None:
            self.frame_picked.emit(frame)
        elif self.state.range or abs(place.x() - self._pressed.x()) > _DRAG:
            self.state.select_range(self._start, frame)

    def mouseReleaseEvent(self, event: QMouseEvent | None) -> None:
        """End a drag; a click alone lets go of the selected range."""
        if event is None or self._pressed is None:
            return
        if self._start is not None and abs(event.position().x() - self._pressed.x()) <= _DRAG:
            self.state.select_range(None)
        self._pressed = self._start = None

    def describe(self, place: QPointF) -> str:
        """Say what is at a place of the viewport; empty text where nothing is."""
        track = self.track_at(place.y())
        if place.x() < _NAMES:
            return f"Track {track.id} {track.label}" if track is not None else ""
        frame = self.frame_at(place.x())
        if track is None:
            known = is_gold(self.state.corrections[frame])
            hidden = self.state.ignoring.said(frame)
            return f"Frame {frame}{' · gold: runs are scored on it' * known}{hidden}"
        row = self.scores.get(track.id)
        score = (
            ""
            if row is None or len(row) <= frame or np.isnan(row[frame])
            else f" · mask's score {row[frame]:.2f}"
        )
        own = self.state.corrections[frame].get(track.id)
        words = ("corrected", "accepted", "gold")
        hand = "" if own is None else f" · {words[own.accepted + own.gold]}"
        if own is not None and own.carried is not None:
            hand = f" · carried here from frame {own.carried}"
        other = self.changes.at(track.id, frame)
        change = "" if other is None else f" · changed, {other.share:.0%} of the mask"
        word = status_of(track, frame)
        return f"Frame {frame} · {track.id} {track.label}: {word}{score}{hand}{change}"

    # ---- paint

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Keep the scroll bars right."""
        super().resizeEvent(event)
        self._arrange()

    def paintEvent(self, _event: QPaintEvent | None) -> None:
        """Paint ruler, names, lanes, the range and the line of the current frame."""
        painter = QPainter(self._view)
        try:
            painter.fillRect(self._view.rect(), QColor(*self.colours.field))
            self._paint_lanes(painter)
            self._paint_ruler(painter)
            self._paint_place(painter)
        finally:
            painter.end()

    def _lane(self, track: Track) -> Lane:
        known = self._lanes.get(track.id)
        if known is None or known.track is not track:
            known = self._lanes[track.id] = Lane(track)
        return known

    def _paint_lanes(self, painter: QPainter) -> None:
        top, columns = self._top(), self.columns()
        first = top // LANE
        last = (top + self._view.height() - _RULER) // LANE + 1
        tracks = self._tracks()[first:last]
        if not self._tracks():
            painter.setPen(QColor(*self.colours.muted))
            room = QRectF(_NAMES, _RULER, self._view.width() - _NAMES, self._view.height() - _RULER)
            painter.drawText(room, Qt.AlignmentFlag.AlignCenter, _EMPTY)
        if not tracks or not columns.width:
            return
        picture = paint_lanes(
            [self._lane(track) for track in tracks],
            columns,
            self.scores,
            self.hand,
            colour=self.state.classes.colour,
            selected=self.state.selected,
            ground=self.colours.field,
            raised=self.colours.card,
            mark=self.colours.text,
            gold=self.gold,
            changed=self.changes.frames(),
        )
        high, wide, _ = picture.shape
        image = QImage(picture.tobytes(), wide, high, 3 * wide, QImage.Format.Format_RGB888)
        y = _RULER + first * LANE - top
        painter.setClipRect(QRectF(0, _RULER, self._view.width(), self._view.height() - _RULER))
        painter.drawImage(QRectF(_NAMES, y, self._view.width() - _NAMES, high), image)
        for row, track in enumerate(tracks):
            self._paint_name(painter, track, QRectF(0, y + row * LANE, _NAMES, LANE))
        painter.setClipping(False)

    def _paint_name(self, painter: QPainter, track: Track, place: QRectF) -> None:
        selected = track.id == self.state.selected
        painter.fillRect(place, QColor(*(self.colours.card if selected else self.colours.field)))
        own = QColor(*self.state.classes.colour(track.id))
        painter.fillRect(QRectF(4, place.y() + 4, 4, LANE - 8), own)
        painter.setPen(QColor(*(self.colours.text if selected else self.colours.muted)))
        room = place.adjusted(14, 0, -4, 0)
        text = painter.fontMetrics().elidedText(
            f"{track.id} {track.label}", Qt.TextElideMode.ElideRight, int(room.width())
        )
        painter.drawText(room, Qt.AlignmentFlag.AlignVCenter, text)

    def _paint_ruler(self, painter: QPainter) -> None:
        painter.setPen(QPen(QColor(*self.colours.border)))
        painter.drawLine(QPointF(0, _RULER - 0.5), QPointF(self._view.width(), _RULER - 0.5))
        painter.drawLine(QPointF(_NAMES - 0.5, 0), QPointF(_NAMES - 0.5, self._view.height()))
        step = _step(_LABEL_GAP / self.zoom)
        first, last = self.frame_at(_NAMES), self.frame_at(self._view.width())
        painter.setPen(QPen(QColor(*self.colours.muted)))
        for frame in range(-(-first // step) * step, last + 1, step):
            x = self.x_of(frame)
            painter.drawLine(QPointF(x, _RULER - 5), QPointF(x, _RULER - 1))
            room = QRectF(x - _LABEL_GAP / 2, 1, _LABEL_GAP, _RULER - 7)
            if x - painter.fontMetrics().horizontalAdvance(str(frame)) / 2 >= _NAMES:
                painter.drawText(room, Qt.AlignmentFlag.AlignCenter, str(frame))
        paint_ignored(painter, self.state, QRectF(0, 0, _NAMES, _RULER), self.x_of)
        room = QRectF(_NAMES, 0, self._view.width() - _NAMES, _RULER)
        paint_gold(painter, self._gold_places(), room, QColor(*self.colours.text))

    def _gold_places(self) -> list[float]:
        """Return where gold frames are seen in the viewport: one a pixel at most."""
        room = self._view.width() - _NAMES
        columns = Columns(self._first(), self.zoom, room, self._count)
        frames = self._gold_frames[columns.seen(self._gold_frames, reach=GOLD_SIZE)]
        x = _NAMES + (frames + 0.5 - columns.first) * columns.zoom
        return [float(v) for v in x[np.unique(np.floor(x), return_index=True)[1]]]

    def _paint_place(self, painter: QPainter) -> None:
        painter.setClipRect(QRectF(_NAMES, 0, self._view.width() - _NAMES, self._view.height()))
        if self.state.range is not None:
            first, last = self.state.range
            left, right = self.x_of(first - 0.5), self.x_of(last + 0.5)
            fill = QColor(*self.colours.accent)
            fill.setAlpha(70)
            painter.fillRect(QRectF(left, 0, right - left, self._view.height()), fill)
        x = self.x_of(self.state.frame)
        painter.setPen(QPen(QColor(*self.colours.text), 1.4))
        painter.drawLine(QPointF(x, 0), QPointF(x, self._view.height()))


def _step(least: float) -> int:
    """Return the smallest of 1, 2, 5, 10, 20, 50 … that is at least ``least``."""
    scale = 1
    while True:
        for digit in (1, 2, 5):
            if digit * scale >= least:
                return digit * scale
        scale *= 10
