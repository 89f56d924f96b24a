"""Whether the open session's video still shows the frames of its boxes, and the way back. No Qt.

What is found out takes a look at the video, which is opened for that once more: call the jobs in
any thread.
"""

from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING

from maskfree.errors import InputError, InputWarning
from maskfree.tracks import check_against_video

if TYPE_CHECKING:
    from collections.abc import Callable

    from maskfree.frame_check import FrameNews
    from maskfree.session import Session
    from maskfree.shift_session import Shifted
    from maskfree.types import BoxTracks

__all__ = ["OtherVideo", "check_size", "frames_job", "shift_job"]


class OtherVideo(InputError):
    """The session's boxes are for a video of another length or size than the one that is there."""

    def __init__(self, words: str, session: Session) -> None:
        super().__init__(words)
        self.session = session


def check_size(session: Session, boxes: BoxTracks | None, size: tuple[int, int, int]) -> None:
    """Check that boxes, where there are some, fit a video of ``size`` (frames, height, width).

    Raises
    ------
    OtherVideo
        Where they do not.
    """
    if boxes is None:
        return
    frames, height, width = size
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InputWarning)  # who takes them over says it
        try:
            check_against_video(boxes, num_frames=frames, height=height, width=width)
        except InputError as error:
            raise OtherVideo(str(error), session) from None


def frames_job(session: Session, alive: Callable[[], None]) -> Callable[[], FrameNews | None]:
    """Return a function that says what became of the session's frames; None: nothing, or unknown.

    What the video shows is kept in the session where that is not known yet.

    Parameters
    ----------
    alive
        Called now and then; an error that it raises ends the work.
    """

    def look() -> FrameNews | None:
        from maskfree.config import VideoConfig
        from maskfree.frame_check import check_frames, note_frames

        source = session.video_source
        if source is None or not os.path.exists(source):
            return None
        try:
            with session.open_video(VideoConfig().for_run()) as video:
                note_frames(session, video)
                return check_frames(session, video, watch=lambda *_: alive())
        except InputError:  # a folder or video that is gone: who shows it says so
            return None

    return look


def shift_job(session: Session, offset: int) -> Callable[[], Shifted]:
    """Return a function that moves boxes, corrections and masks along with the frames."""

    def shift() -> Shifted:
        from maskfree.config import VideoConfig
        from maskfree.shift_session import shift_session

        with session.open_video(VideoConfig().for_run()) as video:
            return shift_session(session, video, offset, program="napari")

    return shift
