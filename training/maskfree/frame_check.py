"""Whether a session's video still shows the frames that its boxes were drawn on, and what to do.

No torch here.
"""

from __future__ import annotations

import contextlib
import dataclasses
from typing import TYPE_CHECKING

from maskfree.errors import InputError
from maskfree.frame_match import match_frames
from maskfree.frame_prints import (
    PRINTS_FILE,
    file_digest,
    make_prints,
    read_prints,
    write_prints,
)
from maskfree.watch import unwatched

if TYPE_CHECKING:
    from maskfree.frame_match import FrameMatch
    from maskfree.frame_prints import FramePrints
    from maskfree.session import Session
    from maskfree.video import Video
    from maskfree.watch import Watch

__all__ = [
    "FrameNews",
    "check_frames",
    "forget_frames",
    "frame_news",
    "note_frames",
    "require_frames",
]


@dataclasses.dataclass(frozen=True)
class FrameNews:
    """What became of the frames of a session since its boxes were drawn.

    ``match``: where they are now; ``prints``: what they were; ``source``: the video that was looked
    at.
    """

    match: FrameMatch
    prints: FramePrints
    source: str

    @property
    def is_well(self) -> bool:
        """Whether every frame has the number that it had, and the size."""
        return self.match.kind == "same" and not self._resized

    @property
    def can_shift(self) -> bool:
        """Whether boxes, corrections and masks can be moved along with the frames."""
        return self.match.kind == "shifted" and not self._resized

    @property
    def _resized(self) -> bool:
        return (self.match.height, self.match.width) != (self.prints.height, self.prints.width)

    @property
    def words(self) -> str:
        """What to tell a person, in one sentence or two."""
        told = _WORDS[self.match.kind](self.match, self.prints)
        if self._resized:
            told += (
                f" Its frames are {self.match.width} x {self.match.height} pixels (width x height) "
                f"instead of {self.prints.width} x {self.prints.height}; boxes and masks are in "
                "those."
            )
        return f"{self.source}: {told}"


def _same(match: FrameMatch, prints: FramePrints) -> str:
    rate = ""
    if prints.fps and match.fps and round(prints.fps, 2) != round(match.fps, 2):
        rate = f", at {match.fps:.4g} frames a second instead of {prints.fps:.4g}"
    how = "the same frames" if match.exact else "the same frames, encoded again"
    return f"{how}{rate}."


def _shifted(match: FrameMatch, prints: FramePrints) -> str:
    count = f"It has {match.num_frames} frames, that one had {prints.num_frames}."
    offset = abs(match.offset)
    frames = f"{offset} frame{'s' * (offset != 1)}"
    if match.offset < 0:
        return f"this video begins {frames} later than the one the boxes were drawn on. {count}"
    if match.offset > 0:
        return f"this video begins {frames} earlier than the one the boxes were drawn on. {count}"
    ends = "ends earlier" if match.num_frames < prints.num_frames else "goes on for longer"
    return f"this video begins as the one the boxes were drawn on, and {ends}. {count}"


def _cut(match: FrameMatch, _: FramePrints) -> str:
    gone = match.offset - match.then
    what = "are missing" if gone > 0 else "were put in"
    return (
        f"somewhere between the frames {match.before} and {match.after} of the video the boxes "
        f"were drawn on, {abs(gone)} frame{'s' * (abs(gone) != 1)} {what}: no one offset fits. Use "
        "the whole video, or draw the boxes anew."
    )


def _rate(match: FrameMatch, prints: FramePrints) -> str:
    rates = ""
    if match.fps and prints.fps:
        rates = f" ({match.fps:.4g} frames a second instead of {prints.fps:.4g})"
    return (
        f"this video shows the same with {match.num_frames} frames instead of "
        f"{prints.num_frames}{rates}: its frames have other numbers. Use the video the boxes were "
        "drawn on, or convert it with its own frame rate."
    )


def _unclear(match: FrameMatch, prints: FramePrints) -> str:
    count = match.num_frames - prints.num_frames
    return (
        f"this video has {abs(count)} frames {'more' if count > 0 else 'fewer'} than the one the "
        "boxes were drawn on, and its frames look so much alike that it cannot be told which."
    )


def _unfound(match: FrameMatch, prints: FramePrints) -> str:
    count = ""
    if match.num_frames != prints.num_frames:
        count = f" ({match.num_frames} frames instead of {prints.num_frames})"
    return (
        "this video does not show the frames the boxes were drawn on, at or near their numbers"
        f"{count}. It was not looked through whole, which takes a while."
    )


def _other(_: FrameMatch, __: FramePrints) -> str:
    return (
        "this video shows other frames than the one the boxes were drawn on. Put that one back, or "
        "make another session for this one."
    )


_WORDS = {
    "same": _same,
    "shifted": _shifted,
    "cut": _cut,
    "rate": _rate,
    "unclear": _unclear,
    "unfound": _unfound,
    "other": _other,
}


def forget_frames(session: Session) -> None:
    """Forget what a session's video shows: its boxes are about another one from now on."""
    with contextlib.suppress(OSError):
        (session.path / PRINTS_FILE).unlink(missing_ok=True)


def note_frames(session: Session, video: Video) -> None:
    """Keep what a session's video shows, where that is not known yet.

    Nothing happens where it cannot be written, or the boxes are for a video of another length or
    size.

    Raises
    ------
    InputError
        Where a frame cannot be decoded.
    """
    if read_prints(session.path) is not None:
        return
    boxes = session.boxes
    if video.shape[:3] == (boxes.num_frames, boxes.height, boxes.width):
        with contextlib.suppress(InputError):
            write_prints(session.path, make_prints(video))


def frame_news(
    session: Session, video: Video, *, whole: bool = False, watch: Watch = unwatched
) -> FrameNews | None:
    """Return what became of a session's frames in a video, which need not be its own.

    None where the video is the very file that the session knows, or nothing is known. It is changed
    nowhere; see `check_frames`.

    Parameters
    ----------
    whole, watch
        As in `match_frames`.

    Raises
    ------
    InputError
        Where a frame cannot be decoded.
    """
    prints = read_prints(session.path)
    if prints is None or _is_known(prints, video):
        return None
    return FrameNews(
        match_frames(prints, video, whole=whole, watch=watch), prints, str(video.source)
    )


def _is_known(prints: FramePrints, video: Video) -> bool:
    """Whether it is the very file; another length or size may come of how it is opened."""
    digest = file_digest(video.source)
    same = (prints.num_frames, prints.height, prints.width) == video.shape[:3]
    return same and digest is not None and digest == prints.file


def check_frames(session: Session, video: Video, *, watch: Watch = unwatched) -> FrameNews | None:
    """As `frame_news`, of the session's own video; what is well is asked no more."""
    news = frame_news(session, video, watch=watch)
    if news is not None and news.is_well and (not news.match.exact or file_digest(video.source)):
        made = dataclasses.replace(make_prints(video), extra=news.prints.extra)
        with contextlib.suppress(InputError):
            write_prints(session.path, made)
    return news


def require_frames(session: Session, video: Video, *, own: bool = True) -> str:
    """Check that a video shows the frames that a session's boxes were drawn on.

    A video that only goes on for longer is accepted. Returns what there is to say all the same,
    which may be nothing.

    Parameters
    ----------
    own
        It is the session's own video; else one that is to take its place.

    Raises
    ------
    InputError
        Where it does not: with the command that moves the boxes along, where there is one.
    """
    news = check_frames(session, video) if own else frame_news(session, video)
    if news is None:
        return ""
    longer = news.match.num_frames >= news.prints.num_frames
    if news.is_well or (news.can_shift and not news.match.offset and longer):
        return "" if news.match.exact or not news.is_well else news.words
    command = f"maskfree shift {session.path}" + ("" if own else f" --video {video.source}")
    kept = f"Is it the right one all the same, run: {command} --accept"
    if news.can_shift:
        kept = f"Move boxes, corrections and masks along: {command} --frames {news.match.offset}"
    elif news.match.kind == "unfound":
        kept = f"Look through all of it: {command} --frames auto"
    elif news._resized:
        kept = "Convert it to that size, or draw the boxes on it in a session of its own."
    raise InputError(f"{news.words} {kept}")
