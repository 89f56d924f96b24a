"""The previews of a run on disk: the same few frames, predicted again and again. No torch here.

::

    runs/0001/previews/frames.json   the frames that a person wants to see; read at every preview
    runs/0001/previews/before.json   their masks, or boxes, when the run began
    runs/0001/previews/now.json      as the network was at the last preview, and all scores so far
    runs/0001/previews/best.json     as it was when its score was best
    runs/0001/previews/00030.png     what these masks lie on: the part of the frame around its boxes

Every file is written whole or not at all; a run that is left alone goes on writing.
"""

from __future__ import annotations

import dataclasses
import io
import json
from typing import TYPE_CHECKING, Any

import imageio.v3 as iio
import numpy as np

from maskfree.errors import InputError
from maskfree.frame_files import stamp_of
from maskfree.json_checks import as_list, as_number, as_object, as_whole, show
from maskfree.mask_store import masks_from_json, masks_to_json
from maskfree.opened_picture import opened_picture
from maskfree.png_damage import PNG_DAMAGE
from maskfree.storage import atomic_write, make_folder, read_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from maskfree.types import InstanceMasks

__all__ = ["MEASURES", "MOMENTS", "Measure", "PreviewFiles", "Shot"]

MOMENTS = ("before", "now", "best")
"""What is kept of each frame."""
MEASURES = ("gold", "confidence")
"""What previews are scored by: see :mod:`maskfree.preview_score`."""
_VERSION = 1
_MOST_PIXELS = 1 << 24
"""Of a picture: more was not made here."""
_REMEDY = "Fine-tune again."


@dataclasses.dataclass(frozen=True)
class Measure:
    """What a run's previews are scored by (of :data:`MEASURES`), and on which frames."""

    kind: str
    frames: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Shot:
    """The frames at one moment.

    ``step``: after so many; 0 before the first. ``masks``: by frame, at the size of its picture.
    ``history``: step and score of every preview up to this one. ``boxes``: the masks are filled
    boxes, since there were no masks yet. ``windows``: the part of each frame that its picture
    shows, xyxy in the video's pixels.
    """

    step: int
    masks: Mapping[int, InstanceMasks]
    measure: Measure | None = None
    history: tuple[tuple[int, float], ...] = ()
    boxes: frozenset[int] = frozenset()
    windows: Mapping[int, tuple[int, ...]] = dataclasses.field(default_factory=dict)

    @property
    def score(self) -> float | None:
        """The score at this step; None where it has none."""
        return next((score for step, score in self.history if step == self.step), None)


class PreviewFiles:
    """Reads and writes them in the folder ``path``."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def best_path(self) -> Path:
        """Where the moment "best" is kept."""
        return self._shot("best")

    def stamp(self) -> tuple[object, ...]:
        """Return what changes whenever one of the moments is written."""
        return tuple(stamp_of(self._shot(moment)) for moment in MOMENTS)

    # ---- the frames that are wanted

    def want(self, frames: Iterable[int]) -> None:
        """Say which frames the run's next preview shows.

        Raises
        ------
        InputError
            Where the disk is full or the folder may not be written.
        """
        make_folder(self.path)
        content = {"version": _VERSION, "frames": sorted(set(frames))}
        atomic_write(self.path / "frames.json", json.dumps(content) + "\n")

    def wanted(self, num_frames: int) -> list[int]:
        """Return the wanted frames of a video of this length, in order.

        Raises
        ------
        InputError
            Where the file is missing or broken.
        """
        where = str(self.path / "frames.json")
        fields = as_object(read_json(where, "list of frames"), where, "a list", "frames")
        listed = as_list(fields.get("frames"), where, "frames")
        frames = {as_whole(frame, where, "frames", low=0) for frame in listed}
        return sorted(frame for frame in frames if frame < num_frames)

    # ---- the pictures

    def write_picture(self, frame: int, picture: np.ndarray) -> None:
        """Keep what a frame shows: uint8 ``(h, w, 3)``.

        Raises
        ------
        InputError
            Where the disk is full or the folder may not be written.
        """
        make_folder(self.path)
        content = io.BytesIO()
        iio.imwrite(content, picture, extension=".png")
        atomic_write(self._picture(frame), content.getvalue())

    def picture(self, frame: int) -> np.ndarray | None:
        """Return a frame's picture, uint8 ``(h, w, 3)``; None where there is none that is whole."""
        try:
            with opened_picture(self._picture(frame), ["PNG"]) as image:
                if image.width * image.height > _MOST_PIXELS:
                    return None
                found = np.asarray(image)
        except PNG_DAMAGE:
            return None
        return found if found.ndim == 3 and found.shape[2] == 3 else None

    # ---- the moments

    def write(self, moment: str, shot: Shot) -> None:
        """Keep one of :data:`MOMENTS`.

        Raises
        ------
        InputError
            Where the disk is full or the folder may not be written.
        """
        make_folder(self.path)
        measure = None if shot.measure is None else dataclasses.asdict(shot.measure)
        content = {
            "version": _VERSION,
            "step": shot.step,
            "measure": measure,
            "history": [[step, round(score, 4)] for step, score in shot.history],
            "boxes": sorted(shot.boxes),
            "windows": {str(f): list(xyxy) for f, xyxy in sorted(shot.windows.items())},
            "frames": {str(f): masks_to_json(masks) for f, masks in sorted(shot.masks.items())},
        }
        atomic_write(self._shot(moment), json.dumps(content) + "\n")

    def read(self, moment: str) -> Shot | None:
        """Return one of :data:`MOMENTS`; None where there is none yet.

        Raises
        ------
        InputError
            Where the file is broken.
        """
        path = self._shot(moment)
        if not path.is_file():
            return None
        where = str(path)
        fields = as_object(read_json(path, "preview"), where, "a preview", "step")
        frames = as_object(fields.get("frames"), where, "frames", "0")
        listed = as_object(fields.get("windows", {}), where, "windows", "0")
        try:
            masks = {int(f): masks_from_json(own, where) for f, own in frames.items()}
            windows = {int(f): _window(own, where) for f, own in listed.items()}
        except ValueError as error:
            raise InputError(f"{where}: {error}. {_REMEDY}") from error
        return Shot(
            as_whole(fields.get("step"), where, "step", low=0),
            masks,
            _measure(fields.get("measure"), where),
            tuple(_pair(p, where) for p in as_list(fields.get("history"), where, "history")),
            frozenset(
                as_whole(f, where, "boxes", low=0)
                for f in as_list(fields.get("boxes"), where, "boxes")
            ),
            windows,
        )

    def _shot(self, moment: str) -> Path:
        return self.path / f"{moment}.json"

    def _picture(self, frame: int) -> Path:
        return self.path / f"{frame:05d}.png"


def _measure(value: Any, where: str) -> Measure | None:
    if value is None:
        return None
    fields = as_object(value, where, "a measure", "kind")
    if fields.get("kind") not in MEASURES:
        raise InputError(
            f"{where}: kind must be one of {', '.join(MEASURES)}, got "
            f"{show(fields.get('kind'))}. {_REMEDY}"
        )
    frames = as_list(fields.get("frames"), where, "frames")
    return Measure(fields["kind"], tuple(as_whole(f, where, "frames", low=0) for f in frames))


def _window(value: Any, where: str) -> tuple[int, ...]:
    return tuple(as_whole(v, where, "windows", low=0) for v in as_list(value, where, "windows"))


def _pair(value: Any, where: str) -> tuple[int, float]:
    pair = as_list(value, where, "history")
    score = as_number(pair[1]) if len(pair) == 2 else None
    if score is None:
        raise InputError(f"{where}: expected [step, score], got {show(value)}. {_REMEDY}")
    return as_whole(pair[0], where, "step", low=0), score
