"""Which few frames a run redraws: those asked for, or such as stand for a video. No torch here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from maskfree.config import PreviewConfig
from maskfree.errors import InputError
from maskfree.evenly import evenly
from maskfree.tracks import box_at, boxes_at

if TYPE_CHECKING:
    from collections.abc import Sequence

    from maskfree.types import BoxTracks

__all__ = ["check_frames", "chosen_frames", "spread_frames", "with_frame"]

_LOOKED_AT = 64
"""Frames in which boxes are looked for where there are few keyframes."""


def check_frames(
    asked: Sequence[int] | str | None,
    tracks: BoxTracks,
    *,
    needed: bool = False,
    gold: bool = False,
) -> list[int] | None:
    """Return the frames to preview; None where nobody asks for any.

    Parameters
    ----------
    asked
        The frames; "auto" to have them chosen; None for none, unless they are ``needed``.
    needed
        Something is to be chosen by their scores.
    gold
        There are gold frames: scores do not hang on these.

    Raises
    ------
    InputError
        For frames that the video does not have, for too many, and where scores are needed for
        frames without a box.
    """
    settings = PreviewConfig()
    if asked is None and not needed:
        return None
    if asked is None or isinstance(asked, str):
        return chosen_frames(tracks, settings.frames)
    wrong = [frame for frame in asked if not 0 <= frame < tracks.num_frames]
    if wrong or not asked or len(set(asked)) > settings.most_frames:
        raise InputError(
            f"Expected 1 to {settings.most_frames} frames to preview, from 0 to "
            f"{tracks.num_frames - 1}, got {', '.join(map(str, asked)) or 'none'}. Choose others, "
            "or let them be chosen: --preview auto"
        )
    if needed and not gold and not any(boxes_at(tracks, frame) for frame in asked):
        raise InputError(
            "Expected a frame with a box among those to preview, since the best weights are to be "
            f"kept, got {', '.join(map(str, asked))}. Choose others, or let them be chosen: "
            "--preview auto"
        )
    return sorted(set(asked))


def chosen_frames(tracks: BoxTracks, count: int, *, now: int | None = None) -> list[int]:
    """Return at most ``count`` frames with a box, in order, see :func:`spread_frames`.

    ``now``, if it has a box, is one of them, in place of the nearest.
    """
    found = spread_frames(tracks, count)
    return found if now is None else with_frame(tracks, found, now)


def spread_frames(tracks: BoxTracks, count: int) -> list[int]:
    """Return at most ``count`` frames with a box, in order.

    They are spread over the keyframes, or, where those are too few, over all frames with a box.
    """
    drawn = sorted({k.frame for t in tracks.tracks for k in t.keyframes if k.xyxy is not None})
    if not drawn:
        return []
    if len(drawn) < count:
        looked = np.linspace(drawn[0], tracks.num_frames - 1, _LOOKED_AT).round().astype(int)
        drawn = [f for f in sorted({*drawn, *looked.tolist()}) if _is_boxed(tracks, f)]
    return sorted(evenly(drawn, count))


def with_frame(tracks: BoxTracks, chosen: Sequence[int], now: int) -> list[int]:
    """Return the chosen frames with ``now``, if it has a box, in place of the nearest of them."""
    found = list(chosen)
    if found and now not in found and _is_boxed(tracks, now):
        found.remove(min(found, key=lambda frame: abs(frame - now)))
        found.append(now)
    return sorted(found)


def _is_boxed(tracks: BoxTracks, frame: int) -> bool:
    return any(box_at(track, frame) is not None for track in tracks.tracks)
