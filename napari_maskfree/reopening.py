"""A session, or a video, is opened again: what was done to it last time is there. No Qt here.

The journal knows each edit; the files in the session know what was saved of them, and what other
programs wrote since. Where the files are as they were saved here, the edits after that are made
again. A file that another program wrote stands, and what is in the journal alone goes into a file
beside it; Undo brings it back as well.
"""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

from maskfree.correction_store import frame_to_json
from maskfree.errors import InputError
from maskfree.storage import atomic_write
from maskfree.tracks import check_against_video, write_boxes
from napari_maskfree.content import Content, boxed, cost_of
from napari_maskfree.elsewhere import free_name, put_aside
from napari_maskfree.history import History

if TYPE_CHECKING:
    from maskfree.session import Session
    from maskfree.types import BoxTracks
    from napari_maskfree.remembered import Remembered
    from napari_maskfree.state import State

__all__ = ["bring_back", "look_on", "reopen", "saved_boxes"]

_BACK = (
    "Edits that were not saved when the program ended are back ({}). Undo takes them back one by "
    "one."
)
_UNSAVED = (
    "This video has edits that were saved nowhere when the program ended: they are back ({}). They "
    "go into the session with the first run, or with Save; to drop them, open another video or "
    "close the window and choose Discard."
)
_THEIRS = (
    "Another program wrote {} since this session was open here, and that is shown. What was not "
    "saved yet is kept in {}{}; Undo brings it back as well."
)
_LOAD = ", which Load… (section 2) opens"
_KNOWN = "The boxes that the journal knows are shown instead."
_NO_JOURNAL = "Until then edits are not kept before they are saved."
_TAKE_BOXES = "take over boxes saved elsewhere"
_TAKE_CORRECTIONS = "take over corrections saved elsewhere"


def saved_boxes(session: Session) -> BoxTracks | None:
    """Return the boxes in a session's file; None where it is broken, which `reopen` tells."""
    try:
        return session.boxes
    except InputError:
        return None


def look_on(state: State, session: Session) -> None:
    """Show what is saved in a session that another program edits.

    Raises
    ------
    InputError
        Where the boxes cannot be read, or are of another video.
    """
    theirs = state.shared_boxes.read(session, state.video)
    state.journal.look_on(session)
    if state.session is None:
        state.corrections.open(None)  # who leaves them was asked; they are not of this one
    state.load_tracks(theirs)
    state.set_session(session)


def reopen(state: State, session: Session) -> list[str]:
    """Work on a session as it was left: boxes, corrections, steps of undo; or look on.

    Where another program edits it, what is saved there is shown, and nothing is written.

    Returns
    -------
    list of str
        What there is to say to the person.

    Raises
    ------
    InputError
        Where the boxes cannot be read and the journal does not know them, or are of another video.
    """
    before = state.session
    try:
        if state.hold_on(session):
            return _reopen(state, session)
        look_on(state, session)
        return []
    finally:
        if state.session is before:  # it could not be opened
            state.hold_on(before)


def _reopen(state: State, session: Session) -> list[str]:
    state.journal.close()
    if state.session is None:
        state.corrections.open(None)  # who leaves them was asked; they are not of this one
    said: list[str] = []
    found = _opened(state, session, said)
    kept = state.journal.path is not None
    try:
        theirs = state.shared_boxes.read(session, state.video)
    except InputError as error:
        if found is None:
            state.journal.close()
            raise
        said.append(f"{error} {_KNOWN}{_aside(session)}")
        theirs = None
    first = theirs if theirs is not None else found.tracks if found is not None else None
    assert first is not None
    state.restore(Content(first, None, {}), History(), dirty=False)
    state.set_session(session)
    if found is None:
        if not kept:
            state.journal.close()
        return said
    _boxes(state, session, found, theirs, said)
    _corrections(state, session, found, said)
    if mended := state.mend_journal(found):
        said.append(mended)
    state.compact_journal()
    return said


def _aside(session: Session) -> str:
    """Keep a boxes file that cannot be read; say where."""
    path = Path(session.path) / "boxes.json"
    if not path.is_file():
        return ""
    try:
        return f" The broken file is kept in {put_aside(path).name}."
    except InputError as error:
        return f" {error}"


def bring_back(state: State) -> list[str]:
    """Bring back what was done to the video and is in no session; return what there is to say."""
    video = state.video
    if video is None or state.session is not None:
        return []
    try:
        found = state.journal.waiting(video)
        if found is None:
            return []
        there = Content(found.tracks, found.selected, {})
        state.restore(there, found.history, dirty=True)
    except InputError as error:
        state.journal.for_video(video)
        return [str(error)]
    said = {frame: own for frame, own in found.corrections.items() if own}
    if said:
        state.corrections.put(said)
    mended = state.mend_journal(found)
    return [_UNSAVED.format(_counted(found.tracks, len(said))), *([mended] if mended else [])]


def _opened(state: State, session: Session, said: list[str]) -> Remembered | None:
    """Return what the session's journal says; None where it says nothing, or cannot be read."""
    try:
        found = state.journal.open(session)
        if found is not None and state.video is not None:
            _, height, width = state.video.size
            check_against_video(
                found.tracks, num_frames=state.video.num_frames, height=height, width=width
            )
        return found
    except InputError as error:
        state.journal.close()
        said.append(f"{error} {_NO_JOURNAL}")
        return None


def _boxes(
    state: State,
    session: Session,
    found: Remembered,
    theirs: BoxTracks | None,
    said: list[str],
) -> None:
    """Show the boxes of the journal, or of the file that somebody else wrote."""
    own = Content(found.tracks, found.selected, {})
    known = [*(each.tracks for each in found.saves), found.tracks]
    saved = [tracks for tracks in known if _in_file(tracks) == theirs]
    if theirs is None or saved:
        waits = theirs is None or saved[-1] != found.tracks
        state.restore(own, found.history, dirty=waits)
        if theirs is not None and _in_file(found.tracks) != theirs:
            said.append(_BACK.format(_counted(found.tracks, 0)))
        return
    if found.saves[-1].tracks != found.tracks:
        path = free_name(Path(session.path) / "boxes.json")
        try:
            write_boxes(path, _in_file(found.tracks))
            said.append(_THEIRS.format("the boxes", path.name, _LOAD))
        except InputError as error:
            said.append(str(error))
    after = Content(theirs, found.selected, {})
    state.journal.edit(_TAKE_BOXES, own, after)
    found.history.record(_TAKE_BOXES, own, cost=cost_of(own, after))
    state.journal.saved(state.shared_boxes.digest)
    state.restore(after, found.history, dirty=False)


def _corrections(state: State, session: Session, found: Remembered, said: list[str]) -> None:
    """Show the corrections of the journal, frame by frame, or those that somebody else wrote."""
    store, book = session.corrections, state.corrections
    ours, news, aside = {}, {}, {}
    for frame, own in found.corrections.items():
        theirs = book[frame]
        if own == theirs:
            continue
        waits = not found.wrote(frame)
        if frame in book.unread or (waits and theirs in found.file_may_be(frame)):
            ours[frame] = own
            continue
        news[frame] = theirs
        if waits and own:
            path = free_name(Path(store.path) / f"{frame:05d}.json")
            with contextlib.suppress(InputError):
                atomic_write(path, json.dumps(frame_to_json(own)) + "\n")
                aside[frame] = path.name
    if aside:
        where = f"the corrections of frame {', '.join(map(str, sorted(aside)))}"
        said.append(_THEIRS.format(where, ", ".join(aside[f] for f in sorted(aside)), ""))
    if news:
        state.took_corrections(_TAKE_CORRECTIONS, {f: found.corrections[f] for f in news}, news)
    if ours:
        book.put(ours)
        frames = ", ".join(map(str, sorted(ours)))
        said.append(f"Corrections that were not saved when the program ended are back: {frames}.")


def _in_file(tracks: BoxTracks) -> BoxTracks:
    """Return the boxes as a session's file has them."""
    return boxed(tracks) or tracks


def _counted(tracks: BoxTracks, corrected: int) -> str:
    count = sum(len(track.keyframes) for track in tracks.tracks)
    words = f"{_several(len(tracks.tracks), 'track')}, {_several(count, 'keyframe')}"
    return f"{words}, {_several(corrected, 'corrected frame')}" if corrected else words


def _several(count: int, what: str) -> str:
    return f"{count} {what}{'s' * (count != 1)}"
