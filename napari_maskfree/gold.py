"""Gold frames as changes of the state: marked as truth, and that taken back. No Qt here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from maskfree import vouch
from maskfree.corrections import is_gold
from maskfree.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from maskfree.gold_scores import GoldScores
    from maskfree.types import InstanceMasks
    from napari_maskfree.correction_book import CorrectionBook
    from napari_maskfree.state import State

__all__ = ["describe", "gold_lanes", "is_marked", "mark", "readout", "unmark"]


def mark(state: State, frame: int, masks: InstanceMasks | None) -> list[int]:
    """Vouch for a frame's masks as its truth; return the tracks of which there is nothing in it.

    All tracks that are boxed there are meant: one that has no mask is said not to be there.

    Raises
    ------
    InputError
        Where there is nothing to vouch for, or a mask lies elsewhere than its track's box: the
        track was split, merged, swapped or moved since it was predicted.
    """
    if masks is None or state.tracks is None:
        raise InputError(
            f"Frame {frame} has no masks yet that could be gold. Fine-tune first (section 3), or "
            "paint one."
        )
    truth, empty, strays = vouch.gold_of(state.tracks, frame, masks, state.corrections[frame])
    if strays:
        raise InputError(
            f"Frame {frame} cannot be gold yet: the mask of track {', '.join(map(str, strays))} is "
            "not where its box is. Press Predict again (section 3), or paint it."
        )
    if not truth:
        raise InputError(f"Frame {frame} has neither masks nor boxes: there is nothing to score.")
    state.apply(f"mark frame {frame} as gold", state.tracks, {frame: truth})
    return empty


def unmark(state: State, frame: int) -> None:
    """Let a gold frame's masks teach again, as masks that were accepted.

    Raises
    ------
    InputError
        Where the frame is not gold.
    """
    own = state.corrections[frame]
    if not is_gold(own) or state.tracks is None:
        raise InputError(f"Frame {frame} is not gold.")
    state.apply(f"frame {frame} is not gold", state.tracks, {frame: vouch.without_gold(own)})


def is_marked(state: State, frame: int) -> bool:
    """Whether all tracks that are boxed in a frame are gold there: later ones may not be."""
    return vouch.is_marked(state.tracks, frame, state.corrections[frame])


def gold_lanes(book: CorrectionBook) -> dict[int, np.ndarray]:
    """Return each track's gold frames, int64 (K,)."""
    found: dict[int, list[int]] = {}
    for frame in book:
        for track_id, own in book[frame].items():
            if own.gold:
                found.setdefault(track_id, []).append(frame)
    return {track_id: np.array(frames, np.int64) for track_id, frames in found.items()}


def readout(found: Sequence[GoldScores], frames: int) -> str:
    """Say how good the newest run that could be scored is; empty: no frame is gold.

    Where a newer run has no score it says why.
    """
    if not frames:
        return ""
    counted = f"{frames} gold frame{'s' * (frames > 1)}"
    last = found[-1] if found else None
    why = ""
    if last is not None and last.scores is None and last.left_out:
        why = f". Run {int(last.run)} has no score: {'; '.join(last.left_out)}."
    scored = [(int(each.run), each.scores) for each in found if each.scores is not None]
    if not scored:
        return f"{counted}: the next run is scored on {'them' if frames > 1 else 'it'}{why}"
    name, scores = scored[-1]
    return f"{counted}: J {scores.j:.2f}, F {scores.f:.2f} (run {name}){why}"


def describe(scores: GoldScores) -> str:
    """Say of one run all there is to say."""
    name = f"Run {int(scores.run)}"
    left = "".join(f"\nLeft out: {why}" for why in scores.left_out)
    if scores.scores is None:
        return f"{name}: no score{left}"
    count = len(scores.frames)
    frames = f"{count} frame{'s' * (count > 1)}"
    return f"{name}: J {scores.scores.j:.3f}, F {scores.scores.f:.3f} on {frames}{left}"
