"""Where the masks of two runs differ most."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from maskfree.errors import InputError
from maskfree.evenly import evenly

if TYPE_CHECKING:
    from collections.abc import Sequence

    from maskfree.types import InstanceMasks

__all__ = ["RunDifference", "compare_runs", "frame_agreement", "read_or_none"]

Read = Callable[[int], "InstanceMasks | None"]


@dataclasses.dataclass(frozen=True)
class RunDifference:
    """``most``: frames and their agreement in [0, 1], the least first; ``mean`` over all seen.

    ``seen`` of ``total`` frames were looked at. ``mean`` is 1 where no frame has a mask.
    """

    most: tuple[tuple[int, float], ...]
    mean: float
    seen: int
    total: int


def frame_agreement(one: InstanceMasks | None, other: InstanceMasks | None) -> float | None:
    """Return the mean IoU of the tracks that have a mask in either; None where none has.

    A track that only one of them has counts as 0.
    """
    masks = [
        {} if m is None else {i: m.masks[n] for n, i in enumerate(m.track_ids)}
        for m in (one, other)
    ]
    values = []
    for track_id in masks[0].keys() | masks[1].keys():
        here, there = (m.get(track_id) for m in masks)
        if here is None or there is None:
            some = here if there is None else there
            if some is not None and some.any():
                values.append(0.0)
            continue
        either = np.count_nonzero(here | there)
        if either:
            values.append(np.count_nonzero(here & there) / either)
    return float(np.mean(values)) if values else None


def compare_runs(
    one: Read,
    other: Read,
    frames: Sequence[int],
    *,
    most: int,
    apart: int,
    at_most: int,
    watch: Callable[[], None] | None = None,
) -> RunDifference:
    """Find the frames in which two runs' masks agree least.

    Parameters
    ----------
    one, other
        Return a frame's masks. A broken file counts as a frame without masks.
    frames
        The frames that have masks in either, in order.
    most, apart
        How many to name, at least ``apart`` frames from each other.
    at_most
        Look at no more frames than this, spread evenly.
    watch
        Called before each frame; an error that it raises ends the work.
    """
    chosen = evenly(frames, at_most)
    found: list[tuple[float, int]] = []
    for frame in chosen:
        if watch is not None:
            watch()
        agreement = frame_agreement(read_or_none(one, frame), read_or_none(other, frame))
        if agreement is not None:
            found.append((agreement, frame))
    named: list[tuple[int, float]] = []
    for agreement, frame in sorted(found):
        if len(named) < most and agreement < 1:
            if all(abs(frame - before) >= apart for before, _ in named):
                named.append((frame, agreement))
    mean = float(np.mean([a for a, _ in found])) if found else 1.0
    return RunDifference(tuple(named), mean, len(chosen), len(frames))


def read_or_none(read: Read, frame: int) -> InstanceMasks | None:
    """Return a frame's masks; None where there are none, or their file is broken."""
    try:
        return read(frame)
    except InputError:  # said where the masks are shown
        return None
