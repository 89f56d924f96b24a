"""Where the window is: which video, which session, which frame and range. No Qt here."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from psygnal import Signal

from maskfree.errors import InputError
from napari_maskfree.elsewhere import SharedBoxes

if TYPE_CHECKING:
    from maskfree.session import Session
    from napari_maskfree.video_info import VideoInfo

__all__ = ["Place"]


class Place:
    """Video, session, frame and range. Signals fire after the change."""

    video_changed = Signal()
    session_changed = Signal()
    frame_changed = Signal()
    range_changed = Signal()

    def __init__(self) -> None:
        self.video: VideoInfo | None = None
        self.session: Session | None = None
        self.folder: Path | None = None
        self.frame = 0
        self.range: tuple[int, int] | None = None
        self.shared_boxes = SharedBoxes()

    def set_video(self, video: VideoInfo | None, *, keep: bool = False) -> None:
        """Work on ``video``. With ``keep`` the session stays, else it starts anew."""
        self.video = video
        if not keep:
            self.session, self.folder = None, None
            self.frame = 0
            self.select_range(None)
            self._start_anew()
        self.video_changed.emit()
        self.session_changed.emit()

    def _start_anew(self) -> None:
        """Drop what belonged to the video before."""

    def set_session(self, session: Session | None) -> None:
        """Remember the session folder that runs and masks go to."""
        self.session = session
        if session is not None:
            self.folder = Path(session.path)
        self.session_changed.emit()

    def set_folder(self, folder: Path) -> None:
        """Choose where the session will be saved; it is made with the first run or save."""
        self.folder = folder
        if self.session is not None and Path(self.session.path) != folder:
            self.session = None
        self.session_changed.emit()

    def set_frame(self, frame: int) -> None:
        """Follow the viewer's time slider."""
        if frame != self.frame:
            self.frame = frame
            self.frame_changed.emit()

    def select_range(self, first: int | None, last: int | None = None) -> None:
        """Select the frames ``first`` to ``last``, both included, in any order; None: none."""
        chosen = None
        if first is not None:
            other = first if last is None else last
            chosen = (min(first, other), max(first, other))
        if chosen != self.range:
            self.range = chosen
            self.range_changed.emit()

    def start_range(self) -> None:
        """Let the selected range begin with the shown frame."""
        self.select_range(self.frame, max(self.frame, self.range[1]) if self.range else None)

    def end_range(self) -> None:
        """Let the selected range end with the shown frame."""
        self.select_range(min(self.frame, self.range[0]) if self.range else self.frame, self.frame)

    def why_no_boxes(self) -> str:
        """Say what is missing before boxes can be drawn; empty text when nothing is."""
        return "" if self.video else "Choose a video first (section 1)."

    def _require_video(self) -> VideoInfo:
        if self.video is None:
            raise InputError("There is no video yet. Choose one in section 1.")
        return self.video
