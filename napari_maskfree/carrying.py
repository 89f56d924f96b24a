"""Carries the corrections of a frame to the frames around it, as one step of undo. No Qt here."""

from __future__ import annotations

import dataclasses
import functools
from typing import TYPE_CHECKING

from maskfree.carry import changes_of
from maskfree.carrying import find_carried, take_carried
from maskfree.config import CarryConfig
from maskfree.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from maskfree.carry import Carried
    from maskfree.corrections import Correction
    from maskfree.mask_store import MaskStore
    from maskfree.video import Video
    from napari_maskfree.state import State

    Found = dict[int, dict[int, Carried]]

__all__ = ["Merged", "carry_job", "merge_job", "take_merged"]


def carry_job(state: State, video: Video, predicted: MaskStore, frame: int) -> Callable[[], Found]:
    """Return a function that finds what goes where, by frame; call it in any thread.

    Raises
    ------
    InputError
        Where nobody changed a mask of that frame.
    """
    known, tracks = state.corrections.copy().items(), state.tracks
    ids = {t.id for t in tracks.tracks} if tracks is not None else set()
    masks = predicted.read(frame)
    if tracks is None or not ids & changes_of(masks, known.get(frame, {})).keys():
        raise InputError(
            f"Nobody changed a mask of frame {frame}, or it is gold or was carried there: there is "
            "nothing to carry on. Press Correct and paint first."
        )
    return functools.partial(find_carried, video, tracks, masks, known, frame, config=CarryConfig())


@dataclasses.dataclass(frozen=True)
class Merged:
    """What carrying a frame on changes, as long as nothing else has changed since.

    ``known``: the corrections that it starts from; ``ids``: the tracks there were; ``changes``: the
    corrections by frame afterwards; ``pixels``: how many were carried, by frame.
    """

    frame: int
    known: Mapping[int, Mapping[int, Correction]]
    ids: frozenset[int]
    changes: Mapping[int, Mapping[int, Correction]]
    pixels: Mapping[int, int]

    def fits(self, state: State) -> bool:
        """Whether the state is still the one that it starts from."""
        return self.ids == _ids(state) and self.known == state.corrections.items()


def merge_job(state: State, predicted: MaskStore, frame: int, found: Found) -> Callable[[], Merged]:
    """Return a function that works out what carrying changes; call it in any thread.

    What a person corrected in the meantime stays; what was carried from that frame before goes.
    """
    known, ids = state.corrections.items(), _ids(state)

    def merge() -> Merged:
        there = {at: {i: c for i, c in own.items() if i in ids} for at, own in found.items()}
        return Merged(frame, known, ids, *take_carried(predicted.read, known, frame, there))

    return merge


def take_merged(state: State, merged: Merged) -> tuple[list[int], int]:
    """Make corrections of what was carried; return their frames and how many pixels they change.

    Raises
    ------
    RuntimeError
        Where something else has changed since: see :meth:`Merged.fits`.
    """
    if not merged.fits(state):
        raise RuntimeError("The corrections have changed since. Call merge_job again.")
    frames = sorted(merged.pixels)
    if frames and state.tracks is not None:
        name = f"carry frame {merged.frame} to frames {frames[0]} to {frames[-1]}"
        state.apply(name, state.tracks, merged.changes)
    return frames, sum(merged.pixels.values())


def _ids(state: State) -> frozenset[int]:
    return frozenset(t.id for t in state.tracks.tracks) if state.tracks is not None else frozenset()
