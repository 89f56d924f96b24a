"""Small holes filled and specks dropped, as a person's own correction of a frame. No Qt here."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from maskfree.errors import InputError
from maskfree.tidy_mask import tidy_frame

if TYPE_CHECKING:
    from collections.abc import Mapping

    from maskfree.corrections import Correction
    from maskfree.types import InstanceMasks
    from napari_maskfree.state import State

__all__ = ["Tidied", "apply_tidied", "tidied"]

_ALL = "Select one that has, or tick All tracks."


@dataclasses.dataclass(frozen=True)
class Tidied:
    """What tidying makes of a frame: corrections by track id, and how many pixels that changes."""

    frame: int
    known: Mapping[int, Correction]
    changed: Mapping[int, Correction]
    filled: int
    dropped: int


def tidied(
    frame: int,
    masks: InstanceMasks | None,
    known: Mapping[int, Correction],
    *,
    track_id: int | None,
    max_size: int | None,
) -> Tidied:
    """Work out a frame without small holes and specks; call it in any thread.

    What a person painted, erased or accepted stays as it is.

    Parameters
    ----------
    masks
        As they are shown.
    known
        The frame's corrections so far, by track id.
    track_id
        The track that is meant, None: all.
    max_size
        Pixels of the largest hole or speck that goes; None: a share of each object.

    Raises
    ------
    InputError
        Where there is no mask to tidy up.
    """
    if masks is None or not masks.track_ids:
        raise InputError(
            f"Frame {frame} has no masks to tidy up. Fine-tune first (section 3), or paint one."
        )
    if track_id is not None and track_id not in masks.track_ids:
        raise InputError(f"Track {track_id} has no mask in frame {frame}. {_ALL}")
    found = tidy_frame(masks, known, track_id=track_id, max_size=max_size)
    return Tidied(frame, known, found.changed, found.filled, found.dropped)


def apply_tidied(state: State, found: Tidied) -> str:
    """Make what was worked out the frame's corrections, one step of undo; say what was done.

    Raises
    ------
    InputError
        Where the frame was corrected otherwise meanwhile.
    """
    if state.tracks is None or state.corrections[found.frame] != found.known:
        raise InputError(
            f"Frame {found.frame} was corrected meanwhile, so nothing was tidied up. Press again."
        )
    ids = ", ".join(map(str, sorted(found.changed)))
    if not ids:
        return (
            f"Frame {found.frame}: no hole to fill, no speck to drop. What you painted, erased or "
            "accepted stays as it is."
        )
    state.apply(
        f"fill holes and drop specks of track {ids} in frame {found.frame}",
        state.tracks,
        {found.frame: {**found.known, **found.changed}},
    )
    return (
        f"Frame {found.frame}, track {ids}: {_pixels(found.filled)} in holes filled, "
        f"{_pixels(found.dropped)} in specks dropped."
    )


def _pixels(count: int) -> str:
    return f"{count} pixel{'s' * (count != 1)}"
