"""Saves the boxes soon after each change, and looks what others do to the open session."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari.utils.notifications import show_error, show_info, show_warning
from qtpy.compat import isalive
from qtpy.QtCore import QObject, QTimer

from maskfree.errors import InputError
from maskfree.frame_files import stamp_of
from napari_maskfree._qt.background import reported
from napari_maskfree.constants import SAVE_DELAY, WATCH_INTERVAL
from napari_maskfree.elsewhere import session_there, take_boxes
from napari_maskfree.saving import save_session_boxes

if TYPE_CHECKING:
    from pathlib import Path

    from napari_maskfree._qt.main_widget import MaskFreeWidget

__all__ = ["SessionWatch"]

_BOXES = (
    "The boxes of this session were changed in another window or program, and are shown here now. "
    "Undo brings back those before."
)
_OTHER_FOLDER = "Save in… (section 1) takes another folder."
_CORRECTIONS = (
    "Frame {} was corrected in another window or program: what it says is shown here now. Undo "
    "brings back what was here."
)


class SessionWatch(QObject):
    """Two timers; what goes wrong is said once, not at every change."""

    def __init__(self, main: MaskFreeWidget) -> None:
        super().__init__(main)
        self.main, self.state = main, main.state
        self._said = ""
        self._gone = False
        self._log: tuple[Path, object] | None = None
        self._saver = QTimer(self)
        self._saver.setSingleShot(True)
        self._saver.setInterval(SAVE_DELAY)
        self._saver.timeout.connect(self._save)
        self._timer = QTimer(self)
        self._timer.setInterval(WATCH_INTERVAL)
        self._timer.timeout.connect(self.look)
        self._timer.start()
        self.state.tracks_changed.connect(self.save_soon)
        self.state.corrections.changed.connect(self.save_soon)

    def stop(self) -> None:
        """Save and look no more."""
        self.state.tracks_changed.disconnect(self.save_soon, missing_ok=True)
        self.state.corrections.changed.disconnect(self.save_soon, missing_ok=True)
        if isalive(self):
            self._saver.stop()
            self._timer.stop()

    def save_soon(self, *_: object) -> None:
        """Save the boxes a moment after the last change."""
        self._mark()
        self._saver.start()

    def _save(self) -> None:
        def save() -> str:
            try:
                save_session_boxes(self.state)
                if self.state.session is None:
                    self.state.journal.retry()
            except InputError as error:
                return str(error)
            return ""

        ok, said = reported(save)
        if ok and said and said != self._said:
            show_error(f"The boxes are not saved yet. {said} {_OTHER_FOLDER}")
        self._said = said if ok else ""
        self._mark()

    def _mark(self) -> None:
        """Say in the panel whether something of the session is not saved, as long as it is so."""
        if self.state.session is None:
            unsaved = self.state.journal.behind
        else:
            waits = self.state.dirty and (bool(self._said) or self.state.journal.behind)
            unsaved = waits or self._gone or self.state.corrections.unsaved
        if self.main.unsaved != unsaved:
            self.main.unsaved = unsaved
            self.main.video.refresh()

    # ---- what others do

    def look(self) -> None:
        """Look once."""
        self._mark()
        if self.state.session is None or self.main.busy:
            self._log = None
            return
        if self._look_for_folder():
            self._look_at_boxes()
            self._look_at_corrections()
            self._look_at_masks()

    def _look_for_folder(self) -> bool:
        """Say once where the session's folder is gone; save what there is when it is back."""
        assert self.state.session is not None
        gone, self._gone = self._gone, False
        try:
            session_there(self.state.session)
        except InputError as error:
            self._gone = True
            if not gone:
                if not self.state.read_only:
                    self.state.dirty = True
                    self.state.corrections.doubt()
                show_warning(str(error))
            return False
        if gone:
            self.save_soon()
            reported(self.state.corrections.save)
        return True

    def _look_at_boxes(self) -> None:
        ok, taken = reported(take_boxes, self.state)
        if ok and taken:
            show_info(_BOXES)

    def _look_at_corrections(self) -> None:
        ok, frames = reported(self.state.take_corrections)
        if ok and frames:
            show_info(_CORRECTIONS.format(", ".join(map(str, frames))))

    def _look_at_masks(self) -> None:
        """Show masks that another process predicted, once it has not written for a while."""
        session = self.state.session
        assert session is not None
        path = session.predict_log.path
        now, before = (path, stamp_of(path)), self._log
        if before is None or before[0] != path:
            self._log = (path, now[1])
            self._shown = now[1]
        elif now != before:
            self._log = now
        elif now[1] != self._shown:
            self._shown = now[1]
            reported(self.main.project.show_masks)
            self.state.session_changed.emit()
