"""The boxes go into the session: before a run, while a person draws, and when a window ends."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from maskfree.errors import InputError
from maskfree.session import Session
from napari_maskfree import video_layer

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_maskfree.project import Project
    from napari_maskfree.state import State

__all__ = ["rescue_boxes", "save_session_boxes", "session_job", "worth_saving"]


def worth_saving(state: State) -> bool:
    """Say whether something is drawn: a box, or an ignore region without any."""
    return state.boxed() is not None or bool(state.tracks is not None and state.tracks.ignore)


def session_job(project: Project) -> Callable[[], Session]:
    """Return a function that makes the session ready for a run; call it in any thread."""
    state = project.state
    boxes, info = state.boxed(), state.video
    why = state.why_no_run()
    if why or boxes is None or info is None:
        raise InputError(why)
    state.corrections.save()
    folder, video, existing = project.session_folder(), project.video(), state.session

    def prepare() -> Session:
        copy = folder / video_layer.VIDEO_COPY
        session = existing
        if session is None:
            session = Session.create_or_open(
                folder, video_source=info.source or str(copy), boxes=boxes
            )
        session.save_boxes(boxes)
        if info.source is None and not copy.exists():
            video_layer.write_zarr(video, folder)
        return session

    return prepare


def save_session_boxes(state: State) -> None:
    """Write the boxes into the session, where there is one; ignore regions without any box too."""
    boxes = state.boxed() or state.tracks
    if state.session is not None and boxes is not None and state.dirty and worth_saving(state):
        state.session.save_boxes(boxes)
        state.dirty = False


def rescue_boxes(project: Project) -> Path:
    """Write the boxes into the session, or beside where it would be; return the file.

    Where there are corrections already, the session is made for them.
    """
    state, video = project.state, project.state.video
    if state.session is None and state.corrections.unsaved and state.boxed() is not None:
        if video is not None and video.source is not None:
            state.set_session(session_job(project)())
    session = state.session
    if session is not None:
        save_session_boxes(project.state)
        return Path(session.path) / "boxes.json"
    path = project.session_folder().with_suffix(".boxes.json")
    path.parent.mkdir(parents=True, exist_ok=True)
    project.save_boxes(path)
    return path
