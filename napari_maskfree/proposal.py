"""Boxes that the program proposes for a track: shown as unsure, accepted or dropped. No Qt here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from psygnal import Signal

from maskfree.config import ProposalConfig
from maskfree.errors import InputError

if TYPE_CHECKING:
    from maskfree.types import Box, Track
    from napari_maskfree.state import State

__all__ = ["Proposal", "accept_proposal"]


class Proposal:
    """Boxes of one track away from a keyframe, one frame after the other, until it is lost."""

    changed = Signal()

    def __init__(self) -> None:
        self.track: Track | None = None
        self.start = 0
        self.forward = True
        self.running = False
        self.boxes: dict[int, Box] = {}

    def begin(self, track: Track, start: int, *, forward: bool) -> None:
        """Propose for ``track`` from its keyframe in the frame ``start`` on."""
        self.track, self.start, self.forward = track, start, forward
        self.running, self.boxes = True, {}
        self.changed.emit()

    def add(self, frame: int, xyxy: Box) -> None:
        """Propose a box, that of the next frame; one that was drawn there ends the proposal."""
        if self.track is None or not self.running:
            return
        if any(k.frame == frame for k in self.track.keyframes):
            self.end()
        else:
            self.boxes[frame] = xyxy
            self.changed.emit()

    def end(self) -> None:
        """Nothing more is proposed."""
        self.running = False
        if not self.boxes:
            self.track = None
        self.changed.emit()

    def drop(self) -> None:
        """Propose nothing."""
        if self.track is not None:
            self.track, self.running, self.boxes = None, False, {}
            self.changed.emit()

    def cut(self, frame: int) -> None:
        """Keep what lies between the keyframe and ``frame``, not included."""
        kept = {f: b for f, b in self.boxes.items() if (f < frame) == self.forward and f != frame}
        if len(kept) < len(self.boxes):
            self.boxes, self.running = kept, False
            self.end()

    def follow(self, track: Track | None) -> None:
        """Go on with a track that was changed; what was drawn on the way ends the proposal."""
        if self.track is None or track is self.track:
            return
        if track is None or _drawn(track, self.start) != _drawn(self.track, self.start):
            self.drop()
            return
        self.track = track
        on_way = [k.frame for k in track.keyframes if k.frame in self.boxes]
        if on_way:
            self.cut(min(on_way) if self.forward else max(on_way))

    def box(self, track_id: int, frame: int) -> Box | None:
        """Return the box proposed for a track in a frame, None where there is none."""
        if self.track is None or self.track.id != track_id:
            return None
        return self.boxes.get(frame)


def _drawn(track: Track, frame: int) -> Box | None:
    return next((k.xyxy for k in track.keyframes if k.frame == frame), None)


def accept_proposal(state: State, upto: int | None = None) -> int:
    """Make keyframes of what is proposed, as many as are needed; return how many.

    Parameters
    ----------
    upto
        The last frame that is accepted, in the direction of the proposal; None: all.

    Raises
    ------
    InputError
        Where nothing is proposed as far as that.
    """
    proposal, tracks = state.proposal, state.tracks
    track, forward = proposal.track, proposal.forward
    boxes = {
        f: b
        for f, b in proposal.boxes.items()
        if upto is None or (f <= upto if forward else f >= upto)
    }
    if track is None or tracks is None or not boxes:
        raise InputError("No box is proposed here. Propose some first: menu More.")
    from maskfree.propagate import with_proposed  # it imports torch

    tracks, chosen = with_proposed(tracks, track.id, proposal.start, boxes, config=ProposalConfig())
    proposal.drop()
    first, last = min(boxes), max(boxes)
    state.apply(f"accept the boxes of track {track.id} in frames {first} to {last}", tracks)
    return len(chosen)
