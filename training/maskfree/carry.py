"""A correction is carried to the frames around it, before any training.

What goes on is what a person changed, not the mask: elsewhere each frame keeps its own prediction.
From frame to frame the changed pixels go with dense optical flow (`dense_flow.py`), and only those
whose way there and back closes and that look alike, so that what is hidden or lost stays behind.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from typing import TYPE_CHECKING

import cv2
import numpy as np

from maskfree.corrections import Correction, is_gold
from maskfree.dense_flow import DisFlow, RoundTrip
from maskfree.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from maskfree.config import CarryConfig
    from maskfree.types import InstanceMasks
    from maskfree.video import Video

__all__ = ["Carried", "carry", "changes_of", "with_carried", "without_carried"]

_HALF = 0.5
"""A pixel is changed of which more than this part is."""
_FADED = 0.1
"""A track is carried no further once less than this part of its changed pixels is left."""

_WHITE = np.float32(255)


@dataclasses.dataclass(frozen=True)
class Carried:
    """What is carried into one frame for one track; both bool ``(H, W)``, no pixel in both."""

    becomes_object: np.ndarray
    becomes_other: np.ndarray


def changes_of(
    predicted: InstanceMasks | None, corrections: Mapping[int, Correction]
) -> dict[int, np.ndarray]:
    """Return what corrections changed in a frame's prediction.

    Those that are gold teach nothing, so they are left out, and so are those that were carried
    there themselves.

    Returns
    -------
    dict
        By track id, float32 ``(H, W)``: 1 where the pixel became the object, -1 where it became
        something else, else 0; without tracks of which nothing changed.
    """
    masks = (
        {} if predicted is None else dict(zip(predicted.track_ids, predicted.masks, strict=True))
    )
    found = {}
    for track_id, own in corrections.items():
        if own.gold or own.carried is not None:
            continue
        if masks and next(iter(masks.values())).shape != own.size:
            raise InputError(
                f"The correction is for frames of {own.size[1]} x {own.size[0]} pixels, the masks "
                "are of another size. Open the session with the video that they were made on."
            )
        mask = masks.get(track_id, np.zeros(own.size, bool))
        change = (own.is_object & ~mask).astype(np.float32) - (own.is_other & mask)
        if change.any():
            found[track_id] = change
    return found


def carry(
    video: Video,
    changes: Mapping[int, np.ndarray],
    frame: int,
    *,
    forward: bool,
    barred: Callable[[int, int], bool],
    config: CarryConfig,
) -> Iterator[tuple[int, dict[int, Carried]]]:
    """Yield frame and what is carried into it by track id, frame by frame away from ``frame``.

    Ends after ``config.frames`` frames, at the end of the video, and where nothing is left.

    Parameters
    ----------
    changes
        Of ``frame``, see :func:`changes_of`, at the video's size.
    barred
        Whether a track is carried no further than before a frame, given its id and that frame: it
        is not there, or a person corrected it there already.

    Raises
    ------
    InputError
        For changes of another size than the video's frames.
    """
    height, width = video.shape[1:3]
    for change in changes.values():
        if change.shape != (height, width):
            raise InputError(
                f"The correction is for frames of {change.shape[1]} x {change.shape[0]} pixels "
                f"(width x height), the video has {width} x {height}. Open the video that it was "
                "made on."
            )
    scale = min(1.0, math.sqrt(config.area / (height * width)))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    flow = DisFlow()
    moving = {i: _resized(change, size) for i, change in changes.items()}
    least = {i: _FADED * float(np.abs(change).sum()) for i, change in moving.items()}
    picture = _resized(np.ascontiguousarray(video[frame]), size)
    for _, there in itertools.pairwise(_span(frame, len(video), config.frames, forward)):
        moving = {i: change for i, change in moving.items() if not barred(i, there)}
        if not moving:
            return
        before, picture = picture, _resized(np.ascontiguousarray(video[there]), size)
        way = _Way.between(flow, before, picture, config)
        moving = {i: way.bring(change) for i, change in moving.items()}
        moving = {i: c for i, c in moving.items() if float(np.abs(c).sum()) > least[i]}
        if not moving:
            return
        yield there, {i: _settled(change, (width, height)) for i, change in moving.items()}


def with_carried(
    predicted: InstanceMasks | None,
    known: Mapping[int, Correction],
    carried: Mapping[int, Carried],
    source: int,
) -> dict[int, Correction]:
    """Return a frame's corrections by track id, with what was carried into it from ``source``.

    Only pixels that change the prediction are added, none that a person gave to another track, none
    of a track that a person corrected there, and nothing in a gold frame; what was carried into it
    before is replaced.
    """
    if is_gold(known):
        return dict(known)
    shape = next((one.becomes_object.shape for one in carried.values()), (0, 0))
    taken = np.zeros(shape, bool)
    for own in known.values():
        if own.carried is None:
            taken |= own.is_object
    masks = (
        {} if predicted is None else dict(zip(predicted.track_ids, predicted.masks, strict=True))
    )
    made = dict(known)
    for track_id, one in carried.items():
        mask = masks.get(track_id, np.zeros(one.becomes_object.shape, bool))
        on, off = one.becomes_object & ~mask & ~taken, one.becomes_other & mask
        before = known.get(track_id)
        if (before is None or before.carried is not None) and (on.any() or off.any()):
            made[track_id] = Correction.make(on, off, carried=source)
    return made


def without_carried(
    frames: Mapping[int, Mapping[int, Correction]], source: int
) -> dict[int, dict[int, Correction]]:
    """Return the frames that lose what was carried into them from ``source``."""
    return {
        frame: {i: c for i, c in known.items() if c.carried != source}
        for frame, known in frames.items()
        if any(c.carried == source for c in known.values())
    }


def _span(frame: int, count: int, most: int, forward: bool) -> range:
    if forward:
        return range(frame, min(count, frame + most + 1))
    return range(frame, max(-1, frame - most - 1), -1)


def _resized(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return an image at ``size`` (width, height), averaged where it becomes smaller."""
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA))


def _settled(change: np.ndarray, size: tuple[int, int]) -> Carried:
    full = cv2.resize(change, size, interpolation=cv2.INTER_LINEAR)
    return Carried(full > _HALF, full < -_HALF)


@dataclasses.dataclass(frozen=True)
class _Way:
    """Where each pixel of a frame was in the one before, float32 ``(H, W)`` each, and if it was."""

    x: np.ndarray
    y: np.ndarray
    known: np.ndarray

    @classmethod
    def between(
        cls,
        flow: DisFlow,
        before: np.ndarray,
        after: np.ndarray,
        config: CarryConfig,
    ) -> _Way:
        way = RoundTrip.of(flow(after, before), flow(before, after))
        seen = cv2.remap(before, way.x, way.y, cv2.INTER_LINEAR)
        alike = _distance(seen, after) <= config.distance
        return cls(way.x, way.y, way.inside & alike & (way.missed <= config.error))

    def bring(self, image: np.ndarray) -> np.ndarray:
        """Return an image of the frame before as it lies in the one after; 0 where not known."""
        moved = cv2.remap(image, self.x, self.y, cv2.INTER_LINEAR)
        moved[~self.known] = 0
        return np.asarray(moved)


def _distance(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return how far apart two pictures are in Lab, float32 ``(H, W)``: root mean square, 3 x 3."""
    lab = [cv2.cvtColor(np.float32(each) / _WHITE, cv2.COLOR_RGB2LAB) for each in (one, other)]
    squared = np.square(lab[0] - lab[1]).sum(-1)
    return np.asarray(np.sqrt(cv2.blur(squared, (3, 3)).clip(0)))
