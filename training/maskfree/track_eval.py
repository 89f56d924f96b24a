"""HOTA, IDF1, MOTSA, and YouTube-VIS's AP and AR of masks over a video, worked out by TrackEval.

Source: Luiten et al., *HOTA: A Higher Order Metric for Evaluating Multi-Object Tracking*, IJCV
2021, and its code, TrackEval, whose metrics get here what they take from any data set: which ids
are in which frame, by class, how far their masks overlap, and each track as run lengths.

Other than J and F these do not take a predicted id for the true one of the same id: they find out
which is which, and say how well that holds over the video.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
from typing import TYPE_CHECKING, Any

import numpy as np
from pycocotools import mask as coco

from maskfree.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

__all__ = ["TRACK_METRICS", "FrameMasks", "TrackMetrics", "load_trackeval", "track_metrics"]

_HOTA = ("HOTA", "DetA", "AssA")
_AP = (("AP", None), ("AP50", 0), ("AP75", 5))
"""Name, and which of the thresholds 0.5, 0.55, …, 0.95 of the overlap; None: their mean."""
_AR = (("AR1", 1), ("AR10", 10))
"""Name, and how many of a video's tracks count, the most confident."""
TRACK_METRICS = (*_HOTA, "IDF1", "MOTSA", *(name for name, _ in (*_AP, *_AR)))
_MISSING = (
    "HOTA, IDF1, MOTSA and AP need TrackEval. Install it: pip install --no-deps trackeval (without "
    "--no-deps it brings another OpenCV, which gets in the way of the one that is there)."
)

TrackMetrics = dict[str, float | None]
"""The metrics by their names in TRACK_METRICS, in [0, 1] but for MOTSA, which may lie below; None
where the truth has no track of that class."""


@dataclasses.dataclass(frozen=True)
class FrameMasks:
    """One frame: true and predicted masks, bool ``(H, W)`` by id; none of them without a pixel.

    ``scores``: how sure each predicted one is, by id.
    """

    truth: Mapping[int, np.ndarray]
    found: Mapping[int, np.ndarray]
    scores: Mapping[int, float]


class _Seen:
    """What TrackEval takes of one class, gathered frame by frame; masks are kept as run lengths."""

    def __init__(self) -> None:
        self.truth: dict[int, dict[int, Any]] = {}
        self.found: dict[int, dict[int, Any]] = {}
        self._ids: dict[int, tuple[list[int], list[int]]] = {}
        self._overlap: dict[int, np.ndarray] = {}

    def add(self, number: int, truth: Mapping[int, Any], found: Mapping[int, Any]) -> None:
        """Take a frame in: run lengths by id."""
        for runs, tracks in ((truth, self.truth), (found, self.found)):
            for track_id, run in runs.items():
                tracks.setdefault(track_id, {})[number] = run
        if truth or found:
            self._ids[number] = list(truth), list(found)
            self._overlap[number] = _overlap(list(truth.values()), list(found.values()))

    def metrics(self, count: int, confidence: Mapping[int, float]) -> TrackMetrics:
        """Return the metrics of so many frames; ``confidence``: of each predicted track."""
        if not self.truth:
            return dict.fromkeys(TRACK_METRICS)
        data, values = self._data(count, confidence), TrackMetrics()
        metrics = load_trackeval().metrics
        with contextlib.redirect_stdout(io.StringIO()):  # it prints its settings
            hota = metrics.HOTA().eval_sequence(data)
            values |= {name: float(np.mean(hota[name])) for name in _HOTA}
            values["IDF1"] = float(metrics.Identity().eval_sequence(data)["IDF1"])
            values["MOTSA"] = _motsa(metrics.CLEAR().eval_sequence(data))
            precision = _curve(metrics, data, 0)["AP_all"]
            for name, at in _AP:
                values[name] = float(np.mean(precision) if at is None else precision[at])
            for name, most in _AR:
                values[name] = float(np.mean(_curve(metrics, data, most)["AR_all"]))
        return values

    def _data(self, count: int, confidence: Mapping[int, float]) -> dict[str, Any]:
        """Return what TrackEval's data sets hand to its metrics, of one video and one class."""
        nobody: tuple[list[int], list[int]] = ([], [])
        ids = [self._ids.get(number, nobody) for number in range(count)]
        nothing = np.zeros((0, 0))
        data: dict[str, Any] = {
            "num_timesteps": count,
            "similarity_scores": [self._overlap.get(number, nothing) for number in range(count)],
            "iou_type": "mask",
        }
        for side, (name, tracks) in enumerate((("gt", self.truth), ("tracker", self.found))):
            place = {track_id: n for n, track_id in enumerate(sorted(tracks))}
            data[f"{name}_ids"] = [np.array([place[i] for i in here[side]], int) for here in ids]
            data[f"num_{name}_ids"] = len(tracks)
            data[f"num_{name}_dets"] = sum(len(here[side]) for here in ids)
        ranked = sorted(self.found, key=lambda i: (-confidence[i], i))
        # numbers from 1 on: it takes 0 for "not matched"
        data["gt_track_ids"] = list(range(1, len(self.truth) + 1))
        data["gt_tracks"] = [self.truth[i] for i in sorted(self.truth)]
        data["dt_track_ids"] = list(range(1, len(ranked) + 1))
        data["dt_tracks"] = [self.found[i] for i in ranked]
        data["dt_track_scores"] = np.array([confidence[i] for i in ranked])
        return data


def track_metrics(
    frames: Iterable[FrameMasks],
    class_of: Callable[[int], str],
    true_class_of: Callable[[int], str] | None = None,
) -> dict[str, TrackMetrics]:
    """Score the tracks of a video; one frame in memory at a time, and all masks as run lengths.

    Parameters
    ----------
    frames
        Those that are scored, in order.
    class_of
        The class of a predicted track by its id.
    true_class_of
        The class of a true track by its id; by default that of the predicted one.

    Returns
    -------
    dict
        Class to its metrics, and first "all": all tracks as one class, but that its AP and AR are
        the means over the classes, as YouTube-VIS has them. A predicted track is as sure as the
        mean of its masks.

    Raises
    ------
    InputError
        Where TrackEval is not installed.
    """
    load_trackeval()
    whole, by_class = _Seen(), dict[str, _Seen]()
    sure: dict[int, list[float]] = {}
    count = 0
    for number, frame in enumerate(frames):
        truth, found = _runs(frame.truth), _runs(frame.found)
        whole.add(number, truth, found)
        by_name = _by_class(truth, true_class_of or class_of), _by_class(found, class_of)
        for name in {*by_name[0], *by_name[1]}:
            own = (runs.get(name, {}) for runs in by_name)
            by_class.setdefault(name, _Seen()).add(number, *own)
        for track_id in found:
            sure.setdefault(track_id, []).append(frame.scores[track_id])
        count = number + 1
    confidence = {track_id: float(np.mean(scores)) for track_id, scores in sure.items()}
    classes = {name: own.metrics(count, confidence) for name, own in sorted(by_class.items())}
    together = whole.metrics(count, confidence)
    for metric in (name for name, _ in (*_AP, *_AR)):
        known = [value for own in classes.values() if (value := own[metric]) is not None]
        together[metric] = float(np.mean(known)) if known else None
    return {"all": together, **classes}


def _by_class(runs: Mapping[int, Any], class_of: Callable[[int], str]) -> dict[str, dict[int, Any]]:
    """Return class to the run lengths of its tracks by id."""
    found: dict[str, dict[int, Any]] = {}
    for track_id, run in runs.items():
        found.setdefault(class_of(track_id), {})[track_id] = run
    return found


def _runs(masks: Mapping[int, np.ndarray]) -> dict[int, Any]:
    return {i: coco.encode(np.asfortranarray(mask, np.uint8)) for i, mask in masks.items()}


def _overlap(truth: list[Any], found: list[Any]) -> np.ndarray:
    """Return intersection over union of every pair, float ``(true, found)``."""
    if not truth or not found:
        return np.zeros((len(truth), len(found)))
    return np.asarray(coco.iou(truth, found, [0] * len(found)), float)


def _motsa(counted: Mapping[str, float]) -> float:
    """Return MOTSA: MOTA's formula over masks (Voigtlaender et al., MOTS, CVPR 2019)."""
    true = counted["CLR_TP"] + counted["CLR_FN"]
    wrong = counted["CLR_FP"] + counted["IDSW"]
    return float((counted["CLR_TP"] - wrong) / max(1, true))


def _curve(metrics: Any, data: dict[str, Any], most: int) -> dict[str, np.ndarray]:
    """Return AP and AR at each overlap, of the ``most`` surest tracks; 0: of all."""
    settings = {
        "USE_AREA_RANGES": False,
        "USE_TIME_RANGES": False,
        "MAX_DETECTIONS": most,
        "PRINT_CONFIG": False,
    }
    metric = metrics.TrackMAP(settings)
    found: dict[str, np.ndarray] = metric.combine_sequences({"video": metric.eval_sequence(data)})
    return found


def load_trackeval() -> Any:
    """Return the module, which prints when it is imported; nothing is printed here.

    Raises
    ------
    InputError
        Where it is not installed.
    """
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            import trackeval
    except ImportError as error:
        raise InputError(f"{_MISSING} ({error})") from None
    return trackeval
