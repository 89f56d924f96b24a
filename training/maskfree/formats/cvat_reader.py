"""Reading CVAT for video: boxes with their keyframes, masks and polygons; see `cvat_images.py` too.

Boxes: the keyframes are the file's. Boxes between two of them must lie on the line between them;
where one does not, all of them become keyframes, so that every frame has the box of the file.
Masks and polygons: each frame of the file has its own, keyframe or not, and its box is a keyframe.
In a file with masks a frame of the task that has neither mask nor box is known to be empty.
A polygon is filled as COCO does. Shapes of other kinds are left out, with a warning.
"""

from __future__ import annotations

import dataclasses
import warnings
from typing import TYPE_CHECKING, Any

from pycocotools import mask as coco

from maskfree.config import FormatConfig
from maskfree.errors import InputError, InputWarning
from maskfree.formats.base import Annotations
from maskfree.formats.box_files import Said, frame_names, with_gaps, within
from maskfree.formats.cvat_images import BOTH, TURNED, read_images
from maskfree.formats.cvat_shapes import BOX, SHAPES, UNREAD, box_of, extra_of, flag, mask_of
from maskfree.formats.cvat_walk import IMAGE, KIND, META, TRACK, Grid, video_of, walk, whole
from maskfree.formats.ytvis_reader import masks_of
from maskfree.formats.ytvis_walk import xyxy
from maskfree.json_checks import show
from maskfree.json_faults import first_twice
from maskfree.packed_keyframes import PackedKeyframes
from maskfree.tracks import box_at
from maskfree.types import Keyframe, Track

if TYPE_CHECKING:
    from pathlib import Path
    from xml.etree.ElementTree import Element

    from maskfree.formats.base import VideoFacts
    from maskfree.types import BoxTracks, InstanceMasks

__all__ = ["FILTER", "OWN", "START", "read_of"]

OWN = "cvat"
"""The extra field in which attributes of CVAT are kept that we do not know."""
START, FILTER = "start_frame", "frame_filter"
"""The fields of it that keep which frames of the video the task has."""


def read_of(path: Path, video: VideoFacts | None) -> Annotations:
    """Read a CVAT file; masks are decoded when a frame is read.

    Raises
    ------
    InputError
        As :func:`maskfree.formats.cvat_walk.walk`, for shapes at fault, and where nothing says the
        size or the length of the video.
    """
    where = f"{KIND} {path}"
    said, grid = Said(), Grid()
    reader: _Reader | None = None
    for name, element in walk(path):
        if name == META:
            said, grid = video_of(element, where)
            continue
        if name == IMAGE:
            if reader is not None:
                raise InputError(BOTH.format(where))
            return read_images(path, video)
        reader = reader or _Reader(where, said.of(where, video), grid)
        if name == TRACK:
            reader.begin(element)
        else:
            reader.shape(name, element)
    reader = reader or _Reader(where, said.of(where, video), grid)
    return reader.annotations(video)


@dataclasses.dataclass
class _Kept:
    """One track while it is read; ``between``: the boxes since the last keyframe.

    ``packed``: its keyframes once the next track has begun.
    """

    number: int
    label: str
    extra: dict[str, Any]
    keyframes: list[Keyframe] = dataclasses.field(default_factory=list)
    between: list[Keyframe] = dataclasses.field(default_factory=list)
    packed: PackedKeyframes = dataclasses.field(default_factory=PackedKeyframes)
    masks: dict[int, str] = dataclasses.field(default_factory=dict)
    last: int = -1
    kind: str = ""

    def settle(self, end: Keyframe | None) -> None:
        """Forget the boxes since the last keyframe, or keep them where one is off the line."""
        if not self.between:
            return
        line = Track(1, "", (self.keyframes[-1],) if end is None else (self.keyframes[-1], end))
        if any(_is_off(line, each) for each in self.between):
            self.keyframes += self.between
        self.between = []


def _is_off(line: Track, found: Keyframe) -> bool:
    wanted = box_at(line, found.frame)
    if wanted is None or found.xyxy is None:
        return (wanted is None) != (found.xyxy is None)
    if wanted.occluded != found.occluded:
        return True
    tolerance = FormatConfig().interpolation_tolerance
    return any(abs(a - b) > tolerance for a, b in zip(wanted.xyxy, found.xyxy, strict=True))


class _Reader:
    """Takes tracks and shapes as they come."""

    def __init__(self, where: str, video: BoxTracks, grid: Grid) -> None:
        self._where, self._video, self._grid = where, video, grid
        self._tracks: list[_Kept] = []
        self._unread: set[str] = set()
        self._turned = 0

    def begin(self, element: Element) -> None:
        """Begin a track."""
        self._settle()
        text = element.get("id", str(len(self._tracks)))
        number = whole(text, self._where, "the id of a track")
        label = element.get("label")
        if label is None or number < 0:
            raise InputError(
                f"{self._where}: a track must have a label and an id of at least 0, got label "
                f"{show(label)} and id {number}. Export it again."
            )
        self._tracks.append(_Kept(number, label, _own(extra_of(element))))

    def shape(self, name: str, element: Element) -> None:
        """Take a shape of the track that was begun last."""
        if name in UNREAD:
            self._unread.add(name)
        if name != BOX and name not in SHAPES:
            return
        track = self._tracks[-1]
        here = f"{self._where}: track {track.number}"
        frame = whole(element.get("frame", ""), here, "frame")
        here = f"{here}, frame {frame}"
        outside = flag(element, "outside", here)
        if outside and frame >= self._video.num_frames:
            return  # Some write the end of what stays to the last frame.
        if not track.last < frame < self._video.num_frames:
            raise InputError(
                f"{here}: the frames of a track must increase, up to "
                f"{self._video.num_frames - 1}, the last of the video. Export it again, or give "
                "the video that it was made on."
            )
        if track.kind not in ("", name):
            raise InputError(
                f"{here}: a track must have shapes of one kind, got {track.kind} and {name}. "
                "Split it."
            )
        track.last, track.kind = frame, name
        xyxy = None
        if name == BOX and not outside:
            xyxy, turned = box_of(element, self._video, here)
            self._turned += turned
        elif not outside and (counts := mask_of(element, self._video, here)) is not None:
            track.masks[frame] = counts
            xyxy = _box_of_mask(counts, self._video)
        found = Keyframe(
            frame,
            xyxy,
            xyxy is None,
            flag(element, "occluded", here),
            _own(extra_of(element)),
        )
        drawn = flag(element, "keyframe", here, usual=True)
        if drawn or name != BOX or not track.keyframes:
            track.settle(found)
            track.keyframes.append(found)
        else:
            track.between.append(found)

    def annotations(self, video: VideoFacts | None) -> Annotations:
        """Return what was taken."""
        self._settle()
        self._warn()
        kept = {track_id: track for track_id, track in self._numbered().items() if track.kind}
        length, step = self._video.num_frames, self._grid.step
        tracks = tuple(
            Track(
                track_id,
                track.label,
                track.packed if track.kind == BOX else with_gaps(track.packed, length, step=step),
                extra=track.extra,
            )
            for track_id, track in kept.items()
        )
        known = frozenset(frame for track in kept.values() for frame in track.masks)
        masked = {track_id: track.masks for track_id, track in kept.items() if track.masks}
        boxes = dataclasses.replace(self._video, tracks=tracks, extra=self._grid_kept())
        boxed = [track for track in tracks if kept[track.id].kind == BOX]

        def read_masks(frame: int) -> InstanceMasks | None:
            if frame not in known:
                if not known or not self._grid.holds(frame):
                    return None
                if any(box_at(track, frame) is not None for track in boxed):
                    return None
            return masks_of({i: counts.get(frame) for i, counts in masked.items()}, boxes)

        return Annotations(boxes, frame_names(length, video), read_masks)

    def _settle(self) -> None:
        if self._tracks:
            last = self._tracks[-1]
            last.settle(None)
            last.packed, last.keyframes = PackedKeyframes(last.keyframes), []

    def _numbered(self) -> dict[int, _Kept]:
        """Return the tracks by id; CVAT's own ids begin at 0, ours at 1."""
        numbers = [track.number for track in self._tracks]
        if len(set(numbers)) < len(numbers):
            twice = first_twice(numbers)
            raise InputError(f"{self._where}: two tracks have the id {twice}. Give one another.")
        first = 1 if 0 in numbers else 0
        return {track.number + first: track for track in self._tracks}

    def _grid_kept(self) -> dict[str, Any]:
        kept: dict[str, Any] = {}
        if self._grid.start:
            kept[START] = self._grid.start
        if self._grid.step != 1:
            kept[FILTER] = f"step={self._grid.step}"
        return _own(kept)

    def _warn(self) -> None:
        if self._unread:
            names = ", ".join(sorted(self._unread))
            text = f"{self._where}: only boxes, masks and polygons are read, not {names}."
            warnings.warn(text, InputWarning, stacklevel=4)
        if self._turned:
            text = f"{self._where}: {TURNED.format(self._turned)}"
            warnings.warn(text, InputWarning, stacklevel=4)


def _own(found: dict[str, Any]) -> dict[str, Any]:
    return {OWN: found} if found else {}


def _box_of_mask(counts: str, video: BoxTracks) -> tuple[float, float, float, float] | None:
    size = [video.height, video.width]
    return within(xyxy(coco.toBbox({"size": size, "counts": counts})), video)
