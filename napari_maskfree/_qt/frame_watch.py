"""Are the frames those that the boxes were drawn on? Looked at beside the window, then asked."""

from __future__ import annotations

from concurrent.futures import CancelledError
from pathlib import Path
from typing import TYPE_CHECKING

from napari.utils.notifications import show_error, show_info, show_warning
from qtpy.compat import isalive
from qtpy.QtCore import QObject, QTimer

from napari_maskfree._qt.background import Background, reported
from napari_maskfree._qt.session_opening import reopen_session
from napari_maskfree.constants import FRAMES_DELAY
from napari_maskfree.moved_frames import frames_job, shift_job
from napari_maskfree.saving import save_session_boxes

if TYPE_CHECKING:
    from maskfree.frame_check import FrameNews
    from maskfree.session import Session
    from napari_maskfree._qt.main_widget import MaskFreeWidget
    from napari_maskfree.moved_frames import OtherVideo

__all__ = ["FrameWatch"]

_DONE = (
    "Boxes, corrections and masks were moved by {} frames. What was there is kept in {}; "
    "maskfree shift {} --undo brings it back."
)
_ACCEPT = "Where it is the right video all the same: maskfree shift {} --accept"


class FrameWatch(QObject):
    """Looks once at the video of each session that is opened or made, a moment later."""

    def __init__(self, main: MaskFreeWidget) -> None:
        super().__init__(main)
        self.main, self.state = main, main.state
        self._background = Background(self)
        self._seen: Path | None = None
        self._stopped = False
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(FRAMES_DELAY)
        self._timer.timeout.connect(self.look)
        self.state.session_changed.connect(self._on_session)

    def stop(self) -> None:
        """Look no more, and wait for the thread."""
        self._stopped = True
        self.state.session_changed.disconnect(self._on_session, missing_ok=True)
        if isalive(self):
            self._timer.stop()
        self._background.close()

    def _on_session(self) -> None:
        session = self.state.session
        path = None if session is None else Path(session.path)
        if path is not None and path != self._seen:
            self._timer.start()
        self._seen = path

    def look(self) -> None:
        """Look at the open session's video now."""
        session = self.state.session
        if session is not None and not self.state.read_only:
            self._background.run(
                frames_job(session, self._alive), lambda news: self._tell(session, news)
            )

    def ask_about(self, other: OtherVideo) -> None:
        """Find out what became of the frames of a session that cannot be opened as it is."""
        self._background.run(
            frames_job(other.session, self._alive), lambda news: self._offer(other, news)
        )

    def _alive(self) -> None:
        if self._stopped:
            raise CancelledError

    def _tell(self, session: Session, news: FrameNews | None) -> None:
        """Say of an open session what became of its frames."""
        if news is None or session is not self.state.session or self.main.busy:
            return
        if news.is_well:
            if not news.match.exact:
                show_info(news.words)
        elif news.can_shift and (news.match.offset or not _is_longer(news)):
            self._ask(session, news)
        elif not news.can_shift:
            show_warning(f"{news.words} {_ACCEPT.format(session.path)}")

    def _offer(self, other: OtherVideo, news: FrameNews | None) -> None:
        """Say of a session that is not open why, and offer the way to open it."""
        if news is None:
            show_error(str(other))
        elif news.can_shift:
            self._ask(other.session, news)
        else:
            show_error(f"{news.words} {_ACCEPT.format(other.session.path)}")

    def _ask(self, session: Session, news: FrameNews) -> None:
        answer = self.main.ask_frames(self.main, news.words, news.match.offset)
        if answer == "cancel":
            return
        if self.state.session is session:
            saved = reported(save_session_boxes, self.state)[0]
            if not saved or not reported(self.state.corrections.save)[0]:
                return
        offset = news.match.offset if answer == "shift" else 0
        is_open = self.state.session is session
        if is_open:
            self.state.journal.look_on(session)  # it is about the old numbers, and put aside
        # not beside the window: so is what would be changed meanwhile
        ok, done = reported(shift_job(session, offset))
        if ok:
            show_info(_DONE.format(done.offset, done.kept, session.path))
        if ok or is_open:
            reopen_session(self.main, session.path)


def _is_longer(news: FrameNews) -> bool:
    return news.match.num_frames >= news.prints.num_frames
