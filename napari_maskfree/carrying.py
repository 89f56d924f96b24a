"""Carries the corrections of a frame to the frames around it, as one step of undo. No Qt here."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from maskfree import tracks as bt
from maskfree.config import CarryConfig
from maskfree.corrections import is_gold
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
    from maskfree.carry import with_carried, without_carried

    known, ids = state.corrections.items(), _ids(state)

    def merge() -> Merged:
        changes, pixels = without_carried(known, frame), {}
        for there, carried in found.items():
            own, masks = changes.get(there, known.get(there, {})), predicted.read(there)
            made = with_carried(masks, own, {i: c for i, c in carried.items() if i in ids}, frame)
            if made != own:
                changes[there] = made
                pixels[there] = sum(_pixels(c) for i, c in made.items() if c != own.get(i))
        return Merged(frame, known, ids, changes, pixels)

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


def _pixels(own: Correction) -> int:
    return int(own.is_object.sum() + own.is_other.sum())
