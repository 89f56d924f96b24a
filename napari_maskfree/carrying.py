"""Carries the corrections of a frame to the frames around it, as one step of undo. No Qt here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from maskfree import tracks as bt
from maskfree.config import CorrectionsConfig
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
            f"Nobody changed a mask of frame {frame}: there is nothing to carry on. Press Correct "
            "and paint first."
        )

    def barred(track_id: int, there: int) -> bool:
        own = known[there].get(track_id)
        said = own is not None and not own.carried
        return said or bt.box_at(tracks[track_id], there) is None

    def find() -> Found:
        config = CorrectionsConfig()
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

    What a person corrected in the meantime stays.
    """
    from maskfree.carry import changes_of, with_carried

    if state.tracks is None:
        return [], 0
    ids = {t.id for t in state.tracks.tracks}
    changes, pixels = {}, 0
    for there, carried in found.items():
        known, masks = state.corrections[there], predicted.read(there)
        made = with_carried(masks, known, {i: c for i, c in carried.items() if i in ids})
        if made != known:
            changes[there] = made
            new = {i: c for i, c in made.items() if c != known.get(i)}
            pixels += sum(int((c != 0).sum()) for c in changes_of(masks, new).values())
    if changes:
        name = f"carry frame {frame} to frames {min(changes)} to {max(changes)}"
        state.apply(name, state.tracks, changes)
    return sorted(changes), pixels
