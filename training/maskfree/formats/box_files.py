"""What the formats that hold boxes share: the video they are for, gaps, and losses in words."""

from __future__ import annotations

import dataclasses
import itertools
from typing import TYPE_CHECKING

from maskfree.config import FormatConfig
from maskfree.errors import InputError
from maskfree.formats.base import list_names
from maskfree.formats.limits import check_size
from maskfree.numbered_names import NumberedNames
from maskfree.packed_keyframes import PackedKeyframes
from maskfree.types import BoxTracks, Keyframe

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from typing import Any, BinaryIO

    from maskfree.formats.base import Annotations, VideoFacts
    from maskfree.types import Box, Track

__all__ = [
    "OCCLUDED_WHERE_SHOWN",
    "Said",
    "close_boxes",
    "frame_names",
    "interpolated_loss",
    "losses_of_boxes",
    "need_a_box",
    "own_fields",
    "read_head",
    "with_gaps",
    "within",
]

OCCLUDED_WHERE_SHOWN = "'occluded' is kept only in frames where the object has a mask or a box"


@dataclasses.dataclass(frozen=True)
class Said:
    """What a file says of its video; None: nothing."""

    num_frames: int | None = None
    height: int | None = None
    width: int | None = None
    fps: float | None = None

    def of(self, where: str, video: VideoFacts | None) -> BoxTracks:
        """Return the video without tracks, from the file and from the ``video`` itself.

        A video may go on beyond the frames of the file. ``where`` begins every message.

        Raises
        ------
        InputError
            Where the two differ, neither says the size or the length, or either is beyond bounds.
        """
        if video is not None:
            self._check(where, video)
            size = (video.num_frames, video.height, video.width)
            return BoxTracks(*size, video.fps or self.fps, ())
        num_frames = _known(self.num_frames, where, "how many frames its video has")
        height = _known(self.height, where, "the size of its video")
        width = _known(self.width, where, "the size of its video")
        most = FormatConfig().most_frames
        if not 1 <= num_frames <= most:
            raise InputError(
                f"{where}: the video must have 1 to {most} frames, got {num_frames}. "
                "Correct the file."
            )
        check_size(height, width, where)
        return BoxTracks(num_frames, height, width, self.fps, ())

    def _check(self, where: str, video: VideoFacts) -> None:
        height, width = self.height or video.height, self.width or video.width
        if (height, width) != (video.height, video.width):
            raise InputError(
                f"{where} is for a video of {width} x {height} pixels (width x height), "
                f"the video has {video.width} x {video.height}. Give the video that it was made on."
            )
        if self.num_frames is not None and self.num_frames > video.num_frames:
            raise InputError(
                f"{where} is for a video of {self.num_frames} frames, the video has only "
                f"{video.num_frames}. Give the video that it was made on."
            )


def _known(value: int | None, where: str, what: str) -> int:
    if value is None:
        raise InputError(
            f"{where} does not say {what}. Give the video as well: maskfree convert … --video PATH."
        )
    return value


def frame_names(num_frames: int, video: VideoFacts | None) -> Sequence[str]:
    """Return the names of the video's frames, numbers where it is not known."""
    return NumberedNames(num_frames) if video is None else video.frame_names


def within(box: Box, video: BoxTracks) -> Box | None:
    """Return the part of ``box`` within the frame, None where there is none."""
    x0, y0, x1, y1 = box
    x0, y0 = max(x0, 0.0), max(y0, 0.0)
    x1, y1 = min(x1, float(video.width)), min(y1, float(video.height))
    return (x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None


def with_gaps(keyframes: Iterable[Keyframe], num_frames: int, *, step: int = 1) -> PackedKeyframes:
    """Return keyframes, in order, with ``outside`` where the next is over ``step`` frames on."""
    return PackedKeyframes(_with_gaps(keyframes, num_frames, step))


def _with_gaps(keyframes: Iterable[Keyframe], num_frames: int, step: int) -> Iterator[Keyframe]:
    for this, after in itertools.pairwise(itertools.chain(keyframes, [None])):
        assert this is not None
        yield this
        end = this.frame + step
        if end < (num_frames if after is None else after.frame) and not this.outside:
            yield Keyframe(end, None, outside=True)


def read_head(file: BinaryIO, where: str) -> str:
    """Return the text of a small file; ``where`` names its kind and path.

    Raises
    ------
    InputError
        Where it is larger than such a file is, or not UTF-8 text.
    """
    limit = FormatConfig().most_head_bytes
    raw = file.read(limit + 1)
    if len(raw) > limit:
        raise InputError(f"The {where} is larger than {limit} bytes. Check that it is one.")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            f"The {where} is not UTF-8 text (byte {error.start}). Save it as UTF-8."
        ) from None


def need_a_box(annotations: Annotations, name: str) -> None:
    """Check that there is a box to write; ``name``: the format's.

    Raises
    ------
    InputError
        When no track has a box.
    """
    if not any(_boxed(track) for track in annotations.boxes.tracks):
        raise InputError(
            f"{name} holds boxes, but no track has any. Draw a box, or take a format for masks: "
            "davis or ytvis."
        )


def _boxed(track: Track) -> bool:
    return any(keyframe.xyxy is not None for keyframe in track.keyframes)


def close_boxes(first: Box, second: Box) -> bool:
    """Return whether two boxes differ by no more than rounding."""
    tolerance = FormatConfig().box_tolerance
    return all(abs(a - b) <= tolerance for a, b in zip(first, second, strict=True))


def losses_of_boxes(
    annotations: Annotations,
    *,
    own: str,
    masks: bool = False,
    names: bool = False,
    fps: bool = False,
    occluded: bool = True,
    absent: bool = True,
) -> list[str]:
    """Name what a file of boxes does not keep; keyframes are the caller's.

    ``own``: the name of the extra fields that the format itself keeps; ``masks``, ``names`` (of
    frames), ``fps`` and ``occluded``: whether it holds them; ``absent``: name the tracks without a
    box as well.
    """
    boxes, called = annotations.boxes, annotations.frame_names
    named = []
    if not masks and any(annotations.read_masks(n) is not None for n in range(len(called))):
        named.append("masks are not kept, only boxes")
    empty = [str(track.id) for track in boxes.tracks if absent and not _boxed(track)]
    if empty:
        kept = "kept only where they have a mask" if masks else "not kept"
        named.append(f"tracks without a box are {kept}: {list_names(empty)}")
    if not occluded and any(keyframe.occluded for keyframe in _drawn(boxes)):
        named.append("'occluded' is not kept")
    if any(track.parent is not None for track in boxes.tracks):
        named.append("parents (divisions) are not kept")
    if boxes.ignore:
        named.append("'ignore' regions are not kept")
    if not fps and boxes.fps is not None:
        named.append("frames a second are not kept")
    if not names and (unlike := _unlike_a_number(called)) is not None:
        named.append(f'names of frames are not kept: frame {unlike} is "{called[unlike]}"')
    own_or_not = {*boxes.extra, *(field for track in boxes.tracks for field in track.extra)}
    own_or_not.update(field for keyframe in _drawn(boxes) for field in keyframe.extra)
    if unknown := sorted(own_or_not - {own}):
        named.append(f"fields that the format does not know are not kept: {list_names(unknown)}")
    return named


def _drawn(boxes: BoxTracks) -> Iterator[Keyframe]:
    """Yield every keyframe, one at a time: packed ones are made when they are asked for."""
    return (keyframe for track in boxes.tracks for keyframe in track.keyframes)


def _unlike_a_number(names: Sequence[str]) -> int | None:
    for frame, name in enumerate(names):
        if not name.isdecimal() or int(name) != frame:
            return frame
    return None


def interpolated_loss(annotations: Annotations) -> list[str]:
    """Name that keyframes are not told from the boxes between them."""
    frames = len(annotations.frame_names)
    if all(len(track.keyframes) == frames for track in annotations.boxes.tracks):
        return []
    return ["every frame gets a box: which of them were drawn is not kept"]


def own_fields(extra: Mapping[str, Any], own: str) -> dict[str, Any]:
    """Return what a format kept for itself among the extra fields, empty where there is nothing.

    Extra fields come from files of strangers too: what is no object counts as nothing.
    """
    kept = extra.get(own)
    return dict(kept) if isinstance(kept, dict) else {}
