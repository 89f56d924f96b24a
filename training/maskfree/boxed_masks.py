"""A session's masks, of those tracks alone whose boxes are as the run that made them had them."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from maskfree.errors import InputError
from maskfree.kept_masks import shown_run
from maskfree.kept_tubes import KeptTubes

if TYPE_CHECKING:
    from maskfree.session import Session
    from maskfree.types import BoxTracks, InstanceMasks

__all__ = ["BoxedMasks"]


class BoxedMasks:
    """Reads masks that boxes may be held against, see :func:`maskfree.box_audit.audit_boxes`.

    Parameters
    ----------
    session
        Whose masks.
    tracks
        The boxes as they are now.
    """

    def __init__(self, session: Session, tracks: BoxTracks) -> None:
        self._session, self._tracks = session, tracks
        self._known: set[int] | None = None

    def read(self, frame: int) -> InstanceMasks | None:
        """Return the masks of a frame; None where there are none, or their file is broken."""
        if self._known is None:
            self._known = self._unchanged()
        try:
            masks = self._session.masks.read(frame)
        except InputError:  # said where the masks are shown
            return None
        if masks is None:
            return None
        kept = [n for n, i in enumerate(masks.track_ids) if i in self._known]
        return dataclasses.replace(
            masks,
            track_ids=tuple(masks.track_ids[n] for n in kept),
            masks=masks.masks[np.array(kept, int)],
            scores=tuple(masks.scores[n] for n in kept),
        )

    def _unchanged(self) -> set[int]:
        name = shown_run(self._session)
        made = [run for run in self._session.runs() if run.name == name]
        run = made[0] if made else self._session.latest_run()
        if run is None:
            return {track.id for track in self._tracks.tracks}
        try:
            tubes = KeptTubes.from_file(run.kept_tube_path)
        except (InputError, OSError):
            return set()
        count = self._tracks.num_frames
        return {track.id for track in self._tracks.tracks if tubes.knows(track, count)}
