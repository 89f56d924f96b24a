"""What a person said of single pixels, looked up by track and frame in training and prediction."""

from __future__ import annotations

import collections
from typing import TYPE_CHECKING

import cv2
import numpy as np

from maskfree.ignore_masks import IgnoreMasks

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from maskfree.corrections import Correction
    from maskfree.types import BoxTracks
    from maskfree.video import Video

__all__ = ["HandPixels"]

_KEPT_BYTES = 256 * 2**20


class HandPixels:
    """Corrections of a video's tracks.

    Parameters
    ----------
    corrections
        By frame and track id. Those that are gold are passed over: nothing is learnt from the
        truth that a run is scored against, and no prediction is mended with it.
    ids
        The tracks' ids, in the order in which training and prediction count them.
    num_frames, size
        Of the video; ``size`` is (height, width). What does not fit is passed over.
    ignore
        Pixels of which nothing that a person said is passed on: an accepted frame speaks of all of
        its pixels, also of those that a region takes out.
    """

    def __init__(
        self,
        corrections: Mapping[int, Mapping[int, Correction]],
        ids: Sequence[int],
        *,
        num_frames: int,
        size: tuple[int, int],
        ignore: IgnoreMasks | None = None,
    ) -> None:
        self._ignore = ignore or None
        places = {track_id: n for n, track_id in enumerate(ids)}
        self._known = {
            (places[i], frame): own
            for frame, of_frame in corrections.items()
            for i, own in of_frame.items()
            if i in places and frame < num_frames and own.size == size and not own.gold
        }
        self._kept: collections.OrderedDict[tuple[int, int], np.ndarray] = collections.OrderedDict()

    @classmethod
    def of(
        cls,
        corrections: Mapping[int, Mapping[int, Correction]],
        tracks: BoxTracks,
        video: Video,
    ) -> HandPixels:
        """Return what was said of a video's tracks, outside its ignore regions."""
        ids, (length, height, width, _) = [t.id for t in tracks.tracks], video.shape
        ignore = IgnoreMasks(tracks)
        return cls(corrections, ids, num_frames=length, size=(height, width), ignore=ignore)

    def __bool__(self) -> bool:
        return bool(self._known)

    def frames(self, n: int | None = None) -> list[int]:
        """Return the frames in which a track (by default any) was corrected, in order."""
        return sorted({frame for place, frame in self._known if n in (None, place)})

    def at(self, n: int, frame: int) -> np.ndarray | None:
        """Return int8 ``(H, W)``: 1 is the object, -1 is not, 0 is open; None: all is open."""
        key = (n, frame)
        own = self._known.get(key)
        if own is None:
            return None
        if key not in self._kept:
            made = own.is_object.astype(np.int8) - own.is_other.astype(np.int8)
            ignored = None if self._ignore is None else self._ignore.at(frame)
            self._kept[key] = made if ignored is None else np.where(ignored, np.int8(0), made)
            while len(self._kept) > 1 and sum(m.nbytes for m in self._kept.values()) > _KEPT_BYTES:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return self._kept[key]

    def crop(
        self, n: int, frame: int, rows: slice, columns: slice, size: tuple[int, int]
    ) -> np.ndarray | None:
        """Return a part of :meth:`at` at another size ``(h, w)``: float32, means from -1 to 1."""
        whole = self.at(n, frame)
        if whole is None:
            return None
        part = np.ascontiguousarray(whole[rows, columns], np.float32)
        how = cv2.INTER_AREA if size[0] <= part.shape[0] else cv2.INTER_NEAREST
        return np.asarray(cv2.resize(part, size[::-1], interpolation=how))
