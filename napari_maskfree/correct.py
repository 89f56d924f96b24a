"""What a person does to masks, as changes of the state: paint, accept, take back. No Qt here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from maskfree import tracks as bt
from maskfree.corrections import Correction, from_labels, is_gold
from maskfree.errors import InputError
from maskfree.mask_place import is_where_boxed
from maskfree.types import Keyframe
from napari_maskfree.constants import MIN_BOX

if TYPE_CHECKING:
    from maskfree.types import Box, InstanceMasks
    from napari_maskfree.state import State

__all__ = ["accept", "astray", "belongs", "box_of", "paint", "take_back"]


def paint(state: State, frame: int, before: np.ndarray, after: np.ndarray) -> list[int]:
    """Take over what was painted on a frame; return the tracks that are new for it.

    A label that no track has becomes a new track, with the box of what was painted.

    Parameters
    ----------
    before, after
        Track ids by pixel, integers (H, W).
    """
    tracks = state.tracks
    assert tracks is not None
    drawn, after, made = after, after.copy(), []
    known = {0, *(t.id for t in tracks.tracks)}
    kind = state.classes.active
    for label in sorted(set(np.unique(drawn[before != drawn]).tolist()) - known):
        own = (drawn == label) & (before != drawn)
        tracks, track_id = bt.add_track(tracks, kind)
        after[own] = track_id
        tracks = bt.set_keyframe(tracks, track_id, Keyframe(frame, box_of(own)))
        made.append(track_id)
    changed = before != after
    ids = sorted({*np.unique(after[changed]).tolist(), *np.unique(before[changed]).tolist()} - {0})
    corrections = from_labels(before, after, state.corrections[frame])
    name = f"paint track {_listed(ids)} in frame {frame}"
    state.apply(name, tracks, {frame: corrections})
    if made:
        state.select(made[-1])
    return made


def accept(state: State, frame: int, masks: InstanceMasks | None) -> list[int]:
    """Vouch for a frame's masks as they are; return the tracks whose masks were left out.

    What is gold stays so, and in a gold frame all that is accepted is.

    Left out are masks that lie elsewhere than their tracks' boxes: of a track that was split,
    merged, swapped or moved since they were predicted.

    Raises
    ------
    InputError
        Where there is none to accept.
    """
    if masks is None or not masks.track_ids or state.tracks is None:
        raise InputError(
            f"Frame {frame} has no masks to accept. Fine-tune first (section 3), or paint one."
        )
    known = dict(zip(masks.track_ids, masks.masks, strict=True))
    gold = is_gold(state.corrections[frame])
    kept = {i: mask for i, mask in known.items() if belongs(state, i, frame, mask)}
    whole = {i: Correction.whole(mask, gold=gold) for i, mask in kept.items()}
    if not whole:
        raise InputError(
            f"The masks of frame {frame} are not where the boxes are: the tracks have changed "
            "since. Press Predict again (section 3)."
        )
    changes = {frame: {**state.corrections[frame], **whole}}
    state.apply(f"accept frame {frame}", state.tracks, changes)
    return [i for i in known if i not in whole]


def astray(state: State, frame: int, labels: np.ndarray) -> list[int]:
    """Return the tracks whose masks do not lie where their boxes are in a frame.

    Parameters
    ----------
    labels
        Track ids by pixel, integers (H, W).
    """
    ids = [int(i) for i in np.unique(labels) if i]
    return [i for i in ids if not belongs(state, i, frame, labels == i)]


def belongs(state: State, track_id: int, frame: int, mask: np.ndarray) -> bool:
    """Whether a mask lies where its track's box is, where that is followed, or was painted."""
    own = state.corrections[frame].get(track_id)
    if own is not None and own.has_object and own.carried is None:
        return True
    track = state.track(track_id)
    return track is not None and is_where_boxed(track, frame, mask)


def box_of(mask: np.ndarray) -> Box:
    """Return the box ``xyxy`` around a mask, at least `MIN_BOX` wide and high."""
    sides = []
    for axis in (0, 1):
        places = np.flatnonzero(mask.any(axis))
        low, high = int(places[0]), int(places[-1]) + 1
        size = mask.shape[1 - axis]
        short = max(0, int(np.ceil(MIN_BOX)) - (high - low))
        low = min(low, max(0, size - (high - low) - short))
        sides.append((float(low), float(min(size, high + short))))
    (x0, x1), (y0, y1) = sides
    return x0, y0, x1, y1


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
