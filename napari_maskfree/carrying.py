"""Carries the corrections of a frame to the frames around it, as one step of undo. No Qt here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from maskfree import tracks as bt
from maskfree.config import CarryConfig
from maskfree.corrections import is_gold
from maskfree.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from maskfree.carry import Carried
    from maskfree.corrections import Correction
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
    from maskfree.carry import carry, changes_of

    known = state.corrections.copy()
    tracks = {t.id: t for t in state.tracks.tracks} if state.tracks is not None else {}
    changes = {
        i: change
        for i, change in changes_of(predicted.read(frame), known[frame]).items()
        if i in tracks
    }
    if not changes:
        raise InputError(
            f"Nobody changed a mask of frame {frame}, or it is gold or was carried there: there is "
            "nothing to carry on. Press Correct and paint first."
        )

    def barred(track_id: int, there: int) -> bool:
        own = known[there].get(track_id)
        said = is_gold(known[there]) or (own is not None and own.carried is None)
        return said or bt.box_at(tracks[track_id], there) is None

    def find() -> Found:
        config = CarryConfig()
        found: Found = {}
        for forward in (False, True):
            way = carry(video, changes, frame, forward=forward, barred=barred, config=config)
            found.update(way)
        return dict(sorted(found.items()))

    return find


def take_carried(
    state: State, predicted: MaskStore, frame: int, found: Found
) -> tuple[list[int], int]:
    """Make corrections of what was found; return their frames and how many pixels they change.

    What a person corrected in the meantime stays; what was carried from that frame before goes.
    """
    from maskfree.carry import with_carried, without_carried

    if state.tracks is None:
        return [], 0
    ids = {t.id for t in state.tracks.tracks}
    changes, frames, pixels = without_carried(state.corrections.items(), frame), [], 0
    for there, carried in found.items():
        known, masks = changes.get(there, state.corrections[there]), predicted.read(there)
        made = with_carried(masks, known, {i: c for i, c in carried.items() if i in ids}, frame)
        if made != known:
            changes[there] = made
            frames.append(there)
            pixels += sum(_pixels(c) for i, c in made.items() if c != known.get(i))
    if frames:
        name = f"carry frame {frame} to frames {min(frames)} to {max(frames)}"
        state.apply(name, state.tracks, changes)
    return sorted(frames), pixels


def _pixels(own: Correction) -> int:
    return int(own.is_object.sum() + own.is_other.sum())
