"""What the results of a video become in the file that a data set's evaluation takes.

YouTube-VIS and OVIS: an entry for each track (https://youtube-vos.org/dataset/vis, *submission*).
COCO: the same of an image (https://cocodataset.org/#format-results). BDD100K's segmentation
tracking: a frame of Scalabel's format for each picture, its labels by ``id`` over the video, whose
masks do not overlap (https://doc.bdd100k.com/evaluate.html).
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np

from maskfree import rle
from maskfree.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from maskfree.config import InferenceConfig
    from maskfree.datasets.types import DataVideo, VideoDataset
    from maskfree.inference.video_inference import FoundTrack

__all__ = ["layout_of", "require_tracks"]


def layout_of(kind: str) -> Callable[..., list[dict[str, Any]]]:
    """Return what makes a file's entries of a video's results, for a kind of data set.

    It is called with the tracks, their video, the data set and the settings.
    """
    return {"coco": _images, "bdd100k": _frames}.get(kind, _tracks)


def _tracks(
    found: Sequence[FoundTrack], video: DataVideo, dataset: VideoDataset, config: InferenceConfig
) -> list[dict[str, Any]]:
    return [
        {
            "video_id": video.id,
            "category_id": dataset.class_ids[track.class_index],
            "score": track.score,
            "segmentations": [_run_lengths(counts, video) for counts in track.segments],
        }
        for track in found
    ]


def _images(
    found: Sequence[FoundTrack], video: DataVideo, dataset: VideoDataset, config: InferenceConfig
) -> list[dict[str, Any]]:
    return [
        {
            "image_id": video.id,
            "category_id": dataset.class_ids[track.class_index],
            "score": track.score,
            "segmentation": _run_lengths(track.segments[0], video),
        }
        for track in found
        if track.segments[0] is not None
    ]


def _frames(
    found: Sequence[FoundTrack], video: DataVideo, dataset: VideoDataset, config: InferenceConfig
) -> list[dict[str, Any]]:
    """Give each pixel to the surest track there; tracks below ``tracking_score`` have none."""
    ranked = sorted(found, key=lambda track: -track.score)
    sure = [track for track in ranked if track.score >= config.tracking_score]
    frames = []
    for number, file in enumerate(video.files):
        free = np.ones((video.height, video.width), bool)
        labels = []
        for place, track in enumerate(sure, start=1):
            counts = track.segments[number]
            if counts is None:
                continue
            mask = rle.decode(counts, video.height, video.width) & free
            if not mask.any():
                continue
            free &= ~mask
            labels.append(
                {
                    "id": str(place),
                    "category": dataset.classes[track.class_index],
                    "score": track.score,
                    "rle": _run_lengths(rle.encode(mask[None])[0], video),
                }
            )
        frames.append(
            {
                "name": PurePosixPath(file).name,
                "videoName": video.name,
                "frameIndex": number,
                "labels": labels,
            }
        )
    return frames


def _run_lengths(counts: str | None, video: DataVideo) -> dict[str, Any] | None:
    return None if counts is None else {"size": [video.height, video.width], "counts": counts}


def require_tracks(kind: str) -> None:
    """Check that results of a kind of data set are scored by YouTube-VIS's AP.

    Raises
    ------
    InputError
        For BDD100K and COCO, whose own tools score what is written.
    """
    tools = {"bdd100k": "bdd100k.eval (-t seg_track)", "coco": "pycocotools"}
    if kind in tools:
        raise InputError(
            f"AP over tracks is YouTube-VIS's and OVIS's. Results of {kind} are scored with "
            f"{tools[kind]}."
        )
