"""Boxes that are worth a look before training, as a list that folds away; it stops nobody."""

from __future__ import annotations

from concurrent.futures import CancelledError
from typing import TYPE_CHECKING

from qtpy.QtCore import QSize, Qt, QTimer
from qtpy.QtWidgets import QListWidget, QListWidgetItem
from superqt import QCollapsible

from maskfree.box_audit import audit_boxes
from maskfree.colours import track_colour
from maskfree.errors import InputError
from napari_maskfree._qt.section import Panel
from napari_maskfree._qt.track_list import swatch
from napari_maskfree.constants import AUDIT_DELAY

if TYPE_CHECKING:
    from collections.abc import Callable

    from maskfree.box_audit import Finding
    from maskfree.types import InstanceMasks
    from napari_maskfree._qt.main_widget import MaskFreeWidget

__all__ = ["AuditList"]

_MOST_ROWS, _ROW = 5, 24
_SWATCH = 12


class AuditList(Panel):
    """Looked through anew, beside the window, after the last change; click to go there."""

    def __init__(self, main: MaskFreeWidget) -> None:
        super().__init__()
        self.main, self.state = main, main.state
        self._version = 0
        self.fold = QCollapsible("", expandedIcon="▾", collapsedIcon="▸")
        self.fold.layout().setContentsMargins(0, 0, 0, 0)
        self.fold.content().layout().setContentsMargins(0, 0, 0, 0)
        self.rows = QListWidget()
        self.rows.setObjectName("mfTracks")
        self.rows.setTextElideMode(Qt.TextElideMode.ElideRight)
        self.rows.setIconSize(QSize(_SWATCH, _SWATCH))
        self.rows.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.rows.itemClicked.connect(self._go)
        self.fold.addWidget(self.rows)
        self.add(self.fold)
        self.setVisible(False)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(AUDIT_DELAY)
        self._timer.timeout.connect(self._look)
        self._signals = (self.state.tracks_changed, self.state.session_changed)
        for signal in self._signals:
            signal.connect(self.soon)
        main.jobs.finished.connect(self.soon)
        self.soon()

    def soon(self) -> None:
        """Look again once no change has come for a while; a look at work is given up."""
        self._version += 1
        self._timer.start()

    def next(self) -> None:
        """Go to the next one in the list; after the last comes the first."""
        if count := self.rows.count():
            self.rows.setCurrentRow((self.rows.currentRow() + 1) % count)
            item = self.rows.currentItem()
            assert item is not None
            self._go(item)

    def stop(self) -> None:
        """Look no more."""
        self._version += 1
        self._timer.stop()
        for signal in self._signals:
            signal.disconnect(self.soon, missing_ok=True)

    def _look(self) -> None:
        tracks = self.state.tracks if self.state.boxed() is not None else None
        if tracks is None:
            self._show([])
            return
        version, read = self._version, self._reader(self._version)
        self.main.background.run(
            lambda: audit_boxes(tracks, read),
            lambda found: self._show(found) if version == self._version else None,
        )

    def _reader(self, version: int) -> Callable[[int], InstanceMasks | None] | None:
        """Reads the session's masks until something has changed; None where there is none."""
        session = self.state.session
        if session is None:
            return None
        store = session.mask_store()

        def read(frame: int) -> InstanceMasks | None:
            if version != self._version:
                raise CancelledError
            try:
                return store.read(frame)
            except InputError:  # said where the masks are shown
                return None

        return read

    def _show(self, found: list[Finding]) -> None:
        self.rows.clear()
        for finding in found:
            item = QListWidgetItem(swatch(track_colour(finding.track_id), _SWATCH), finding.message)
            item.setSizeHint(QSize(0, _ROW))
            item.setToolTip(f"{finding.message}. {finding.advice} Click to go there.")
            item.setData(Qt.ItemDataRole.UserRole, (finding.track_id, finding.frame))
            self.rows.addItem(item)
        things = "thing" if len(found) == 1 else "things"
        self.fold.setText(f"{len(found)} {things} to look at")
        self.setVisible(bool(found))
        rows = min(len(found), _MOST_ROWS)
        self.rows.setFixedHeight(rows * _ROW + 2 * self.rows.frameWidth() + 2)

    def _go(self, item: QListWidgetItem) -> None:
        track_id, frame = item.data(Qt.ItemDataRole.UserRole)
        if self.state.track(track_id) is not None:
            self.state.select(track_id)
        self.main.project.go_to(frame)
