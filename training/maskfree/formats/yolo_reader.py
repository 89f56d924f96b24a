"""Reading YOLO folders, ours and those of Ultralytics and others.

The folder of label files, or the one that holds it as ``labels``; where that holds none itself,
those of its subsets (``labels/train``, Darknet's ``obj_train_data``). The names of classes are in
``data.yaml``, else in ``classes.txt`` or ``obj.names`` (a line each), there or above. Ids are those
of ``track_ids`` beside the labels (ours), else behind the shapes (``yolo_lines.py``); a shape
without one is a track of its own frame. Nothing says the size of the frames unless we wrote the
folder: the video does (``--video``; a folder of pictures is one).

Frames: those of the video where it is given; its label files are named as its frames, or end in
``_N``, frames from 1 (``save_txt`` of a video). Else the files are the frames, told apart as in
`davis.py`. A frame without a file is one that nobody looked at; in a folder that has any outline a
frame with boxes alone has no known masks, and an empty file says that nothing is there.
"""

from __future__ import annotations

import dataclasses
import re
import warnings
from typing import TYPE_CHECKING

import numpy as np

from maskfree.errors import InputError, InputWarning
from maskfree.formats.base import Annotations, tight_box
from maskfree.formats.box_arrays import BoxArrays
from maskfree.formats.frame_order import names_of_frames
from maskfree.formats.instances import Instance
from maskfree.formats.limits import check_masks
from maskfree.formats.outline import fill
from maskfree.formats.yolo_layout import IDS, Layout
from maskfree.formats.yolo_lines import KIND, Tails, numbers_of, shape_of
from maskfree.json_checks import show
from maskfree.types import InstanceMasks, Track

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from maskfree.formats.base import VideoFacts
    from maskfree.types import BoxTracks

__all__ = ["Folder", "read_of"]

_NUMBERED = re.compile(r"(.*)_(\d{1,9})")


def read_of(path: Path, video: VideoFacts | None) -> Annotations:
    """Read a folder; masks are read a frame at a time.

    Raises
    ------
    InputError
        For a folder without label files, a file at fault, an instance that comes twice in a frame,
        and where nothing says the size of the frames, or the video is another.
    """
    layout = Layout(path)
    files = layout.files()
    names, by_frame = _frames(layout, files, video)
    said = dataclasses.replace(layout.said, num_frames=len(names))
    facts = said.of(f"YOLO folder {path}", video)
    folder = Folder(layout, facts, by_frame)
    tracks = folder.scan()
    boxes = dataclasses.replace(facts, tracks=tracks)
    return Annotations(boxes, names, folder.read_masks)


def _frames(
    layout: Layout, files: dict[str, str], video: VideoFacts | None
) -> tuple[Sequence[str], dict[int, str]]:
    """Return the frames' names, and frame to stem of its file."""
    if video is None:
        names: Sequence[str] = names_of_frames(list(files))
        return names, {frame: name for frame, name in enumerate(names) if name in files}
    places = {name: frame for frame, name in enumerate(video.frame_names)}
    if all(stem in places for stem in files):
        return video.frame_names, {places[stem]: stem for stem in files}
    matches = {stem: _NUMBERED.fullmatch(stem) for stem in files}
    by_number = {int(match[2]) - 1: stem for stem, match in matches.items() if match}
    one = len({match[1] for match in matches.values() if match}) == 1
    fit = min(by_number, default=-1) >= 0 and max(by_number, default=0) < video.num_frames
    if len(by_number) == len(files) and one and fit:
        return video.frame_names, by_number
    strange = next(stem for stem in files if stem not in places)
    raise InputError(
        f"{layout.labels / files[strange]} is no frame of the video: its {video.num_frames} frames "
        f"are named {video.frame_names[0]} to {video.frame_names[-1]}. Give the video that the "
        "labels were made for, or name the files after its frames."
    )


class Folder:
    """The shapes of a folder, a frame at a time.

    ``video``: its size and length; ``by_frame``: frame to stem of its file.
    """

    def __init__(self, layout: Layout, video: BoxTracks, by_frame: dict[int, str]) -> None:
        self._layout, self._video, self._by_frame = layout, video, by_frame
        self._tails, self._masked = Tails(any=layout.ids is None), False
        # The number of the first shape of a frame among those without an id.
        self._nameless: dict[int, int] = {}

    def scan(self) -> tuple[Track, ...]:
        """Look at all files; return the tracks, with a keyframe for each box."""
        known = np.array(sorted(self._by_frame), np.int64)
        nameless, largest = 0, 0
        for frame in known.tolist():
            lines = numbers_of(self._path(frame))
            self._tails.look(lines)
        if self._tails.may_be_corners:
            _warn(
                f"{self._layout.labels}: the last two numbers of each outline are taken for a "
                "confidence and the id 1, as save_txt writes them. If they are corners on the "
                "lower edge, write 0.999999 for 1 there."
            )
        for frame in known.tolist():
            numbers = self._numbers(frame)
            largest = max([largest, *(number for number in numbers if number is not None)])
            if missing := numbers.count(None):
                self._nameless[frame] = nameless
                nameless += missing
        self._nameless = {f: largest + 1 + number for f, number in self._nameless.items()}
        if nameless:
            said = (
                "1 shape has no id: it is"
                if nameless == 1
                else f"{nameless} shapes have no id: each is"
            )
            _warn(f"{self._layout.labels}: {said} a track of its own.")
        return self._tracks(known)

    def _path(self, frame: int) -> Path:
        return self._layout.path_of(self._by_frame[frame])

    def _numbers(self, frame: int) -> list[int | None]:
        lines = numbers_of(self._path(frame))
        own = self._layout.ids_of(self._by_frame[frame])
        if own is None:
            return [self._tails.split(line)[1] for line in lines]
        if len(own) != len(lines):
            raise InputError(
                f"{self._path(frame)} has {len(lines)} shapes, its file in {IDS} {len(own)} ids. "
                f"Write an id for each line, or remove the folder {IDS}."
            )
        return list(own)

    def instances(self, frame: int) -> dict[int, Instance]:
        """Return the shapes of a frame by track id; what has no pixel is left out.

        Raises
        ------
        InputError
            Where an instance comes twice, and as :func:`read_of`.
        """
        path, found = self._path(frame), dict[int, Instance]()
        lines, numbers = numbers_of(path), self._numbers(frame)
        nameless = self._nameless.get(frame, 0)
        size = self._video.height, self._video.width
        outlined = 0
        for place, (line, number) in enumerate(zip(lines, numbers, strict=True), start=1):
            where = f"{KIND} {path}, shape {place}"
            shape = shape_of(line, self._tails, self._video, where)
            if number is None:
                track_id, nameless = nameless, nameless + 1
            else:
                track_id = number
            if track_id in found:
                raise InputError(f"{where}: track {track_id} comes twice in a frame. Remove one.")
            if shape.xyxy is None:
                continue
            mask = None
            box = shape.xyxy
            if shape.points is not None:
                outlined += 1
                check_masks(outlined, *size, where)
                mask = fill(shape.points, *size, where)
                if not mask.any():
                    continue
                box = tight_box(mask)
            label = self._layout.label(shape.kind)
            found[track_id] = Instance(label, box, mask, score=shape.score)
        return found

    def _tracks(self, known: np.ndarray) -> tuple[Track, ...]:
        boxes: dict[int, BoxArrays] = {}
        labels: dict[int, str] = {}
        several = set[int]()
        for frame in known.tolist():
            for track_id, each in self.instances(frame).items():
                boxes.setdefault(track_id, BoxArrays()).put(frame, each.xyxy)
                self._masked = self._masked or each.mask is not None
                if labels.setdefault(track_id, each.label) != each.label:
                    several.add(track_id)
        if several:
            _warn(
                f"{self._layout.labels}: a track has one label, but these have several classes: "
                f"{show(sorted(several))}. Each keeps its first."
            )
        return tuple(
            Track(
                track_id,
                labels[track_id],
                boxes[track_id].keyframes(known, f"{self._layout.labels}: track {track_id}"),
            )
            for track_id in sorted(boxes)
        )

    def read_masks(self, frame: int) -> InstanceMasks | None:
        """Return the masks of a frame; None where none are known."""
        if not self._masked or frame not in self._by_frame:
            return None
        here = self.instances(frame)
        masked = {i: each for i, each in sorted(here.items()) if each.mask is not None}
        if here and not masked:
            return None
        masks = np.zeros((len(masked), self._video.height, self._video.width), bool)
        for index, each in enumerate(masked.values()):
            masks[index] = each.mask
        return InstanceMasks(tuple(masked), masks, tuple(each.score for each in masked.values()))


def _warn(text: str) -> None:
    warnings.warn(text, InputWarning, stacklevel=3)
