"""What a person does to masks, as changes of the state: paint, accept, take back. No Qt here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from maskfree import tracks as bt
from maskfree import vouch
from maskfree.corrections import from_labels
from maskfree.errors import InputError
from maskfree.mask_place import box_of_mask
from maskfree.types import Keyframe

if TYPE_CHECKING:
    from maskfree.types import InstanceMasks
    from napari_maskfree.state import State

__all__ = ["accept", "astray", "paint", "take_back"]


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
        tracks = bt.set_keyframe(tracks, track_id, Keyframe(frame, box_of_mask(own)))
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
    known = state.corrections[frame]
    said, left = vouch.accepted(state.tracks, frame, masks, known)
    if len(left) == len(masks.track_ids):
        raise InputError(
            f"The masks of frame {frame} are not where the boxes are: the tracks have changed "
            "since. Press Predict again (section 3)."
        )
    state.apply(f"accept frame {frame}", state.tracks, {frame: said})
    return left


def astray(state: State, frame: int, labels: np.ndarray) -> list[int]:
    """Return the tracks whose masks do not lie where their boxes are in a frame.

    Parameters
    ----------
    labels
        Track ids by pixel, integers (H, W).
    """
    tracks, known = state.tracks, state.corrections[frame]
    ids = [int(i) for i in np.unique(labels) if i] if tracks is not None else []
    return [i for i in ids if not vouch.belongs(tracks, i, frame, labels == i, known)]


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
