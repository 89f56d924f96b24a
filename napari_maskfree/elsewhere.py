"""What other windows and programs do to the open session: taken over, and never overwritten.

A file that somebody else wrote since it was read here is put aside before it is written. No Qt.
"""

from __future__ import annotations

import dataclasses
import hashlib
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from maskfree.errors import InputError, InputWarning
from maskfree.frame_files import stamp_of
from maskfree.storage import atomic_write, writing
from maskfree.tracks import check_against_video
from napari_maskfree.attached import working_on

if TYPE_CHECKING:
    from maskfree.session import Session
    from maskfree.types import BoxTracks
    from napari_maskfree.state import State
    from napari_maskfree.video_info import VideoInfo

__all__ = ["SharedBoxes", "check_alone", "free_name", "put_aside", "session_there", "take_boxes"]

_BOXES = "boxes.json"
_ASIDE = "other"


class SharedBoxes:
    """The boxes file of a session as this window saw it last."""

    def __init__(self) -> None:
        self._path: Path | None = None
        self._stamp: tuple[int, int] | None = None
        self._content: bytes | None = None
        self._failed: tuple[int, int] | None = None

    def read(self, session: Session, video: VideoInfo | None = None) -> BoxTracks:
        """Return a session's boxes, and remember that they were seen.

        Raises
        ------
        InputError
            As ``Session.boxes``; where they do not fit ``video``. They count as not seen then.
        """
        path = Path(session.path) / _BOXES
        # before: what is written meanwhile is seen at the next look
        stamp, content = stamp_of(path), _bytes(path)
        self._failed = stamp
        found = session.boxes
        if video is not None:
            check_against_video(
                found, num_frames=video.num_frames, height=video.height, width=video.width
            )
        self._failed = None
        self._path, self._stamp, self._content = path, stamp, content
        return found

    def note(self, session: Session) -> None:
        """Remember the file as it is now."""
        self._path = Path(session.path) / _BOXES
        self._stamp, self._content, self._failed = stamp_of(self._path), _bytes(self._path), None

    @property
    def digest(self) -> str | None:
        """The SHA-256 of the file as it was seen last, in hexadecimal digits."""
        return None if self._content is None else hashlib.sha256(self._content).hexdigest()

    def failed(self, session: Session) -> bool:
        """Whether the file as it is now could not be read before."""
        now = stamp_of(Path(session.path) / _BOXES)
        return now is not None and now == self._failed

    def changed(self, session: Session) -> bool:
        """Whether somebody else wrote the file since it was seen."""
        now = stamp_of(Path(session.path) / _BOXES)
        known = self._path == Path(session.path) / _BOXES
        return known and now is not None and now != self._stamp

    def guard(self, session: Session, boxes: BoxTracks) -> None:
        """Put boxes aside that ``boxes`` would overwrite and nobody here has seen; warn of it.

        Raises
        ------
        InputError
            Where that cannot be written.
        """
        if not self.changed(session):
            return
        try:
            if _bytes(self._path) == self._content or session.boxes == boxes:
                return
        except InputError:  # broken, but worth keeping all the same
            pass
        aside = put_aside(Path(session.path) / _BOXES)
        warnings.warn(
            f"Another window or program saved other boxes in {session.path} meanwhile. They are "
            f"kept in {aside.name}, which Load… (section 2) brings back; those of this window were "
            "saved. Work on a session in one window at a time.",
            InputWarning,
            stacklevel=2,
        )


def _bytes(path: Path | None) -> bytes | None:
    try:
        return path.read_bytes() if path is not None else None
    except OSError:  # not there, or not to be read
        return None


def put_aside(path: Path) -> Path:
    """Copy a file beside itself under a name that is free; return the copy's path.

    Raises
    ------
    InputError
        Where it cannot be written.
    """
    copy = free_name(path)
    with writing(copy):
        atomic_write(copy, path.read_bytes())
    return copy


def free_name(path: Path) -> Path:
    """Return a free name beside a file, for what another window or program has of it."""
    number, copy = 1, path.with_suffix(f".{_ASIDE}{path.suffix}")
    while copy.exists():
        number += 1
        copy = path.with_suffix(f".{_ASIDE}-{number}{path.suffix}")
    return copy


def take_boxes(state: State) -> bool:
    """Take over boxes that were saved elsewhere, as one step of undo; False where there are none.

    Where this window has boxes that are not saved yet, nothing is taken: see `SharedBoxes.guard`.
    Boxes that cannot be taken are tried once.

    Raises
    ------
    InputError
        Where the file is broken, or about another video.
    """
    session, video, shared = state.session, state.video, state.shared_boxes
    if session is None or video is None or state.dirty or not shared.changed(session):
        return False
    if shared.failed(session):  # said once
        return False
    found = shared.read(session, video)
    before = state.tracks
    if before is None:
        state.load_tracks(found)
        return True
    ids = {track.id for track in found.tracks}
    drawn_yet = (t for t in before.tracks if t.id not in ids and not t.keyframes)
    if state.read_only:  # what is undone there is undone here
        selected = state.selected
        state.load_tracks(found)
        state.select(selected)
        return found != before
    state.apply(
        "take over boxes saved elsewhere",
        dataclasses.replace(found, tracks=(*found.tracks, *drawn_yet)),
    )
    state.dirty = False
    state.journal.saved(shared.digest)
    if state.track() is None and found.tracks:
        state.select(found.tracks[0].id)
    return state.tracks is not before


def session_there(session: Session) -> None:
    """Check that the session's folder is still there.

    Raises
    ------
    InputError
        Where it was removed or moved, or its disk is not connected.
    """
    if not Path(session.path).is_dir():
        raise InputError(
            f"The session's folder {session.path} is not there any more: it was removed or moved, "
            "or its disk is not connected. Put it back, or choose another with Save in… (section "
            "1). Boxes and corrections are still in this window."
        )


def check_alone(session: Session) -> None:
    """Check that no other process trains or predicts in the session.

    Raises
    ------
    InputError
        Where one does.
    """
    found = working_on(Path(session.path), ("finetune", "predict"))
    if found:
        name, process = next(iter(found.items()))
        raise InputError(
            f"Another window or program is at work on this session: maskfree {name}, process "
            f"{process.pid}. Wait until it is done, or open the session again (section 1, "
            "Session…) to follow it."
        )
