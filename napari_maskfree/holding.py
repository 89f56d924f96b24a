"""One program edits a session; a window on it in another one looks on. No Qt here.

What is tried there all the same is refused, and said: it could not be saved.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from psygnal import Signal

from maskfree.errors import InputError
from maskfree.session_hold import SessionHold
from napari_maskfree.undoable import Undoable

if TYPE_CHECKING:
    from maskfree.session import Session
    from maskfree.session_hold import Holder
    from maskfree.types import BoxTracks
    from napari_maskfree.content import Corrections
    from napari_maskfree.video_info import VideoInfo

__all__ = ["Holding"]

_PROGRAM = "napari"


class Holding(Undoable):
    """Holds the open session for this program, or knows who does.

    ``holder``: the other program that edits the session, None where this one may. ``refused`` says
    why a change was not made.
    """

    holder_changed = Signal()
    refused = Signal(str)

    def __init__(self) -> None:
        self.holder: Holder | None = None
        self._hold: SessionHold | None = None
        self._changed = False
        super().__init__()

    @property
    def read_only(self) -> bool:
        """Whether another program edits the open session."""
        return self.holder is not None

    @property
    def why_read_only(self) -> str:
        """Who edits the open session; empty text where this window may."""
        if self.holder is None:
            return ""
        return f"Read-only: this session is open in {self.holder.words}."

    @property
    def dirty(self) -> bool:
        """Whether the tracks have changed since they were loaded or saved; never while read-only.

        What another program edits is never written from here.
        """
        return self._changed and not self.read_only

    @dirty.setter
    def dirty(self, changed: bool) -> None:
        self._changed = changed

    def check_writable(self) -> None:
        """Check that this window may change the open session.

        Raises
        ------
        InputError
            Where another program has it.
        """
        if self.read_only:
            raise InputError(self._words())

    def hold_on(self, session: Session | None) -> bool:
        """Hold a session from now on, and give the one before back; False where another does."""
        if session is None:
            self.let_go()
            return True
        if self._hold is None or self._hold.path != Path(os.path.realpath(session.path)):
            self.let_go()
            self._hold = SessionHold(session.path, _PROGRAM)
        self._take()
        return not self.read_only

    def try_to_hold(self) -> bool:
        """Look after the hold on the open session; True where it has become this window's."""
        return self._take() if self._hold is not None else False

    def let_go(self) -> None:
        """Give the session back: the window ends, or works on another."""
        if self._hold is not None:
            self._hold.release()
            self._hold = None
        self._tell(None)

    # ---- what a place and its content do, for who may

    def why_no_boxes(self) -> str:
        """Say why no box can be drawn; empty text when nothing is in the way."""
        return super().why_no_boxes() or self.why_read_only

    def set_session(self, session: Session | None) -> None:
        """Work in a session: as the one that edits it, where nobody else does."""
        if not self.hold_on(session) and session is not None:
            self.journal.look_on(session)
        super().set_session(session)

    def set_video(self, video: VideoInfo | None, *, keep: bool = False) -> None:
        """Work on ``video``; the session is given back where it does not stay."""
        if not keep:
            self.let_go()
        super().set_video(video, keep=keep)

    def set_folder(self, folder: Path) -> None:
        """Choose where the session will be saved; one that is open elsewhere is given back."""
        super().set_folder(folder)
        if self.session is None:
            self.let_go()

    def apply(self, name: str, tracks: BoxTracks, corrections: Corrections | None = None) -> None:
        """Change tracks and corrections as one step of undo; nothing changes while read-only."""
        if not self._refuses(tuple(corrections or ())):
            super().apply(name, tracks, corrections)

    def undo(self) -> None:
        """Take back the last change; nothing changes while read-only."""
        if not self._refuses(()):
            super().undo()

    def redo(self) -> None:
        """Make the change again that was taken back last; nothing changes while read-only."""
        if not self._refuses(()):
            super().redo()

    def take_corrections(self) -> list[int]:
        """Take over corrections that were saved elsewhere; no step of undo while read-only."""
        if not self.read_only:
            return super().take_corrections()
        news = self.corrections.news()
        if news:
            self.corrections.take_over(news)
        return list(news)

    def select(self, track_id: int | None) -> None:
        """Choose a track; one that was refused is none."""
        known = self.tracks.tracks if self.tracks is not None else ()
        if not self.read_only or track_id is None or any(t.id == track_id for t in known):
            super().select(track_id)

    # ---- inside

    def _refuses(self, frames: tuple[int, ...]) -> bool:
        """Whether nothing may be changed now; layers show what is then, not what was tried."""
        if not self.read_only:
            return False
        self.refused.emit(self._words())
        self.tracks_changed.emit()
        if frames:
            self.corrections.changed.emit(frames)
        return True

    def _words(self) -> str:
        return (
            f"{self.why_read_only} Nothing was changed. It can be edited here as soon as it is "
            "closed there; Save in… (section 1) works on a copy."
        )

    def _take(self) -> bool:
        assert self._hold is not None
        was = self.read_only
        self._tell(self._hold.take())
        return was and not self.read_only

    def _tell(self, holder: Holder | None) -> None:
        if holder != self.holder:
            self.holder = holder
            self.holder_changed.emit()
