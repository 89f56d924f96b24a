"""A clip with true masks, found in a folder of them, checked before anything is run on it.

A clip is a folder: ``frames/00000.jpg …`` and ``masks/00000.png …`` (pixel = instance id, 0 is
background), a mask for some frames or for all. A frame without one is unannotated, not empty.
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import warnings
from typing import TYPE_CHECKING

from maskfree.errors import InputError, InputWarning, nearest
from maskfree.evenly import evenly
from maskfree.formats.base import list_names
from maskfree.storage import open_bytes, reading
from maskfree.truth_boxes import boxes_of_truth
from maskfree.truth_masks import match_frame_names, match_names, read_truth
from maskfree.video import open_video

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import numpy as np

    from maskfree.types import BoxTracks

__all__ = ["AblationClip", "find_clips", "read_clip", "shared_boxes", "true_ids"]

FRAMES, MASKS = "frames", "masks"
_CHUNK = 1 << 20
_SHORTEST = 2
"""Frames of a clip from which something can be learnt about time."""


@dataclasses.dataclass(frozen=True)
class AblationClip:
    """A clip: its name, its folder, and a digest of every byte of its frames and masks."""

    name: str
    folder: Path
    digest: str


def find_clips(folder: Path, names: Sequence[str] | None = None) -> list[AblationClip]:
    """Return the clips of a folder, or those of these names, in their order.

    One that is at fault is left out with a warning.

    Raises
    ------
    InputError
        Where there is no such folder, no clip of a name, or none that can be used.
    """
    if not folder.is_dir():
        raise InputError(
            f"There is no folder {folder}. Name one that holds a folder for each clip, with "
            f"{FRAMES} and {MASKS} in it."
        )
    there = sorted(path.name for path in folder.iterdir() if (path / FRAMES).is_dir())
    for name in names or ():
        if name not in there:
            raise InputError(
                f'{folder} holds no clip "{name}" with a folder {FRAMES}.{nearest(name, there)}'
            )
    clips = []
    for name in dict.fromkeys(names or there):
        try:
            clips.append(read_clip(folder / name))
        except InputError as error:
            warnings.warn(f"The clip {name} is left out: {error}", InputWarning, stacklevel=2)
    if not clips:
        raise InputError(
            f"{folder} holds no clip that can be used. Each is a folder with {FRAMES} "
            f"(00000.jpg …) and {MASKS} (00000.png …, pixel = instance id)."
        )
    return clips


def read_clip(folder: Path) -> AblationClip:
    """Return the clip in a folder.

    Raises
    ------
    InputError
        Where frames or masks are missing.
    """
    with open_video(folder / FRAMES) as video:
        names = list(video.names)
    if len(names) < _SHORTEST:
        raise InputError(
            f"{folder / FRAMES} holds {len(names)} frame, {_SHORTEST} or more are needed. Add some."
        )
    _check_gaps(names, folder)
    if not (folder / MASKS).is_dir():
        raise InputError(f"There are no true masks {folder / MASKS}. Add them: 00000.png …")
    truth = read_truth(folder / MASKS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InputWarning)  # it is an error below
        matched = match_frame_names(truth.files, names, truth.name)
    if missing := sorted(set(truth.files) - set(matched.values())):
        raise InputError(
            f"{folder / FRAMES} lacks frames that have masks: {list_names(missing)}. Add them, or "
            "remove the masks."
        )
    return AblationClip(folder.name, folder, _digest(folder))


def _check_gaps(names: Sequence[str], folder: Path) -> None:
    """Check that frames with numbers are numbered evenly, as 0, 1, 2 or 0, 5, 10."""
    if not all(name.isdecimal() for name in names):
        return
    numbers = sorted(int(name) for name in names)
    steps = [after - before for before, after in itertools.pairwise(numbers)]
    if max(steps) > min(steps):
        missing = numbers[steps.index(max(steps))] + min(steps)
        raise InputError(
            f"{folder / FRAMES} lacks the frame {missing}: it goes from {numbers[0]} to "
            f"{numbers[-1]} and holds {len(numbers)}. Add what is missing."
        )


def _digest(folder: Path) -> str:
    """Return a digest of the names and bytes of a clip's files."""
    sums = hashlib.sha256()
    files = (path for part in (FRAMES, MASKS) for path in (folder / part).iterdir())
    for path in sorted(path for path in files if path.is_file()):
        sums.update(f"{path.parent.name}/{path.name} {path.stat().st_size}\n".encode())
        with open_bytes(path) as file, reading(f"file {path}"):
            while chunk := file.read(_CHUNK):
                sums.update(chunk)
    return sums.hexdigest()


def true_ids(folder: Path, names: Sequence[str]) -> dict[int, np.ndarray]:
    """Return the ids ``(H, W)`` of every annotated frame of a clip, by frame number."""
    truth = read_truth(folder / MASKS)
    return {frame: truth.ids(name) for frame, name in match_names(truth, names).items()}


def shared_boxes(
    truth: Mapping[int, np.ndarray], share: float, size: tuple[int, int, int]
) -> BoxTracks:
    """Return boxes in a part of the annotated frames, evenly spread, interpolated between.

    Parameters
    ----------
    truth
        As in `maskfree.truth_boxes.boxes_of_truth`.
    share
        The part, more than 0 and at most 1; the first and the last frame are always among them.
    size
        Frames, height and width of the video.
    """
    annotated = list(truth)
    count = max(_SHORTEST, round(share * len(annotated)))
    return boxes_of_truth(truth, evenly(annotated, count), size)
