"""Clicks on a frame's mask as a person's corrections, each one step of undo. No Qt here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from maskfree.config import ClicksConfig
from maskfree.errors import InputError

if TYPE_CHECKING:
    import numpy as np

    from maskfree.clicks import Click
    from napari_maskfree.state import State

__all__ = ["Clicks"]


class Clicks:
    """The clicks of a sitting, by frame and track.

    One counts as long as the corrections say of its pixel what it said: what was undone, painted
    over or taken back since counts no more.
    """

    def __init__(self) -> None:
        self._made: dict[tuple[int, int], list[Click]] = {}

    def of(self, state: State, frame: int, track_id: int) -> list[Click]:
        """Return the clicks that count, the oldest first."""
        own = state.corrections[frame].get(track_id)
        if own is None or own.carried is not None:
            return []
        said = {True: own.is_object, False: own.is_other}
        height, width = own.size
        return [
            c
            for c in self._made.get((frame, track_id), ())
            if c.y < height and c.x < width and said[c.belongs][c.y, c.x]
        ]

    def apply(
        self, state: State, frame: int, picture: np.ndarray, labels: np.ndarray, click: Click
    ) -> int:
        """Change the selected track's mask by a click; return how many pixels that changes.

        What was painted stays as it is, in this track and in others, except for the patch that is
        clicked on itself. A click that agrees with the mask keeps its pixel as it is.

        Parameters
        ----------
        picture
            The frame, RGB uint8 (H, W, 3).
        labels
            Track ids by pixel as they are shown, uint16 (H, W).

        Raises
        ------
        InputError
            Where no track is selected, it has no box in the frame, or the click is not in it.
        """
        from maskfree.click_correction import click_on

        track, tracks = state.track(), state.tracks
        if track is None or tracks is None:
            raise InputError("Select a track first: a click says what belongs to it.")
        box = state.box_state(track.id, frame)
        if box is None:
            raise InputError(
                f"Track {track.id} has no box in frame {frame}. Draw one first: a click changes "
                "the mask inside it."
            )
        made, changed = click_on(
            picture,
            labels,
            box.xyxy,
            track.id,
            click,
            state.corrections[frame],
            earlier=self.of(state, frame, track.id),
            config=ClicksConfig(),
        )
        state.apply(f"click on track {track.id} at frame {frame}", tracks, {frame: made})
        self._made.setdefault((frame, track.id), []).append(click)
        return changed
