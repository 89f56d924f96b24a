"""Carries the corrections of a frame to the frames around it, as one step of undo. No Qt here."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from maskfree import carrying
from maskfree.carry import changes_of
from maskfree.carrying import find_carried
from maskfree.config import CarryConfig
from maskfree.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from maskfree.carry import Carried
    from maskfree.mask_store import MaskStore
    from maskfree.video import Video
    from napari_maskfree.state import State

    Found = dict[int, dict[int, Carried]]

__all__ = ["carry_job", "take_carried"]


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


def take_carried(
    state: State, predicted: MaskStore, frame: int, found: Found
) -> tuple[list[int], int]:
    """Make corrections of what was found; return their frames and how many pixels they change.

    What a person corrected in the meantime stays; what was carried from that frame before goes.
    """
    if state.tracks is None:
        return [], 0
    ids = {t.id for t in state.tracks.tracks}
    there = {at: {i: c for i, c in own.items() if i in ids} for at, own in found.items()}
    changes, pixels = carrying.take_carried(predicted.read, state.corrections.items(), frame, there)
    if pixels:
        name = f"carry frame {frame} to frames {min(pixels)} to {max(pixels)}"
        state.apply(name, state.tracks, changes)
    return sorted(pixels), sum(pixels.values())
