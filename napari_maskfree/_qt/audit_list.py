"""Boxes that are worth a look before training, as a list that folds away; it stops nobody."""

from __future__ import annotations

from concurrent.futures import CancelledError
from typing import TYPE_CHECKING

from napari.utils.notifications import show_info
from qtpy.QtCore import QSize, Qt, QTimer
from qtpy.QtWidgets import QListWidget, QListWidgetItem

from maskfree.box_audit import audit_boxes
from maskfree.boxed_masks import BoxedMasks
from napari_maskfree._qt.background import Background
from napari_maskfree._qt.fold import Fold
from napari_maskfree._qt.section import Panel
from napari_maskfree._qt.swatch import swatch
from napari_maskfree.constants import AUDIT_DELAY, AUDIT_ROWS

if TYPE_CHECKING:
    from maskfree.box_audit import Finding
    from napari_maskfree._qt.main_widget import MaskFreeWidget

__all__ = ["AuditList"]

_MOST_SHOWN, _ROW = 5, 24
_SWATCH = 12


class AuditList(Panel):
    """Looked through anew, in a thread of its own, after the last change; click to go there."""

    def __init__(self, main: MaskFreeWidget) -> None:
        super().__init__()
        self.main, self.state = main, main.state
        self._background = Background(self)
        self._version, self._stopped = 0, False
        self._found: list[Finding] = []
        self._last: tuple[int, int, str] | None = None
        self.fold = Fold()
        self.rows = QListWidget()
        self.rows.setObjectName("mfFindings")
        self.rows.setTextElideMode(Qt.TextElideMode.ElideRight)
        self.rows.setIconSize(QSize(_SWATCH, _SWATCH))
        self.rows.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.rows.itemClicked.connect(lambda item: self._go(self.rows.row(item)))
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
        self.state.classes.colouring_changed.connect(self._recolour)
        self.soon()

    def soon(self) -> None:
        """Look again once no change has come for a while; a look at work is given up."""
        self._version += 1
        self._timer.start()

    def next(self) -> None:
        """Go to the next one after the last that was gone to; after the end comes the first."""
        if not self._found:
            show_info("There is no box to look at.")
            return
        later = [n for n, f in enumerate(self._found) if self._last and _place(f) > self._last]
        self._go(later[0] if later else 0)

    def stop(self) -> None:
        """Look no more."""
        self._version += 1
        self._stopped = True
        for signal in self._signals:
            signal.disconnect(self.soon, missing_ok=True)
        self.state.classes.colouring_changed.disconnect(self._recolour, missing_ok=True)
        self._background.close()

    def _look(self) -> None:
        if self._stopped:
            return
        tracks = self.state.tracks if self.state.boxed() is not None else None
        if tracks is None:
            self._show([])
            return
        version = self._version

        def check(*_: object) -> None:
            if version != self._version:
                raise CancelledError

        session = self.state.session
        reader = None if session is None else BoxedMasks(session, tracks).read
        self._background.run(
            lambda: audit_boxes(tracks, reader, watch=check),
            lambda found: self._show(found) if version == self._version else None,
        )

    def _show(self, found: list[Finding]) -> None:
        self._found = found
        self.rows.clear()
        for finding in found[:AUDIT_ROWS]:
            colour = self.state.classes.colour(finding.track_id)
            item = QListWidgetItem(swatch(colour, _SWATCH), finding.message)
            item.setSizeHint(QSize(0, _ROW))
            item.setToolTip(f"{finding.message}. {finding.advice} Click to go there.")
            self.rows.addItem(item)
        things = "thing" if len(found) == 1 else "things"
        self.fold.set_title(f"{len(found)} {things} to look at")
        self.setVisible(bool(found))
        shown = min(len(found), _MOST_SHOWN)
        self.rows.setFixedHeight(shown * _ROW + 2 * self.rows.frameWidth() + 2)
        if self.fold.isExpanded():
            self.fold.expand(animate=False)  # it measures its content when it unfolds

    def _recolour(self) -> None:
        self._show(self._found)

    def _go(self, number: int) -> None:
        finding = self._found[number]
        self._last = _place(finding)
        if number < self.rows.count():
            self.rows.setCurrentRow(number)
        if self.state.track(finding.track_id) is not None:
            self.state.select(finding.track_id)
        if finding.kind != "empty":
            self.main.project.go_to(finding.frame)


def _place(finding: Finding) -> tuple[int, int, str]:
    return finding.frame, finding.track_id, finding.kind
