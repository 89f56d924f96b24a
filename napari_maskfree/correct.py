"""What a person does to masks, as changes of the state: paint, accept, take back. No Qt here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from maskfree import tracks as bt
from maskfree import vouch
from maskfree.corrections import from_labels
from maskfree.errors import InputError
from maskfree.mask_place import box_of_mask, ids_elsewhere
from maskfree.types import Keyframe

if TYPE_CHECKING:
    from collections.abc import Mapping

    from maskfree.types import InstanceMasks
    from napari_maskfree.state import State

__all__ = ["accept", "astray", "paint_frames", "take_back"]


def paint_frames(state: State, painted: Mapping[int, tuple[np.ndarray, np.ndarray]]) -> list[int]:
    """Take over what was painted, in one step of undo; return the tracks that are new for it.

    A label that no track has becomes a new track, with the box of what was painted.

    Parameters
    ----------
    painted
        By frame the track ids by pixel, integers (H, W), before and after.
    """
    tracks = state.tracks
    assert tracks is not None
    known, kind = {0, *(t.id for t in tracks.tracks)}, state.classes.active
    made: dict[int, int] = {}
    ids, corrections = set[int](), {}
    for frame, (before, drawn) in painted.items():
        after, new = drawn.copy(), before != drawn
        for label in sorted(set(np.unique(drawn[new]).tolist()) - known):
            own = (drawn == label) & new
            if label not in made:
                tracks, made[label] = bt.add_track(tracks, kind)
            after[own] = made[label]
            tracks = bt.set_keyframe(tracks, made[label], Keyframe(frame, box_of_mask(own)))
        changed = before != after
        ids |= {*np.unique(after[changed]).tolist(), *np.unique(before[changed]).tolist()} - {0}
        corrections[frame] = from_labels(before, after, state.corrections[frame])
    if corrections:
        name = f"paint track {_listed(sorted(ids))} in frame {_listed(sorted(corrections))}"
        state.apply(name, tracks, corrections)
    if made:
        state.select([*made.values()][-1])
    return [*made.values()]


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
    if state.tracks is None:
        return []
    known = state.corrections[frame]
    found = ids_elsewhere(state.tracks, frame, labels)
    return [i for i in found if not vouch.is_by_hand(known.get(i))]


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
