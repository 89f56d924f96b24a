"""J (region), F (boundary) and J&F, as the DAVIS benchmark defines them.

Source: Perazzi et al., A Benchmark Dataset and Evaluation Methodology for Video Object
Segmentation, CVPR 2016, section 4; written from the definition. Ignored pixels count neither as hit
nor as miss: whatever the masks are there, the scores stay the same.
"""

from __future__ import annotations

import dataclasses
import math
import os
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

from maskfree.config import MetricConfig
from maskfree.errors import InputError, InputWarning
from maskfree.formats.base import list_names, present
from maskfree.formats.indexed_png import MAX_ID
from maskfree.truth_masks import read_truth

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from maskfree.truth_masks import TrueFrame, TrueMasks
    from maskfree.types import InstanceMasks

__all__ = [
    "Scores",
    "TrackScores",
    "boundary",
    "boundary_f",
    "evaluate",
    "region_similarity",
]


def region_similarity(
    pred: np.ndarray, truth: np.ndarray, ignored: np.ndarray | None = None
) -> float:
    """Return J, intersection over union of two bool ``(H, W)`` masks; 1 where both are empty.

    ``ignored``: bool ``(H, W)``, pixels that do not count; None: all do.

    Raises
    ------
    InputError
        When the shapes differ.
    """
    pred, truth = _pair(pred, truth)
    if ignored is not None:
        pred, truth = pred & ~ignored, truth & ~ignored
    union = np.count_nonzero(pred | truth)
    return np.count_nonzero(pred & truth) / union if union else 1.0


def boundary_f(
    pred: np.ndarray,
    truth: np.ndarray,
    tolerance: float | None = None,
    ignored: np.ndarray | None = None,
) -> float:
    """Return F, the harmonic mean of precision and recall of two masks' boundaries.

    A boundary pixel is right when a boundary pixel of the other mask lies within a disc of radius
    ``ceil(tolerance * diagonal)`` pixels (a ``tolerance`` of 1 or more is the radius itself).
    Where only one of the masks has a boundary F is 0, where neither has it is 1.

    Parameters
    ----------
    pred, truth
        Bool ``(H, W)``.
    tolerance
        Part of the frame's diagonal, or pixels; by default 0.008, DAVIS's.
    ignored
        Bool ``(H, W)``, pixels at which no boundary counts, nor next to them where the boundary
        follows from their value; None: all do.

    Raises
    ------
    InputError
        When the shapes differ.
    """
    pred, truth = _pair(pred, truth)
    if tolerance is None:
        tolerance = MetricConfig().boundary_tolerance
    radius = tolerance if tolerance >= 1 else math.ceil(tolerance * math.hypot(*pred.shape))
    pred_edge, truth_edge = boundary(pred), boundary(truth)
    if ignored is not None:
        known = ~(ignored | _beside(ignored))
        pred_edge, truth_edge = pred_edge & known, truth_edge & known
    num_pred, num_truth = np.count_nonzero(pred_edge), np.count_nonzero(truth_edge)
    if not num_pred or not num_truth:
        return float(num_pred == num_truth)
    place = ndimage.find_objects((pred_edge | truth_edge).astype(np.uint8))[0]
    pred_edge, truth_edge = pred_edge[place], truth_edge[place]
    precision = np.count_nonzero(pred_edge & _near(truth_edge, radius)) / num_pred
    recall = np.count_nonzero(truth_edge & _near(pred_edge, radius)) / num_truth
    both = precision + recall
    return 2 * precision * recall / both if both else 0.0


def boundary(mask: np.ndarray) -> np.ndarray:
    """Return the boundary of a bool ``(H, W)`` mask, one pixel wide, bool ``(H, W)``.

    DAVIS's: a pixel is on it when its right, lower or lower right neighbour has another value;
    beyond the frame lies what the frame ends with.
    """
    right, below, diagonal = _neighbours(mask)
    edge: np.ndarray = (mask ^ right) | (mask ^ below) | (mask ^ diagonal)
    return edge


def _beside(ignored: np.ndarray) -> np.ndarray:
    """Return the pixels whose boundary follows from an ignored one's value: bool ``(H, W)``."""
    right, below, diagonal = _neighbours(ignored)
    return np.asarray(right | below | diagonal)


def _neighbours(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the values to the right, below, and below to the right: ``(H, W)`` each."""
    padded = np.pad(mask, ((0, 1), (0, 1)), mode="edge")
    return padded[:-1, 1:], padded[1:, :-1], padded[1:, 1:]


def _near(edge: np.ndarray, radius: float) -> np.ndarray:
    """Return where a pixel of ``edge`` lies within ``radius``: a dilation by a disc."""
    distance: np.ndarray = ndimage.distance_transform_edt(~edge)
    return distance <= radius


def _pair(pred: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if pred.shape != truth.shape or pred.ndim != 2:
        raise InputError(
            f"Both masks must be (H, W) of one size, got {pred.shape} and {truth.shape}. Compare "
            "masks of the same video."
        )
    return pred.astype(bool), truth.astype(bool)


@dataclasses.dataclass(frozen=True)
class TrackScores:
    """J and F of one track: means over the scored frames whose truth has it; ``jf``: their mean."""

    j: float
    f: float

    @property
    def jf(self) -> float:
        """J&F, the mean of J and F."""
        return (self.j + self.f) / 2


@dataclasses.dataclass(frozen=True)
class Scores:
    """J, F and J&F of a video: means over the truth's tracks; ``frames`` counts those scored.

    ``by_frame``: frame number to the tracks that its truth has; empty where that was not kept.
    """

    tracks: Mapping[int, TrackScores]
    frames: int
    by_frame: Mapping[int, Mapping[int, TrackScores]] = dataclasses.field(default_factory=dict)

    @property
    def j(self) -> float:
        """Mean J over the tracks."""
        return float(np.mean([track.j for track in self.tracks.values()]))

    @property
    def f(self) -> float:
        """Mean F over the tracks."""
        return float(np.mean([track.f for track in self.tracks.values()]))

    @property
    def jf(self) -> float:
        """J&F, the mean of J and F."""
        return (self.j + self.f) / 2

    def to_json(self) -> dict[str, Any]:
        """Return ``{"J", "F", "JF", "tracks": {"1": {"J", "F"}}}``."""
        tracks = {str(i): {"J": track.j, "F": track.f} for i, track in self.tracks.items()}
        return {"J": self.j, "F": self.f, "JF": self.jf, "tracks": tracks}

    def to_text(self) -> str:
        """Return a table: a line for each track and one for the mean."""
        rows: list[tuple[str, TrackScores | Scores]] = [("mean", self)]
        rows[:0] = [(str(track_id), track) for track_id, track in self.tracks.items()]
        lines = [f"{'track':>6}  {'J':>6}  {'F':>6}  {'J&F':>6}"]
        for name, scores in rows:
            lines.append(f"{name:>6}  {scores.j:6.3f}  {scores.f:6.3f}  {scores.jf:6.3f}")
        return "\n".join(lines)


def evaluate(
    read_prediction: Callable[[int], InstanceMasks | None],
    truth: str | os.PathLike[str] | TrueMasks,
    frame_names: Sequence[str],
    *,
    ignored: Callable[[int], np.ndarray | None] = lambda frame: None,
    void: int | None = None,
) -> Scores:
    """Score predicted masks against true ones; one frame in memory at a time.

    Only frames with a true mask count (see :func:`match_frame_names`). A predicted id is compared
    with the truth of the same id; where it was not predicted J and F are 0.

    Parameters
    ----------
    read_prediction
        Frame number to its predicted masks, None where the frame was not predicted (a warning
        says so).
    truth
        Folder of indexed PNGs, named by frame, pixel = track id; or what
        :func:`maskfree.annotated_truth.read_annotated` made of a file of annotations.
    frame_names
        The name of each frame of the video.
    ignored
        Frame number to the pixels that do not count, bool ``(H, W)``, None where all do; see
        :meth:`maskfree.ignore_masks.IgnoreMasks.at`. A track all of whose truth lies there is not
        scored in that frame.
    void
        Value of the truth's pixels that do not count either (255 in many data sets); None: none.

    Raises
    ------
    InputError
        As :func:`read_truth` and :func:`match_frame_names`; where truth and prediction differ in
        size; where the truth holds no object or none of its frames was predicted.
    """
    given = read_truth(truth) if isinstance(truth, (str, os.PathLike)) else truth
    scored: dict[int, list[tuple[float, float]]] = {}
    by_frame: dict[int, dict[int, TrackScores]] = {}
    predicted_ids: set[int] = set()
    unpredicted = []
    size: tuple[int, ...] = ()
    for frame, true in given.walk(frame_names, void):
        size = size or true.shape
        _check_size(true, size, "the masks before it are")
        prediction = read_prediction(frame)
        if prediction is None:
            unpredicted.append(frame_names[frame])
            masks: dict[int, np.ndarray] = {}
        else:
            _check_size(true, prediction.masks.shape[1:], "the video is")
            masks = present(prediction)
        predicted_ids.update(masks)
        by_frame[frame] = {}
        for track_id, pair in _score_frame(masks, true, ignored(frame)).items():
            scored.setdefault(track_id, []).append(pair)
            by_frame[frame][track_id] = TrackScores(*pair)
    _check_scored(given, scored, predicted_ids, unpredicted, len(by_frame))
    tracks = {i: TrackScores(*np.mean(scored[i], axis=0).tolist()) for i in sorted(scored)}
    return Scores(tracks, len(by_frame), by_frame)


def _score_frame(
    masks: Mapping[int, np.ndarray], true: TrueFrame, ignored: np.ndarray | None
) -> dict[int, tuple[float, float]]:
    scores = {}
    shown, hidden = true.shown(ignored)
    for track_id, mask in shown.items():
        if track_id in masks:
            j = region_similarity(masks[track_id], mask, hidden)
            scores[track_id] = j, boundary_f(masks[track_id], mask, ignored=hidden)
        else:
            scores[track_id] = 0.0, 0.0
    return scores


def _check_size(true: TrueFrame, wanted: tuple[int, ...], what: str) -> None:
    if true.shape != wanted:
        raise InputError(
            f"{true.source} is {true.shape[1]}x{true.shape[0]}, {what} {wanted[1]}x{wanted[0]} "
            "(width x height). Give masks of the video's own size."
        )


def _check_scored(
    truth: TrueMasks,
    scored: Mapping[int, object],
    predicted_ids: set[int],
    unpredicted: Sequence[str],
    total: int,
) -> None:
    if not scored:
        raise InputError(
            f"{truth.name}: the {total} masks of this video hold no object (all pixels are 0, or "
            "ignored). Give masks whose pixels are instance ids."
        )
    if len(unpredicted) == total:
        raise InputError(
            f"None of the {total} frames that {truth.name} has masks for was predicted. Run "
            "`maskfree predict` first; of annotations (--from) give those that hold masks."
        )
    if unpredicted:
        warnings.warn(
            f"{len(unpredicted)} of the {total} scored frames were never predicted and count as "
            f"0: {list_names(unpredicted)}.",
            InputWarning,
            stacklevel=3,
        )
    if MAX_ID in scored and MAX_ID not in predicted_ids:
        warnings.warn(
            f"{truth.name}: the value {MAX_ID} is scored as track {MAX_ID}, which was not "
            "predicted. If it stands for void, say so (--void 255); if for the one object, set it "
            "to its id.",
            InputWarning,
            stacklevel=3,
        )
