"""Opens a session in the window: its video, boxes and masks, and a run of it that is at work."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari.utils.notifications import show_info

from napari_maskfree._qt.background import reported
from napari_maskfree.moved_frames import OtherVideo
from napari_maskfree.stages import running_stages
from napari_maskfree.worker import Job

if TYPE_CHECKING:
    from pathlib import Path

    from maskfree.session import Session
    from maskfree.video import Video
    from napari_maskfree._qt.main_widget import MaskFreeWidget

__all__ = ["open_session", "reopen_session"]


def open_session(main: MaskFreeWidget, folder: str | Path, video: Video | None = None) -> None:
    """Open a saved session; what is wrong with it becomes a notification, or a question.

    ``video``: the session's own, where that is open already. A run that another program edits the
    session with is not followed: that program does.
    """
    ok, other = reported(_open, main, folder, video)
    if ok and other is not None:
        main.frames.ask_about(other)
        return
    session = main.state.session if ok else None
    if session is not None:
        main.finetune.take_over(session)
        if not main.state.read_only:
            _follow(main, session)
    main.refresh_all()


def reopen_session(main: MaskFreeWidget, folder: str | Path | None = None) -> None:
    """Read a session as it is on disk now; None: the open one."""
    session = main.state.session
    path = folder if folder is not None or session is None else session.path
    if path is not None:
        main.state.set_session(None)
        open_session(main, path)


def _follow(main: MaskFreeWidget, session: Session) -> None:
    stages = running_stages(session.path)
    if stages:
        main.jobs.start(Job(stages, session.path))
        show_info("The run of this session is still at work. Following it.")


def _open(main: MaskFreeWidget, folder: str | Path, video: Video | None) -> OtherVideo | None:
    try:
        main.project.open_session(folder, video)
    except OtherVideo as other:
        return other
    return None
