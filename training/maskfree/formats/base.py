"""What every format shares: the annotations of one video, and what a format declares of itself."""

from __future__ import annotations

import dataclasses
from array import array
from typing import TYPE_CHECKING

import numpy as np

from maskfree.config import FormatConfig
from maskfree.packed_keyframes import PackedKeyframes
from maskfree.tracks import boxes_at
from maskfree.types import Box, InstanceMasks, Keyframe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from maskfree.types import BoxTracks
    from maskfree.video import Video

__all__ = [
    "DEFAULT_LABEL",
    "Annotations",
    "Compared",
    "Format",
    "Survey",
    "VideoFacts",
    "boxes_in",
    "keyframes",
    "known_frames",
    "list_names",
    "loss_of_overlaps",
    "loss_of_unpredicted",
    "losses_of_giving_way",
    "present",
    "survey",
    "tight_box",
]

DEFAULT_LABEL = "object"
"""The label of a track whose format keeps none."""


@dataclasses.dataclass(frozen=True)
class Annotations:
    """All that is known of one video's instances; masks are read a frame at a time.

    ``boxes``: the tracks; ``frame_names``: the stem of the source's file for each frame of the
    video, which may go on beyond the frames that ``boxes`` was made for; ``read_masks``: frame
    number to its masks, None where there are none *known* (the frame was never predicted or
    annotated), which is not the same as a frame in which nothing is. Masks may hold ids that
    ``boxes`` does not have. ``file_names``: the source's files where they are known (with suffix,
    perhaps with folders), else empty. ``read_boxes``: frame number to boxes by track id, where
    they are read a frame at a time and ``boxes`` has no keyframes; None: it has them.
    """

    boxes: BoxTracks
    frame_names: Sequence[str]
    read_masks: Callable[[int], InstanceMasks | None]
    file_names: Sequence[str] = ()
    read_boxes: Callable[[int], dict[int, Box]] | None = None


@dataclasses.dataclass(frozen=True)
class VideoFacts:
    """What is known of a video from itself, for files that do not say all of it.

    ``num_frames``, ``height``, ``width`` (pixels), ``fps`` (or None); ``frame_names``: see
    :class:`Annotations`.
    """

    num_frames: int
    height: int
    width: int
    fps: float | None
    frame_names: Sequence[str]

    @classmethod
    def of(cls, video: Video) -> VideoFacts:
        """Return what is known of an open video."""
        count, height, width, _ = video.shape
        return cls(count, height, width, video.fps, video.names)


@dataclasses.dataclass(frozen=True)
class Compared:
    """What comparing what was written with what was read back found.

    ``difference``: the first one in words, else empty, and then the others hold: ``frames``, those
    that hold masks in what was read back, or boxes where no frame of it has masks; ``tracks``,
    how many it has.
    """

    difference: str
    frames: int = 0
    tracks: int = 0


@dataclasses.dataclass(frozen=True)
class Format:
    """One annotation format: how it is written, read, and what it cannot hold.

    ``name``: as given on the command line; ``title``: for a person. ``write`` writes to a path
    that does not exist yet. ``read`` reads it, or what another tool wrote. ``losses`` names, in
    words, what of these annotations the format does not keep. ``reopen(path, written)`` reads back
    what an export has just written, for comparing alone: what grows with the video is read a frame
    at a time; None: ``read`` does. ``compare(written, read_back)`` walks over both once; losses are
    no differences. ``read_of(path, video)`` stands in for ``read`` where the file may not say all
    of its video; without a ``video`` the file must. ``folder``: the path is a folder of files, not
    one file; then ``is_ours`` tells whether a file or folder in it was written by ``write``, and
    may be replaced by the next export. ``holds_masks``: masks, or figures of them, are written;
    ``needs_masks``: an export without any mask makes no sense. ``holds_classes``: labels come back;
    ``most_id``: the largest id of a track, None where any can be written.
    """

    name: str
    title: str
    write: Callable[[Annotations, Path], None]
    read: Callable[[Path], Annotations]
    losses: Callable[[Annotations], list[str]]
    compare: Callable[[Annotations, Annotations], Compared]
    folder: bool = False
    is_ours: Callable[[Path], bool] = lambda path: False
    reopen: Callable[[Path, Annotations], Annotations] | None = None
    read_of: Callable[[Path, VideoFacts | None], Annotations] | None = None
    holds_masks: bool = True
    needs_masks: bool = True
    holds_classes: bool = True
    most_id: int | None = None


@dataclasses.dataclass(frozen=True)
class Survey:
    """What the masks of a video hold, from one walk over them.

    ``masked``: how many frames have known masks; ``empty``: no mask has a pixel; ``unpredicted``:
    frames without known masks; ``overlapping``: those in which instances overlap; ``scored``: some
    score is not 1; ``shown``: the tracks that have a mask, or a box in a frame without known masks;
    empty where it was not asked for, nor then ``hidden``: a track is occluded in some frame with
    known masks, none of which is its own.
    """

    masked: int
    empty: bool
    unpredicted: Sequence[int]
    overlapping: Sequence[int]
    scored: bool
    shown: frozenset[int] = frozenset()
    hidden: bool = False


def survey(annotations: Annotations, *, tracks: bool = False) -> Survey:
    """Walk over all masks once, one frame in memory at a time.

    ``tracks``: find ``shown`` and ``hidden`` as well.
    """
    # Packed: a list would take a whole object for every frame of the video.
    unpredicted, overlapping = array("q"), array("q")
    empty, scored = True, False
    shown, hidden = set[int](), False
    drawn = (each for track in annotations.boxes.tracks for each in track.keyframes)
    occluded = tracks and any(each.occluded for each in drawn)
    for frame in range(len(annotations.frame_names)):
        masks = annotations.read_masks(frame)
        if tracks:
            here = boxes_in(annotations, frame) if masks is None else present(masks)
            shown.update(here)
            if occluded and not hidden:
                states = boxes_at(annotations.boxes, frame).items()
                hidden = any(state.occluded and i not in here for i, state in states)
        if masks is None:
            unpredicted.append(frame)
            continue
        empty = empty and not masks.masks.any()
        scored = scored or any(score != 1 for score in masks.scores)
        if len(masks.track_ids) > 1 and (np.count_nonzero(masks.masks, axis=0) > 1).any():
            overlapping.append(frame)
    masked = len(annotations.frame_names) - len(unpredicted)
    return Survey(masked, empty, unpredicted, overlapping, scored, frozenset(shown), hidden)


def boxes_in(annotations: Annotations, frame: int) -> dict[int, Box]:
    """Return the boxes in ``frame`` by track id; absent tracks are left out."""
    if annotations.read_boxes is not None:
        return annotations.read_boxes(frame)
    states = boxes_at(annotations.boxes, frame).items()
    return {track_id: state.xyxy for track_id, state in states}


def present(masks: InstanceMasks) -> dict[int, np.ndarray]:
    """Return id to mask, bool ``(H, W)``; an instance without a pixel is absent."""
    pairs = zip(masks.track_ids, masks.masks, strict=True)
    return {track_id: mask for track_id, mask in pairs if mask.any()}


def tight_box(mask: np.ndarray) -> Box:
    """Return the smallest half-open ``xyxy`` around a bool ``(H, W)`` mask that has a pixel."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return (
        float(columns[0]),
        float(rows[0]),
        float(columns[-1] + 1),
        float(rows[-1] + 1),
    )


def keyframes(boxes: Mapping[int, Box], known: Iterable[int]) -> PackedKeyframes:
    """Return a keyframe for each frame of ``boxes``, and ``outside`` where the object goes absent.

    ``boxes``: frame to box; ``known``: the frames, in order, of which something is known. In a
    frame that is not known the track is left to interpolation.
    """
    return PackedKeyframes(_in_order(boxes, known))


def _in_order(boxes: Mapping[int, Box], known: Iterable[int]) -> Iterator[Keyframe]:
    there = False
    for frame in known:
        if frame in boxes:
            yield Keyframe(frame, boxes[frame])
        elif there:
            yield Keyframe(frame, None, outside=True)
        there = frame in boxes


def known_frames(annotations: Annotations, found: Survey) -> list[int]:
    """Return the frames that have known masks."""
    unknown = set(found.unpredicted)
    return [n for n in range(len(annotations.frame_names)) if n not in unknown]


def list_names(names: Sequence[str]) -> str:
    """Return the names as text, shortened to the first few and the last."""
    shown = FormatConfig().names_shown
    if len(names) <= shown:
        return ", ".join(names)
    first = ", ".join(names[place] for place in range(shown - 1))
    return f"{first}, …, {names[-1]}"


def loss_of_unpredicted(annotations: Annotations, found: Survey, consequence: str) -> list[str]:
    """Name the frames that were never predicted, and what the format makes of them."""
    if not found.masked or not found.unpredicted:
        return []
    names = list_names([annotations.frame_names[frame] for frame in found.unpredicted])
    count, total = len(found.unpredicted), len(annotations.frame_names)
    return [f"{count} of {total} frames were never predicted and {consequence}: {names}"]


def losses_of_giving_way(annotations: Annotations, found: Survey) -> list[str]:
    """Name what is lost where masks' own boxes take the place of drawn ones.

    ``found``: with the tracks that are shown.
    """
    tracks, named = annotations.boxes.tracks, list[str]()
    if found.masked and tracks:
        named.append("in predicted frames the boxes drawn give way to the masks' own boxes")
    if absent := [str(track.id) for track in tracks if track.id not in found.shown]:
        named.append(
            f"tracks without a mask or box in any frame are not kept: {list_names(absent)}"
        )
    return named


def loss_of_overlaps(annotations: Annotations, found: Survey) -> list[str]:
    """Name the frames in which instances overlap, for formats that have one id for a pixel."""
    if not found.overlapping:
        return []
    frames = list_names([annotations.frame_names[frame] for frame in found.overlapping])
    return [
        "a pixel has one id: where instances overlap, the higher score, then the smaller id "
        f"wins (frames {frames})"
    ]
