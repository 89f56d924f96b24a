"""The boxes go into the session: before a run, while a person draws, and when a window ends."""

from __future__ import annotations

import contextlib
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from maskfree.errors import InputError, InputWarning
from maskfree.session import Session
from maskfree.storage import make_folder
from napari_maskfree import video_layer
from napari_maskfree.elsewhere import check_alone, session_there

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_maskfree.project import Project
    from napari_maskfree.state import State

__all__ = [
    "end",
    "masks_wait",
    "rescue_boxes",
    "save_session_boxes",
    "session_job",
    "unsaved_boxes",
    "worth_saving",
]

_LEFT_BEHIND = "Masks made by hand are not saved, the boxes alone are."


def worth_saving(state: State) -> bool:
    """Say whether something is drawn: a box, or an ignore region without any."""
    return state.boxed() is not None or bool(state.tracks is not None and state.tracks.ignore)


def unsaved_boxes(state: State) -> bool:
    """Say whether boxes would be lost; of a session, also that the last one was deleted."""
    return state.dirty and (state.session is not None or worth_saving(state))


def masks_wait(state: State) -> bool:
    """Say whether there are corrections of masks that wait for a session to be made."""
    return state.session is None and state.corrections.unsaved


def session_job(project: Project, *, alone: bool = False) -> Callable[[], Session]:
    """Return a function that makes the session ready for a run; call it in any thread.

    It raises an InputError where that cannot be written, and, with ``alone``, where another process
    is at work on the session.
    """
    state = project.state
    boxes, info = state.boxed(), state.video
    why = state.why_no_run()
    if why or boxes is None or info is None:
        raise InputError(why)
    if state.session is not None:
        session_there(state.session)
        state.shared_boxes.guard(state.session, boxes)
    state.corrections.save()
    folder, video, existing = project.session_folder(), project.video(), state.session
    mark = state.journal.mark()

    def prepare() -> Session:
        copy = folder / video_layer.VIDEO_COPY
        session = existing
        if session is None:
            session = Session.create_or_open(
                folder, video_source=info.source or str(copy), boxes=boxes
            )
            video.keep_index(session.path)
        elif alone:
            check_alone(session)
        session.save_boxes(boxes, state.journal.announcing(mark))
        state.shared_boxes.note(session)
        state.journal.saved(state.shared_boxes.digest, mark)
        if info.source is None and not copy.exists():
            video_layer.write_zarr(video, folder)
        return session

    return prepare


def save_session_boxes(state: State) -> None:
    """Write the boxes into the session, where there is one, also where the last was deleted.

    Raises
    ------
    InputError
        Where the disk is full or read-only, or the session's folder is gone.
    """
    boxes = state.boxed() or state.tracks
    if state.session is not None and boxes is not None and state.dirty:
        session_there(state.session)
        state.shared_boxes.guard(state.session, boxes)
        mark = state.journal.mark()
        state.session.save_boxes(boxes, state.journal.announcing(mark))
        state.shared_boxes.note(state.session)
        state.journal.saved(state.shared_boxes.digest, mark)
        state.dirty = False
        state.compact_journal()


def end(state: State) -> None:
    """Let go of the journal, then of the session, for who waits for both.

    What is saved nowhere stays in the journal, and comes back with the video.
    """
    if not unsaved_boxes(state) and not masks_wait(state):
        state.journal.discard()
    state.journal.close()
    state.let_go()


def rescue_boxes(project: Project) -> Path:
    """Write the boxes into the session, or beside where it would be; return the file.

    A session begins with boxes: ignore regions alone go beside where it would be. It is made for
    corrections that there are already, with the frames of a video that has no file; where it cannot
    be made a warning says that they are not saved. Where nothing can be written there the boxes go
    into the home folder.

    Raises
    ------
    InputError
        Where that cannot be written either.
    """
    state, folder, why = project.state, project.session_folder(), ""
    if masks_wait(state):
        try:
            state.set_session(session_job(project)())
        except (InputError, OSError) as error:
            why = f" {error}"
    if state.corrections.unsaved:
        warnings.warn(_LEFT_BEHIND + why, InputWarning, stacklevel=2)
    if state.session is not None:
        with contextlib.suppress(InputError):
            save_session_boxes(state)
            return Path(state.session.path) / "boxes.json"
    try:
        return _save_under(project, folder.parent, folder.stem)
    except InputError:
        return _save_under(project, Path.home() / "maskfree", folder.stem)


def _save_under(project: Project, folder: Path, stem: str) -> Path:
    """Write the boxes into a file of a folder that is not there yet; return it."""
    make_folder(folder)
    number, path = 1, folder / f"{stem}.boxes.json"
    while path.exists():
        number += 1
        path = folder / f"{stem}-{number}.boxes.json"
    project.save_boxes(path)
    return path
