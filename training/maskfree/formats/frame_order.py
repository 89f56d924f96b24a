"""Folders with a file a frame: whether the files' names tell which frame each is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from maskfree.config import FormatConfig
from maskfree.errors import InputError
from maskfree.video_folder import natural_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from maskfree.formats.base import VideoFacts

__all__ = ["loss_of_order", "names_of_frames", "place_files"]


def names_of_frames(stems: list[str]) -> tuple[str, ...]:
    """Return the name of every frame, those without a file included; ``stems``: of the files."""
    if not all(stem.isdecimal() for stem in stems):
        return tuple(stems)
    by_number = {int(stem): stem for stem in stems}
    last, limit = max(by_number), len(stems) * FormatConfig().frames_per_file
    if len(by_number) < len(stems) or 0 not in by_number or last >= limit:
        return tuple(stems)
    digits = len(by_number[0])
    return tuple(by_number.get(n, f"{n:0{digits}d}") for n in range(last + 1))


def place_files(
    stems: Sequence[str], video: VideoFacts | None, folder: object
) -> tuple[Sequence[str], dict[int, str]]:
    """Return the name of every frame, and frame to the stem of its file.

    ``stems``: of the files, in natural order; ``video``: None where it is not known. Then the files
    are its frames, see `names_of_frames`. Else a file is the frame of its name; where one has none,
    each is the frame whose name is the same number, else they must be as many as the frames.

    Raises
    ------
    InputError
        For files that are no frames of the ``video``; ``folder`` is where they are.
    """
    if video is None:
        names: Sequence[str] = names_of_frames(list(stems))
        have = set(stems)
        return names, {frame: name for frame, name in enumerate(names) if name in have}
    called = video.frame_names
    places = {name: frame for frame, name in enumerate(called)}
    by_number = {int(name): frame for name, frame in places.items() if name.isdecimal()}
    numbers = [int(stem) if stem.isdecimal() else -1 for stem in stems]
    for found in ([places.get(stem) for stem in stems], [by_number.get(n) for n in numbers]):
        placed = {
            frame: stem for frame, stem in zip(found, stems, strict=True) if frame is not None
        }
        if len(placed) == len(stems):
            return called, dict(sorted(placed.items()))
    if len(stems) == len(called):
        return called, dict(enumerate(stems))
    strange = next(stem for stem in stems if stem not in places)
    raise InputError(
        f'{folder} has a file "{strange}", which is no frame of the video: its {len(called)} '
        f"frames are named {called[0]} to {called[-1]}. Give the video that the files were made "
        "for, or name them after its frames."
    )


def loss_of_order(names: Sequence[str], frames: Iterable[int] | None = None) -> list[str]:
    """Name that files come back as other frames, where nothing but their names tells them apart.

    ``names``: of all frames; ``frames``: those that have a file, in order; None: all.
    """
    frames = range(len(names)) if frames is None else list(frames)
    own = [names[frame] for frame in frames]
    if not own:
        return []
    back = {name: n for n, name in enumerate(names_of_frames(sorted(own, key=natural_key)))}
    if all(back[name] == frame for name, frame in zip(own, frames, strict=True)):
        return []
    return [
        "read without --video, files become other frames: they are taken in the order of their "
        "names (those that are numbers from 0 number the frames)"
    ]
