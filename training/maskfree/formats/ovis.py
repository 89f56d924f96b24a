"""OVIS: YouTube-VIS' JSON file, and how much of each instance is hidden.

https://songbai.site/ovis (Qi et al., Occluded Video Instance Segmentation: A Benchmark, IJCV 2022).
Each annotation has a list ``occlusion``, a word a frame: ``no_occlusion``, ``slight_occlusion`` or
``severe_occlusion``; null where the instance is absent. All else is as in `ytvis.py`, files with
boxes only included; the validation set's files have no annotations at all.

An instance that is hidden, slightly or severely, is occluded. Which of the two it is, is kept in
the keyframe's extra field ``ovis``; what is occluded by our own account is written as slightly so.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from maskfree.formats import ytvis
from maskfree.formats.base import Annotations, Compared, Format, boxes_in, present
from maskfree.formats.box_files import OCCLUDED_WHERE_SHOWN, own_fields
from maskfree.formats.ytvis_reader import LEVEL, OWN, read_file
from maskfree.formats.ytvis_reopen import Reopened, reopen_file
from maskfree.packed_keyframes import place_of

if TYPE_CHECKING:
    from pathlib import Path

    from maskfree.types import Track

__all__ = ["FORMAT", "read", "reopen", "write"]

_NONE, _SLIGHT, _SEVERE = "no_occlusion", "slight_occlusion", "severe_occlusion"
_NOT_KEPT = "'occluded' is not kept"


def write(annotations: Annotations, path: Path) -> None:
    """Write the file ``path``; see :func:`maskfree.formats.ytvis.write`."""
    ytvis.write_file(annotations, path, levels=functools.partial(_level, annotations))


def read(path: Path) -> Annotations:
    """Read the file of one video; see :func:`maskfree.formats.ytvis.read`."""
    return read_file(path, levels=True)


def reopen(path: Path, written: Annotations) -> Annotations:
    """Read the file that an export made of ``written``; boxes and words are looked up."""
    return reopen_file(path, written, levels=True)


def _level(annotations: Annotations, track_id: int, frame: int) -> str:
    """Return the word for an instance that is there."""
    tracks = (track for track in annotations.boxes.tracks if track.id == track_id)
    track = next(tracks, None)
    return _NONE if track is None else _level_of(track, frame)


def _level_of(track: Track, frame: int) -> str:
    after = place_of(track.keyframes, frame, after=True)
    last = track.keyframes[after - 1] if after else None
    if last is None or not last.occluded:
        return _NONE
    return _SEVERE if own_fields(last.extra, OWN).get(LEVEL) == _SEVERE else _SLIGHT


def losses(annotations: Annotations) -> list[str]:
    """Name what an OVIS file does not keep."""
    named = ytvis.losses(annotations)
    if _NOT_KEPT in named:
        place = named.index(_NOT_KEPT)
        named[place] = OCCLUDED_WHERE_SHOWN
    return named


def compare(annotations: Annotations, back: Annotations) -> Compared:
    """Compare all that a YouTube-VIS file holds, and the words."""
    found = ytvis.compare(annotations, back)
    if found.difference:
        return found
    for frame, name in enumerate(annotations.frame_names):
        masks = annotations.read_masks(frame)
        here = boxes_in(annotations, frame) if masks is None else present(masks)
        wanted = {i: _level(annotations, i, frame) for i in here}
        if isinstance(back, Reopened):
            got = back.read_levels(frame)
        else:
            got = {i: _level(back, i, frame) for i in here}
        if got != wanted:
            return Compared(f"frame {name}: {LEVEL} {got} instead of {wanted}")
    return found


FORMAT = Format(
    name="ovis",
    title="OVIS: one JSON file, with occlusion",
    write=write,
    read=read,
    losses=losses,
    compare=compare,
    reopen=reopen,
    needs_masks=False,
)
