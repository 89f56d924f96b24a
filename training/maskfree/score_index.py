"""The scores of a session's masks over the whole video, kept up to date without decoding a mask."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from maskfree.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from maskfree.mask_store import MaskStore

__all__ = ["ScoreIndex"]


class ScoreIndex:
    """Scores by track and frame; `refresh` reads only the files that have changed since.

    Parameters
    ----------
    store
        Where the masks are.
    num_frames
        Frames of the video; masks of later ones are passed over.
    """

    def __init__(self, store: MaskStore, num_frames: int) -> None:
        self.store, self.num_frames = store, num_frames
        self._stamps: dict[int, tuple[int, int]] = {}
        self._rows: dict[int, np.ndarray] = {}

    def refresh(self, watch: Callable[[], None] | None = None) -> dict[int, np.ndarray]:
        """Return each track's scores: float32 ``(num_frames,)`` by id, NaN where it has no mask.

        The arrays are the caller's own. A broken file counts as one without masks.

        Parameters
        ----------
        watch
            Called before each file that is read; an error that it raises ends the work, and the
            next call goes on from there.
        """
        stamps = self.store.stamps()
        for frame in self._stamps.keys() - stamps.keys():
            self._forget(frame)
            del self._stamps[frame]
        for frame, stamp in stamps.items():
            if frame < self.num_frames and self._stamps.get(frame) != stamp:
                if watch is not None:
                    watch()
                self._read(frame)
                self._stamps[frame] = stamp
        return {i: row.copy() for i, row in self._rows.items() if not np.isnan(row).all()}

    def _forget(self, frame: int) -> None:
        for row in self._rows.values():
            row[frame] = np.nan

    def _read(self, frame: int) -> None:
        self._forget(frame)
        try:
            scores = self.store.read_scores(frame)
        except InputError:  # said where the masks are shown
            return
        for track_id, score in scores.items():
            row = self._rows.get(track_id)
            if row is None:
                row = self._rows[track_id] = np.full(self.num_frames, np.nan, np.float32)
            row[frame] = score
