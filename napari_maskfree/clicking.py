"""Clicks on a frame's mask as a person's corrections, each one step of undo. No Qt here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from maskfree.config import ClicksConfig
from maskfree.corrections import Correction, from_labels, is_gold
from maskfree.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

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
        from maskfree.clicks import apply_click

        track, tracks = state.track(), state.tracks
        if track is None or tracks is None:
            raise InputError("Select a track first: a click says what belongs to it.")
        box = state.box_state(track.id, frame)
        if box is None:
            raise InputError(
                f"Track {track.id} has no box in frame {frame}. Draw one first: a click changes "
                "the mask inside it."
            )
        known, mask = state.corrections[frame], labels == track.id
        after = apply_click(
            picture,
            mask,
            box.xyxy,
            click,
            earlier=self.of(state, frame, track.id),
            kept=_kept(known, track.id, labels, click),
            config=ClicksConfig(),
        )
        drawn = np.where(after, track.id, np.where(mask, 0, labels)).astype(labels.dtype)
        made = _with_pixel(from_labels(labels, drawn, known), track.id, click, labels.shape)
        state.apply(f"click on track {track.id} at frame {frame}", tracks, {frame: made})
        self._made.setdefault((frame, track.id), []).append(click)
        return int((after != mask).sum())


def _kept(
    known: Mapping[int, Correction], track_id: int, labels: np.ndarray, click: Click
) -> np.ndarray:
    """Return the pixels that a click does not change, bool (H, W)."""
    place = (click.y, click.x)
    there = int(labels[place])
    kept = np.zeros(labels.shape, bool)
    if click.belongs:  # other tracks keep theirs, unless the click is on one of them
        kept |= (labels != 0) & (labels != track_id) & (labels != there)
    for own_id, own in known.items():
        if own.carried is not None:
            continue
        if own_id != track_id:
            kept |= _without_patch(own.is_object, place)
        elif click.belongs:
            kept |= own.is_object | _without_patch(own.is_other, place)
        else:
            kept |= own.is_other | _without_patch(own.is_object, place)
    return kept


def _without_patch(mask: np.ndarray, place: tuple[int, int]) -> np.ndarray:
    """Return a mask without the connected part that holds a place."""
    if not mask[place]:
        return mask
    parts, _ = ndimage.label(mask)
    return mask & (parts != parts[place])


def _with_pixel(
    made: dict[int, Correction], track_id: int, click: Click, shape: tuple[int, ...]
) -> dict[int, Correction]:
    """Return a frame's corrections in which the clicked pixel is said, changed or not."""
    own = made.get(track_id)
    if own is None and is_gold(made):
        return made
    said, none = np.zeros((2, *shape), bool)
    said[click.y, click.x] = True
    on, off = (said, none) if click.belongs else (none, said)
    return {**made, track_id: Correction.make(on, off) if own is None else own.painted(on, off)}
