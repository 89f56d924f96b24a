"""What a person does to masks, as changes of the state: paint, accept, take back. No Qt here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from maskfree import tracks as bt
from maskfree.corrections import Correction, from_labels
from maskfree.errors import InputError
from maskfree.types import Keyframe
from napari_maskfree.clip_box import clip_box

if TYPE_CHECKING:
    from maskfree.types import InstanceMasks
    from napari_maskfree.state import State

__all__ = ["accept", "paint", "take_back"]


def paint(state: State, frame: int, before: np.ndarray, after: np.ndarray) -> list[int]:
    """Take over what was painted on a frame; return the tracks that are new for it.

    A label that no track has becomes a new track, with the box of what was painted.

    Parameters
    ----------
    before, after
        Track ids by pixel, uint16 (H, W).
    """
    tracks = state.tracks
    assert tracks is not None
    after, made = after.copy(), []
    known = {0, *(t.id for t in tracks.tracks)}
    for label in sorted(set(np.unique(after[before != after]).tolist()) - known):
        own = (after == label) & (before != after)
        tracks, track_id = bt.add_track(
            tracks, tracks.tracks[-1].label if tracks.tracks else "object"
        )
        after[own] = track_id
        rows, columns = np.flatnonzero(own.any(1)), np.flatnonzero(own.any(0))
        box = clip_box(
            (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1), tracks.width, tracks.height
        )
        if box is not None:
            box = (float(box[0]), float(box[1]), float(box[2]), float(box[3]))
            tracks = bt.set_keyframe(tracks, track_id, Keyframe(frame, box))
        made.append(track_id)
    changed = before != after
    ids = sorted({*np.unique(after[changed]).tolist(), *np.unique(before[changed]).tolist()} - {0})
    corrections = from_labels(before, after, state.corrections[frame])
    name = f"paint track {_listed(ids)} in frame {frame}"
    state.apply(name, tracks, {frame: corrections})
    if made:
        state.select(made[-1])
    return made


def accept(state: State, frame: int, masks: InstanceMasks | None) -> int:
    """Vouch for a frame's masks as they are; return how many there are.

    Raises
    ------
    InputError
        Where there are none.
    """
    if masks is None or not masks.track_ids or state.tracks is None:
        raise InputError(
            f"Frame {frame} has no masks to accept. Fine-tune first (section 3), or paint one."
        )
    whole = {i: Correction.whole(m) for i, m in zip(masks.track_ids, masks.masks, strict=True)}
    changes = {frame: {**state.corrections[frame], **whole}}
    state.apply(f"accept frame {frame}", state.tracks, changes)
    return len(whole)


def take_back(state: State, frame: int) -> None:
    """Let the prediction of a frame stand again, without what a person said.

    Raises
    ------
    InputError
        Where nobody said anything.
    """
    if not state.corrections[frame] or state.tracks is None:
        raise InputError(f"Frame {frame} was not corrected.")
    state.apply(f"drop the corrections of frame {frame}", state.tracks, {frame: {}})


def _listed(ids: list[int]) -> str:
    return ", ".join(map(str, ids))
