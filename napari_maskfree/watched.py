"""Which frames are redrawn while a run goes on: the chosen ones, else some. No Qt here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from psygnal import Signal

from maskfree.chosen_frames import spread_frames, with_frame
from maskfree.config import PreviewConfig
from maskfree.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from maskfree.types import BoxTracks

__all__ = ["Watched"]


class Watched:
    """The chosen frames; ``changed`` fires after each change."""

    changed = Signal()

    def __init__(self) -> None:
        self._chosen: frozenset[int] = frozenset()
        self._spread: tuple[BoxTracks | None, list[int]] = (None, [])

    @property
    def is_chosen(self) -> bool:
        """Whether a person chose them."""
        return bool(self._chosen)

    def __contains__(self, frame: int) -> bool:
        return frame in self._chosen

    def frames(self, tracks: BoxTracks | None, now: int) -> list[int]:
        """Return the frames to redraw, in order: the chosen ones, else ``now`` and some others."""
        if self._chosen:
            return sorted(self._chosen)
        if tracks is None:
            return []
        if self._spread[0] is not tracks:  # else only the shown frame is another
            self._spread = tracks, spread_frames(tracks, PreviewConfig().frames)
        return with_frame(tracks, self._spread[1], now)

    def toggle(self, frame: int) -> None:
        """Choose a frame, or choose it no longer.

        Raises
        ------
        InputError
            Where there are as many as can be.
        """
        most = PreviewConfig().most_frames
        if frame not in self._chosen and len(self._chosen) == most:
            listed = ", ".join(map(str, sorted(self._chosen)))
            raise InputError(
                f"{most} frames are watched already: {listed}. Go to one of them and press Watch "
                "this frame again to let it go."
            )
        self._put(self._chosen ^ {frame})

    def choose(self, frames: Iterable[int]) -> None:
        """Take these as the chosen ones, as those of a run that goes on."""
        self._put(frozenset(frames))

    def forget(self) -> None:
        """Choose none."""
        self._put(frozenset())

    def _put(self, frames: frozenset[int]) -> None:
        if frames != self._chosen:
            self._chosen = frames
            self.changed.emit()
