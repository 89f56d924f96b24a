"""Which frames a correction changed, in words and one after the other. No Qt here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from psygnal import Signal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from maskfree.changed_frames import FrameChange
    from napari_maskfree.correction_book import CorrectionBook

__all__ = ["Changes", "spans"]

_SPANS = 4
"""Most stretches of frames that are named."""


class Changes:
    """The frames that the last carrying on, or the last run, changed. Tells of every change."""

    changed = Signal()

    def __init__(self) -> None:
        self.why = ""
        self.source: int | None = None
        self._found: Mapping[int, Sequence[FrameChange]] = {}
        self._frames: dict[int, np.ndarray] = {}

    def show(
        self, why: str, found: Mapping[int, Sequence[FrameChange]], source: int | None = None
    ) -> None:
        """Take over what changed, by track id.

        Parameters
        ----------
        why
            What changed them, in a few words.
        source
            The frame that was carried to them; None: something else changed them.
        """
        self.why, self._found, self.source = why, dict(found), source
        self._frames = {i: np.array([c.frame for c in own], np.int64) for i, own in found.items()}
        self.changed.emit()

    def clear(self) -> None:
        """Show none."""
        if self.why:
            self.show("", {})

    def follow(self, book: CorrectionBook) -> None:
        """Leave out what was carried to a frame whose correction is gone since."""
        if self.source is None:
            return
        kept = {i: [c for c in each if i in book[c.frame]] for i, each in self._found.items()}
        if kept != {i: list(each) for i, each in self._found.items()}:
            kept = {i: each for i, each in kept.items() if each}
            self.show(self.why if kept else "", kept, self.source if kept else None)

    def tracks(self) -> list[int]:
        """Return the tracks of which a frame changed, in order."""
        return sorted(self._found)

    def of(self, track_id: int | None) -> Sequence[FrameChange]:
        """Return what changed of a track, in the order of frames."""
        return self._found.get(track_id, ()) if track_id is not None else ()

    def at(self, track_id: int, frame: int) -> FrameChange | None:
        """Return what changed of a track in a frame."""
        return next((c for c in self.of(track_id) if c.frame == frame), None)

    def frames(self) -> dict[int, np.ndarray]:
        """Return the changed frames by track id, int64 (K,)."""
        return self._frames

    def next(self, track_id: int | None, frame: int, step: int) -> int | None:
        """Return the next (``step`` 1) or last (-1) changed frame of a track beside one."""
        ahead = [c.frame for c in self.of(track_id) if (c.frame - frame) * step > 0]
        return min(ahead, key=lambda f: abs(f - frame)) if ahead else None

    def said(self, track_id: int | None) -> str:
        """Say what changed of a track; empty text where nothing is known."""
        own = self.of(track_id)
        if not self.why:
            return ""
        if not own:
            others = ", ".join(map(str, self.tracks()))
            nobody = f"{self.why}: no frame changed"
            return f"{nobody} of this track (of track {others}: yes)." if others else f"{nobody}."
        most = max(own, key=lambda c: c.share)
        frames = spans([c.frame for c in own])
        count = f" ({len(own)} frames)" if len(own) > 1 else ""
        word = "frames" if len(own) > 1 else "frame"
        percent = f"{most.share:.0%}".removesuffix("%")
        share = "less than 1" if percent == "0" else percent
        return (
            f"{self.why}: changed {word} {frames}{count}; biggest change in frame {most.frame}: "
            f"{share} % of the mask."
        )


def spans(frames: Sequence[int]) -> str:
    """Return frames in order as people write them: ``12–31, 40``; what is too much is left out."""
    found: list[list[int]] = []
    for frame in frames:
        if found and frame == found[-1][1] + 1:
            found[-1][1] = frame
        else:
            found.append([frame, frame])
    words = [str(a) if a == b else f"{a}–{b}" for a, b in found]
    return ", ".join(words[:_SPANS]) + (", …" if len(words) > _SPANS else "")
