"""``maskfree shift``: where a session's frames went, and boxes and masks that move along."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from maskfree.errors import InputError
from maskfree.frame_check import frame_news
from maskfree.session import Session
from maskfree.shift_session import shift_session, unshift_session
from maskfree.terminal import ProgressBar
from maskfree.video import open_video

if TYPE_CHECKING:
    from collections.abc import Iterator

    from maskfree.frame_check import FrameNews
    from maskfree.shift_session import Shifted
    from maskfree.video import Video

__all__ = ["shift"]

_AUTO = "auto"
_UNDO = "undo: maskfree shift {} --undo"


def shift(
    folder: str,
    *,
    frames: str | None = None,
    video: str | None = None,
    accept: bool = False,
    undo: bool = False,
    redo: bool = False,
) -> tuple[dict[str, Any], str]:
    """Do one of five things to the session in ``folder``; return what, as values and as text.

    Parameters
    ----------
    frames
        What is added to every frame's number; "auto": what is found. None: nothing is changed, it
        is said what was found.
    video
        Another video that takes the place of the session's own; None: that one, as it is now.
    accept
        Keep the frames' numbers: it is the right video.
    undo
        Bring back what was there before the last shift.
    redo
        Shift again what was undone last.

    Raises
    ------
    InputError
        Where the input is at fault, or no offset is found.
    """
    session = Session.open(folder)
    if undo or redo:
        kept = unshift_session(session, redo=redo)
        word = "redone" if redo else "undone"
        text = f"{word}; what was there is kept in {kept}"
        again = "" if redo else f"; shift again: maskfree shift {session.path} --redo"
        return {word: True, "kept": str(kept)}, text + again
    offset = 0 if accept else _parse(frames)
    with _opened(session, video) as source:
        if offset is not None:
            return _done(session, shift_session(session, source, offset))
        with ProgressBar("shift", "frame") as bar:
            news = frame_news(session, source, whole=frames == _AUTO, watch=bar.prepare)
        if frames == _AUTO:
            return _found(session, source, news)
    words = "the frames are those that the boxes were drawn on" if news is None else news.words
    match = None if news is None else news.match
    result = {
        "kind": "same" if match is None else match.kind,
        "frames": match.offset if news is not None and news.can_shift and match else None,
    }
    return result, words


@contextlib.contextmanager
def _opened(session: Session, video: str | None) -> Iterator[Video]:
    opened = session.open_video() if video is None else open_video(video)
    with opened:
        yield opened


def _parse(frames: str | None) -> int | None:
    """Return the offset that was given, None where it is to be found."""
    if frames is None or frames == _AUTO:
        return None
    try:
        return int(frames)
    except ValueError:
        raise InputError(
            f'--frames expects a whole number such as -12, or auto, got "{frames}".'
        ) from None


def _found(session: Session, video: Video, news: FrameNews | None) -> tuple[dict[str, Any], str]:
    """Shift by what was found.

    Raises
    ------
    InputError
        Where nothing was found that can be.
    """
    if news is None or news.is_well:
        words = "nothing to shift: the frames are those that the boxes were drawn on"
        return {"kind": "same", "frames": 0}, words
    if not news.can_shift:
        raise InputError(
            f"{news.words} Where you know how far the frames are shifted, say it: maskfree shift "
            f"{session.path} --frames N"
        )
    return _done(session, shift_session(session, video, news.match.offset))


def _done(session: Session, done: Shifted) -> tuple[dict[str, Any], str]:
    result = {**vars(done), "frames": done.offset, "kept": str(done.kept)}
    lines = [
        f"frames shifted by {done.offset}: {done.keyframes} keyframes, {done.corrections} "
        f"corrected frames and masks of {done.masks} frames, in {session.path}"
    ]
    lost = done.lost_keyframes, done.lost_corrections, done.lost_masks
    if any(lost):
        lines.append(
            f"beyond the video, and no longer there: {lost[0]} keyframes, {lost[1]} corrected "
            f"frames and masks of {lost[2]} frames"
        )
    lines += [f"what was there is kept in {done.kept}; {_UNDO.format(session.path)}"]
    return result, "\n".join(lines)
