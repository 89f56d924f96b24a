"""Which frames another mask came to: because a correction was carried there, or by another run."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from maskfree.run_difference import read_or_none

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from maskfree.corrections import Correction
    from maskfree.run_difference import Read

    Changes = dict[int, tuple["FrameChange", ...]]

__all__ = ["FrameChange", "carried_changes", "mask_change", "run_changes"]


@dataclasses.dataclass(frozen=True)
class FrameChange:
    """``pixels`` of a track's mask changed in a frame: ``share`` of the larger of the two masks."""

    frame: int
    pixels: int
    share: float


def mask_change(frame: int, before: np.ndarray | None, after: np.ndarray | None) -> FrameChange:
    """Return what changed between two masks, bool ``(H, W)`` each; None: there is none."""
    sizes = [0 if mask is None else int(np.count_nonzero(mask)) for mask in (before, after)]
    if before is None or after is None:
        pixels = max(sizes)
    else:
        pixels = int(np.count_nonzero(before ^ after))
    return FrameChange(frame, pixels, min(1.0, pixels / max(*sizes, 1)))


def carried_changes(
    predicted: Read, corrections: Mapping[int, Mapping[int, Correction]], source: int
) -> Changes:
    """Return by track id the frames that changed because frame ``source`` was carried to them."""
    found: dict[int, list[FrameChange]] = {}
    for frame in sorted(corrections):
        here = {i: c for i, c in corrections[frame].items() if c.carried == source}
        masks = _by_track(predicted, frame) if here else {}
        for track_id, own in here.items():
            before = masks.get(track_id, np.zeros(own.size, bool))
            change = mask_change(frame, before, own.apply(before))
            if change.pixels:
                found.setdefault(track_id, []).append(change)
    return {i: tuple(changes) for i, changes in sorted(found.items())}


def run_changes(
    before: Read,
    after: Read,
    frames: Sequence[int],
    *,
    least: float,
    watch: Callable[[], None] | None = None,
) -> Changes:
    """Return by track id the frames in which two runs' masks differ by at least a share ``least``.

    Parameters
    ----------
    before, after
        Return a frame's masks. A broken file counts as a frame without masks.
    frames
        The frames that are looked at, in order.
    watch
        Called before each frame; an error that it raises ends the work.
    """
    found: dict[int, list[FrameChange]] = {}
    for frame in frames:
        if watch is not None:
            watch()
        one, other = _by_track(before, frame), _by_track(after, frame)
        for track_id in sorted(one.keys() | other.keys()):
            change = mask_change(frame, one.get(track_id), other.get(track_id))
            if change.pixels and change.share >= least:
                found.setdefault(track_id, []).append(change)
    return {i: tuple(changes) for i, changes in sorted(found.items())}


def _by_track(read: Read, frame: int) -> dict[int, np.ndarray]:
    masks = read_or_none(read, frame)
    return {} if masks is None else dict(zip(masks.track_ids, masks.masks, strict=True))
