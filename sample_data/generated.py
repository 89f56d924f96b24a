"""A clip made on the fly, with exact masks: the work-horse of the tests and a sample in napari.

A blob and a star, each textured by a photograph, move over a textured ground under a panning
camera. The star passes in front of the blob; the blob leaves the frame and comes back. What is
painted, and how, is in ``_scene.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from maskfree.colours import track_colour
from maskfree.errors import InputError
from maskfree.tracks import write_boxes
from maskfree.types import BoxTracks, Keyframe, Track

if TYPE_CHECKING:
    from collections.abc import Iterable
    from os import PathLike

__all__ = ["LABELS", "GeneratedClip", "generated_clip"]

LABELS = ("blob", "star")
"""What the tracks 1 and 2 are; the star is in front."""
MIN_FRAMES = 2
MIN_SIDE = 16
"""Least height and width, pixels: below it the objects are smaller than a pixel's neighbourhood."""
ALL_KEYFRAMES_BELOW = 10
"""A clip with fewer frames than this has a keyframe on every frame."""


@dataclass(frozen=True, eq=False)
class GeneratedClip:
    """Frames and the truth about them.

    ``frames``: uint8 RGB ``(T, H, W, 3)``. ``masks``: uint8 ``(T, H, W)``, the track id of what is
    visible: 1 blob, 2 star, 0 background.
    """

    frames: np.ndarray
    masks: np.ndarray

    def boxes(self, every: int = 5) -> BoxTracks:
        """Return the visible objects' boxes, as a person would draw them.

        A track's keyframes are its first and last frame, every ``every``-th frame of the clip in
        which it is visible, and the frames on either side of a gap; `outside` where a gap begins. A
        clip of fewer than 10 frames has a keyframe on every frame.

        Raises
        ------
        InputError
            If ``every`` is less than 1.
        """
        if every < 1:
            raise InputError(f"every must be 1 or more frames, got {every}.")
        count, height, width = self.masks.shape
        if count < ALL_KEYFRAMES_BELOW:
            every = 1
        tracks = (
            Track(number, label, _keyframes(self.masks == number, every))
            for number, label in enumerate(LABELS, start=1)
        )
        seen = tuple(track for track in tracks if track.keyframes)
        return BoxTracks(count, height, width, None, seen)

    def write(self, folder: str | PathLike[str]) -> None:
        """Write ``frames/00000.png`` …, ``masks/00000.png`` … (indexed) and ``boxes.json``.

        Raises
        ------
        InputError
            If ``folder`` holds images that this clip would leave beside its own.
        """
        from PIL import Image

        folder = Path(folder)
        names = [f"{frame:05d}.png" for frame in range(len(self.frames))]
        for part in ("frames", "masks"):
            _refuse_strangers(folder / part, names)
            (folder / part).mkdir(parents=True, exist_ok=True)
        palette = [value for number in range(len(LABELS) + 1) for value in track_colour(number)]
        for name, frame, mask in zip(names, self.frames, self.masks, strict=True):
            Image.fromarray(frame).save(folder / "frames" / name)
            indexed = Image.fromarray(mask)
            indexed.putpalette(palette)
            indexed.save(folder / "masks" / name)
        write_boxes(folder / "boxes.json", self.boxes())


def generated_clip(
    num_frames: int = 24, height: int = 192, width: int = 320, seed: int = 0
) -> GeneratedClip:
    """Return a clip of two textured objects with exact masks; the same for the same arguments.

    From 12 frames on every event happens: the star (2) passes in front of the blob (1), and the
    blob leaves the frame for at least one frame and comes back. A shorter clip shows fewer moments
    of the same motion. ``seed`` chooses photographs, shapes and paths.

    Parameters
    ----------
    num_frames, height, width
        At least 2 frames of 16 x 16 pixels.
    seed
        0 or more.

    Raises
    ------
    InputError
        If an argument is smaller than that.
    """
    for name, value, least in (
        ("num_frames", num_frames, MIN_FRAMES),
        ("height", height, MIN_SIDE),
        ("width", width, MIN_SIDE),
        ("seed", seed, 0),
    ):
        if value < least:
            raise InputError(f"{name} must be {least} or more, got {value}.")
    from ._scene import make_scene, paint

    scene = make_scene(height, width, np.random.default_rng(seed))
    moments = np.linspace(0.0, 1.0, num_frames)
    painted = [paint(scene, float(moment)) for moment in moments]
    frames, masks = (np.stack(part) for part in zip(*painted, strict=True))
    return GeneratedClip(frames, masks)


def _keyframes(visible: np.ndarray, every: int) -> tuple[Keyframe, ...]:
    """Return the keyframes of one object from where it is ``visible``, bool ``(T, H, W)``."""
    present = np.array([bool(mask.any()) for mask in visible])
    padded = np.concatenate(([False], present, [False]))
    appears = present & ~padded[:-2]
    vanishes = present & ~padded[2:]
    keyframes = []
    for frame in range(len(present)):
        if present[frame]:
            if frame % every == 0 or appears[frame] or vanishes[frame]:
                keyframes.append(Keyframe(frame, _box(visible[frame])))
        elif padded[frame]:
            keyframes.append(Keyframe(frame, None, outside=True))
    return tuple(keyframes)


def _box(mask: np.ndarray) -> tuple[float, float, float, float]:
    """Return the half-open xyxy box, in pixels, of a bool mask ``(H, W)`` that is not empty."""
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)


def _refuse_strangers(folder: Path, names: Iterable[str]) -> None:
    """Raise if ``folder`` holds files other than ``names``: they would be taken for frames."""
    if not folder.is_dir():
        return
    strangers = sorted({path.name for path in folder.iterdir()} - set(names))
    if strangers:
        raise InputError(
            f'{folder} already holds "{strangers[0]}", which is no part of this clip. '
            "Choose a new folder, or empty that one."
        )
