"""The boxes that the engine works with: a track's box in every frame, and how far it may be off.

They are the person's keyframes and, in the frames between and after those, what the picture says of
where the object went. A run keeps them, so that prediction works with the boxes of the training.
"""

from __future__ import annotations

import dataclasses
import io
from typing import TYPE_CHECKING

import numpy as np

from maskfree.consensus_memory import DAMAGE
from maskfree.errors import InputError
from maskfree.follow import follow_boxes
from maskfree.targets import loose_tube
from maskfree.watch import Watch, unwatched
from maskfree.working import WorkingFrames, working_scale

if TYPE_CHECKING:
    from pathlib import Path

    from maskfree.config import Config
    from maskfree.types import BoxTracks, Track
    from maskfree.video import Video

__all__ = ["KeptTubes", "followed_tube", "tracks_scale"]


def tracks_scale(video: Video, tracks: BoxTracks, config: Config) -> float:
    """Return the working scale of an annotated video.

    It follows from the boxes as they were drawn, so that training and prediction agree on it.
    """
    drawn, _ = loose_tube(tracks, range(len(video)), config=config.sampling)
    return working_scale(drawn, *video.shape[1:3], config=config.sampling)


def followed_tube(
    video: Video,
    tracks: BoxTracks,
    config: Config,
    *,
    frames: tuple[int, int] | None = None,
    watch: Watch = unwatched,
) -> tuple[np.ndarray, np.ndarray]:
    """Return every track's box in every frame, those between keyframes moved with the picture.

    Parameters
    ----------
    frames
        Half-open range: spans between keyframes that lie outside it stay interpolated; None: all.
    watch
        Told after each frame.

    Returns
    -------
    tuple
        ``boxes`` float ``(N, T, 4)``, xyxy in the video's pixels, NaN where absent; ``slack`` float
        ``(N, T)``, how far they may be wrong, as a part of their size.
    """
    boxes, slack = loose_tube(tracks, range(len(video)), config=config.sampling)
    if not config.follow.between or not np.isfinite(boxes).any():
        return boxes, slack
    scale = tracks_scale(video, tracks, config)
    working = WorkingFrames(video, scale, cache_bytes=config.video.cache_bytes)
    drawn = working.to_working(boxes)
    moved, followed = follow_boxes(
        working, tracks, drawn, within=frames, config=config.follow, watch=watch
    )
    surer = dataclasses.replace(config.sampling, slack_per_travel=config.follow.slack_per_travel)
    _, less = loose_tube(tracks, range(len(video)), config=surer)
    sy, sx = working.scale_yx
    return (
        np.where(followed[..., None], moved / np.array([sx, sy, sx, sy]), boxes),
        np.where(followed, less, slack),
    )


@dataclasses.dataclass(frozen=True)
class KeptTubes:
    """The boxes of a run, by track id.

    ``drawn``: float ``(K, 5)``, the keyframes that they were made from (frame, xyxy; NaN outside);
    ``boxes``: float ``(T, 4)``; ``slack``: float ``(T,)``.
    """

    drawn: dict[int, np.ndarray]
    boxes: dict[int, np.ndarray]
    slack: dict[int, np.ndarray]

    @classmethod
    def of(cls, tracks: BoxTracks, boxes: np.ndarray, slack: np.ndarray) -> KeptTubes:
        """Keep the boxes ``(N, T, 4)`` and slack ``(N, T)`` of ``tracks``."""
        ids = [track.id for track in tracks.tracks]
        return cls(
            {track.id: _drawn(track) for track in tracks.tracks},
            dict(zip(ids, boxes, strict=True)),
            dict(zip(ids, slack, strict=True)),
        )

    def knows(self, track: Track, num_frames: int) -> bool:
        """Whether a track's boxes are kept and its keyframes are as they were then."""
        return (
            track.id in self.drawn
            and np.array_equal(self.drawn[track.id], _drawn(track), equal_nan=True)
            and self.boxes[track.id].shape == (num_frames, 4)
            and self.slack[track.id].shape == (num_frames,)
        )

    def tube(
        self, video: Video, tracks: BoxTracks, config: Config, *, frames: tuple[int, int] | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the tracks' boxes and slack: as kept, or where they changed by `followed_tube`.

        A track that changed stays, after its last keyframe, where it was drawn.
        """
        known = [self.knows(track, len(video)) for track in tracks.tracks]
        boxes, slack = loose_tube(tracks, range(len(video)), config=config.sampling)
        if not all(known):
            changed = np.flatnonzero(~np.array(known))
            some = dataclasses.replace(tracks, tracks=tuple(tracks.tracks[n] for n in changed))
            boxes[changed], slack[changed] = followed_tube(video, some, config, frames=frames)
        for n in np.flatnonzero(known).tolist():
            track_id = tracks.tracks[n].id
            boxes[n], slack[n] = self.boxes[track_id], self.slack[track_id]
        return boxes, slack

    def to_bytes(self) -> bytes:
        """Return it as the content of an ``.npz`` file."""
        arrays = {
            f"{track_id}/{name}": values[track_id]
            for name, values in vars(self).items()
            for track_id in values
        }
        content = io.BytesIO()
        np.savez_compressed(content, **arrays)
        return content.getvalue()

    @classmethod
    def from_file(cls, path: Path) -> KeptTubes:
        """Read what :meth:`to_bytes` made.

        Raises
        ------
        InputError
            When the file is damaged.
        """
        made = cls({}, {}, {})
        try:
            with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
                for key in file.files:
                    track_id, name = key.split("/")
                    vars(made)[name][int(track_id)] = file[key].astype(float, casting="safe")
            if not made.drawn.keys() == made.boxes.keys() == made.slack.keys():
                raise ValueError("incomplete")
        except DAMAGE as error:
            raise InputError(f"{path} is damaged. Fine-tune again.") from error
        return made


def _drawn(track: Track) -> np.ndarray:
    rows = [(k.frame, *(k.xyxy or (np.nan,) * 4)) for k in track.keyframes]
    return np.array(rows, float).reshape(-1, 5)
