"""YouTube-VIS's average precision and recall over a data set, worked out by TrackEval.

Source: Yang et al., *Video Instance Segmentation*, ICCV 2019: as COCO's, with a track's overlap
over all frames in the place of a box's. TrackEval matches the tracks of each video and class, and
ranks those of all videos of a class together; the mean over the classes is the data set's. In one
thing it differs from the published evaluation: a crowd excuses one result there, not all.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from maskfree.errors import InputError, InputWarning
from maskfree.formats.base import list_names
from maskfree.track_eval import load_trackeval

if TYPE_CHECKING:
    from collections.abc import Sequence

    from maskfree.datasets.types import DataInstance, DataVideo, VideoDataset
    from maskfree.inference.video_inference import FoundTrack

__all__ = ["AP_METRICS", "AveragePrecision", "Precision"]

_AP = (("AP", None), ("AP50", 0), ("AP75", 5))
"""Name, and which of the thresholds 0.5, 0.55, …, 0.95 of the overlap; None: their mean."""
_AR = (("AR1", 1), ("AR10", 10))
"""Name, and how many of a video's tracks of a class count, the surest."""
AP_METRICS = (*(name for name, _ in _AP), *(name for name, _ in _AR))
_OF_A_VIDEO = 100
"""The surest tracks of a video and class that count for AP: YouTube-VIS's evaluation, as COCO's."""


@dataclasses.dataclass(frozen=True)
class Precision:
    """What came of it, each in [0, 1].

    ``mean``: metric to its mean over the classes with a true track; ``classes``: class to metric
    to value, None for a class without a true track.
    """

    mean: dict[str, float]
    classes: dict[str, dict[str, float] | None]


class AveragePrecision:
    """Takes in the results of one video after the other; of those it keeps what matched alone.

    Parameters
    ----------
    dataset
        Opened with masks.

    Raises
    ------
    InputError
        Where TrackEval is not installed, or the data set has no masks.
    """

    def __init__(self, dataset: VideoDataset) -> None:
        metrics = load_trackeval().metrics
        if not any(each.segments for video in dataset.videos for each in video.instances):
            raise InputError(
                f"{dataset.name} has no true masks, which AP is measured on. Take a split whose "
                "masks are public, or send the results to the evaluation server."
            )
        with contextlib.redirect_stdout(io.StringIO()):  # it prints its settings
            self._metrics = {most: _metric(metrics, most) for most in (_OF_A_VIDEO, 1, 10)}
        ids = zip(dataset.classes, dataset.class_ids, strict=True)
        twice = {name for name in dataset.classes if dataset.classes.count(name) > 1}
        self._classes = [f"{name} ({n})" if name in twice else name for name, n in ids]
        bare = [
            video.name
            for video in dataset.videos
            if any(np.isfinite(e.boxes).any() and not e.segments for e in video.instances)
        ]
        if bare:
            warnings.warn(
                f"{dataset.name}: {len(bare)} videos have true tracks without a mask, which no "
                f"result can match: {list_names(bare)}.",
                InputWarning,
                stacklevel=3,
            )
        self._seen: dict[int, dict[str, Any]] = {}

    def add(self, video: DataVideo, found: Sequence[FoundTrack]) -> None:
        """Take in a video: its truth, and what was found in it."""
        true = video.instances
        here = {each.class_index for each in true} | {each.class_index for each in found}
        for index in sorted(here):
            data = _matched_by(
                [each for each in true if each.class_index == index],
                [each for each in found if each.class_index == index],
                [video.height, video.width],
            )
            own = self._seen.setdefault(index, {})
            own[str(len(own))] = self._metrics[_OF_A_VIDEO].eval_sequence(data)

    def scores(self) -> Precision:
        """Return the scores over all videos that were taken in.

        Raises
        ------
        InputError
            Where none of them has a true track.
        """
        classes = {name: self._of_class(index) for index, name in enumerate(self._classes)}
        known = [own for own in classes.values() if own is not None]
        if not known:
            raise InputError("None of the videos has a true track, which AP is measured on.")
        mean = {name: float(np.mean([own[name] for own in known])) for name in AP_METRICS}
        return Precision(mean, classes)

    def _of_class(self, index: int) -> dict[str, float] | None:
        sequences = self._seen.get(index)
        if not sequences:
            return None
        curves = {
            most: metric.combine_sequences(sequences) for most, metric in self._metrics.items()
        }
        precision = curves[_OF_A_VIDEO]["AP_all"]
        if precision[0] < 0:  # no true track that counts
            return None
        values = {
            name: float(np.mean(precision) if at is None else precision[at]) for name, at in _AP
        }
        for name, most in _AR:
            values[name] = float(np.mean(curves[most]["AR_all"]))
        return values


def _metric(metrics: Any, most: int) -> Any:
    settings = {
        "USE_AREA_RANGES": False,
        "USE_TIME_RANGES": False,
        "MAX_DETECTIONS": most,
        "PRINT_CONFIG": False,
    }
    return metrics.TrackMAP(settings)


def _matched_by(
    true: Sequence[DataInstance], found: Sequence[FoundTrack], size: list[int]
) -> dict[str, Any]:
    """Return what TrackEval's data sets hand to its metric, of one video and one class."""
    ranked = sorted(found, key=lambda each: -each.score)
    return {
        "gt_track_ids": list(range(1, len(true) + 1)),
        "gt_tracks": [
            {frame: {"size": size, "counts": runs} for frame, runs in (each.segments or {}).items()}
            for each in true
        ],
        "gt_track_iscrowd": [each.crowd for each in true],
        # numbers from 1 on: it takes 0 for "not matched"
        "dt_track_ids": list(range(1, len(ranked) + 1)),
        "dt_tracks": [
            {
                frame: {"size": size, "counts": runs}
                for frame, runs in enumerate(each.segments)
                if runs is not None
            }
            for each in ranked
        ],
        "dt_track_scores": np.array([each.score for each in ranked]),
        "iou_type": "mask",
    }
