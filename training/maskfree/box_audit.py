"""What in a person's boxes may be wrong: looked for before training, never in the way of it."""

from __future__ import annotations

import dataclasses
import itertools
from typing import TYPE_CHECKING

import numpy as np

from maskfree.config import AuditConfig
from maskfree.evenly import evenly
from maskfree.tracks import boxes_at, travel
from maskfree.watch import Ticks, Watch, unwatched

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from maskfree.types import Box, BoxTracks, InstanceMasks, Track

__all__ = ["Finding", "audit_boxes"]

_SIDES = ("left", "top", "right", "bottom")
_FOLLOWED = (
    "It follows the object until that is lost; a box near its end, or Outside where it leaves, "
    "makes it surer."
)
_MERGE = "Merge them if they are one object."
_LOOSE = "The mask ends well inside the box. Draw the box tight, or look why the mask is too small."
_CUT = "The mask lies along this side of the box. Does the object go on beyond it?"


@dataclasses.dataclass(frozen=True)
class Finding:
    """Something to look at: where, what kind (a word for filters), what it is and what may be done.

    ``kind``: "empty", "single", "jump", "far apart", "twice", "loose" or "cut".
    """

    track_id: int
    frame: int
    kind: str
    message: str
    advice: str


def audit_boxes(
    tracks: BoxTracks,
    read: Callable[[int], InstanceMasks | None] | None = None,
    *,
    config: AuditConfig | None = None,
    watch: Watch = unwatched,
) -> list[Finding]:
    """Look for tracks without a box or with one alone, jumps, keyframes far apart, doubles.

    With masks that a run has made also for boxes that are loose, or cut through their object.

    Parameters
    ----------
    tracks
        The boxes. Doubles are looked for where a track begins and where it ends.
    read
        Returns the masks of a frame, None where there are none; asked for frames with keyframes,
        of many for some that are spread over the video. Give those of tracks alone whose boxes are
        still as they were when the masks were made.
    watch
        Told after each track and after each frame whose masks were read.

    Returns
    -------
    list
        In order of frame, then of track.
    """
    config = config or AuditConfig()
    found: list[Finding] = []
    tick, known = Ticks(watch, "boxes", len(tracks.tracks)), set[frozenset[int]]()
    for track in tracks.tracks:
        found += _of_track(tracks, track, config)
        found += _doubles(tracks, track, known, config)
        tick()
    if read is not None:
        found += _against_masks(tracks, read, config, watch)
    return sorted(found, key=lambda finding: (finding.frame, finding.track_id))


def _of_track(tracks: BoxTracks, track: Track, config: AuditConfig) -> Iterator[Finding]:
    boxed = [k for k in track.keyframes if k.xyxy is not None]
    if not boxed:
        words = f"Track {track.id} has no box"
        yield Finding(track.id, 0, "empty", words, "Draw one, or delete the track.")
        return
    first = boxed[0].frame
    if len(track.keyframes) == 1 and first < tracks.num_frames - 1:
        words = f"Track {track.id} has one box, in frame {first}"
        yield Finding(track.id, first, "single", words, _FOLLOWED)
    for start, end in itertools.pairwise(track.keyframes):
        if start.xyxy is None or end.xyxy is None:
            continue
        gap = end.frame - start.frame
        moved = travel(start.xyxy, end.xyxy)
        growth = _growth(start.xyxy, end.xyxy) ** (1 / gap)
        if moved / gap > config.jump or growth > config.growth:
            words = f"Track {track.id} jumps between the frames {start.frame} and {end.frame}"
            yield Finding(track.id, end.frame, "jump", words, "Is it the same object?")
        elif gap > config.long_gap and moved > config.moved:
            words = f"Track {track.id} moves far from frame {start.frame} to {end.frame}"
            middle = (start.frame + end.frame) // 2
            yield Finding(track.id, middle, "far apart", words, "A box half-way makes it surer.")


def _doubles(
    tracks: BoxTracks, track: Track, known: set[frozenset[int]], config: AuditConfig
) -> Iterator[Finding]:
    """Tracks that have this one's box where it begins or ends; each pair once, in ``known``."""
    boxed = [k for k in track.keyframes if k.xyxy is not None]
    for keyframe in (*boxed[:1], *boxed[1:][-1:]):
        for other, state in boxes_at(tracks, keyframe.frame).items():
            pair = frozenset((track.id, other))
            if other == track.id or pair in known or keyframe.xyxy is None:
                continue
            if _overlap(keyframe.xyxy, state.xyxy) > config.same:
                known.add(pair)
                one, two = sorted(pair)
                words = f"Tracks {one} and {two} have one box in frame {keyframe.frame}"
                yield Finding(two, keyframe.frame, "twice", words, _MERGE)


def _against_masks(
    tracks: BoxTracks,
    read: Callable[[int], InstanceMasks | None],
    config: AuditConfig,
    watch: Watch,
) -> Iterator[Finding]:
    drawn: dict[int, dict[int, Box]] = {}
    for track in tracks.tracks:
        for keyframe in track.keyframes:
            if keyframe.xyxy is not None and not keyframe.occluded:
                drawn.setdefault(keyframe.frame, {})[track.id] = keyframe.xyxy
    frames = evenly(sorted(drawn), config.most_frames)
    tick = Ticks(watch, "masks", len(frames))
    for frame in frames:
        boxes, masks = drawn[frame], read(frame)
        for track_id, mask in zip(masks.track_ids, masks.masks, strict=True) if masks else ():
            if track_id in boxes and mask.any():
                yield from _fit(track_id, frame, boxes[track_id], mask, config)
        tick()


def _fit(
    track_id: int, frame: int, box: Box, mask: np.ndarray, config: AuditConfig
) -> Iterator[Finding]:
    """Compare a box with the mask ``(H, W)`` in it, side by side."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    spanned = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
    size = (box[2] - box[0], box[3] - box[1])
    frame_size = mask.shape[::-1]
    loose, cut = [], []
    for n, name in enumerate(_SIDES):
        inwards = 1 if n < 2 else -1
        room = inwards * (spanned[n] - box[n])
        if room > max(config.least_room, config.loose * size[n % 2]):
            loose.append(name)
        at_border = box[n] < 1 if n < 2 else box[n] > frame_size[n % 2] - 1
        if room < 1 and not at_border:
            line = mask.take(spanned[n] - (n >= 2), axis=1 - n % 2)
            if np.count_nonzero(line) > config.cut * size[1 - n % 2]:
                cut.append(name)
    if loose:
        words = f"Track {track_id} is loose in frame {frame}: {_listed(loose)}"
        yield Finding(track_id, frame, "loose", words, _LOOSE)
    if cut:
        words = f"Track {track_id} may be cut in frame {frame}: {_listed(cut)}"
        yield Finding(track_id, frame, "cut", words, _CUT)


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _growth(start: Box, end: Box) -> float:
    """Factor between two areas, 1 or more."""
    one, two = ((x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in (start, end))
    return max(one, two) / min(one, two)


def _overlap(one: Box, two: Box) -> float:
    across = max(0.0, min(one[2], two[2]) - max(one[0], two[0]))
    down = max(0.0, min(one[3], two[3]) - max(one[1], two[1]))
    both = across * down
    total = sum((x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in (one, two))
    return both / (total - both)
