"""A session's masks against true ones: by track, class and frame, as text, Markdown and JSON."""

from __future__ import annotations

import dataclasses
import os
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from maskfree.errors import InputWarning
from maskfree.formats.base import DEFAULT_LABEL, present
from maskfree.ignore_masks import IgnoreMasks
from maskfree.metrics import evaluate
from maskfree.numbered_names import NumberedNames
from maskfree.terminal import printable, table
from maskfree.track_eval import TRACK_METRICS, FrameMasks, track_metrics
from maskfree.truth_masks import read_truth

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from maskfree.metrics import Scores
    from maskfree.track_eval import TrackMetrics
    from maskfree.truth_masks import TrueFrame, TrueMasks
    from maskfree.types import BoxTracks, InstanceMasks

__all__ = ["Evaluation", "evaluate_tracks"]

_UNKNOWN = "–"


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """What came of it.

    ``scores``: J and F; ``frame_names``: of the video's frames; ``labels``: the class of each track
    that is known; ``tracking``: class to its metrics, see `track_eval.track_metrics`, empty
    where they were not asked for.
    """

    scores: Scores
    frame_names: Sequence[str]
    labels: Mapping[int, str]
    tracking: Mapping[str, TrackMetrics]

    def label(self, track_id: int) -> str:
        """Return a track's class."""
        return self.labels.get(track_id, DEFAULT_LABEL)

    def classes(self) -> dict[str, tuple[float, float]]:
        """Return class to J and F, means over its tracks."""
        by_class: dict[str, list[tuple[float, float]]] = {}
        for track_id, own in self.scores.tracks.items():
            by_class.setdefault(self.label(track_id), []).append((own.j, own.f))
        return {
            name: (float(np.mean([j for j, _ in own])), float(np.mean([f for _, f in own])))
            for name, own in sorted(by_class.items())
        }

    def to_json(self, *, full: bool = False) -> dict[str, Any]:
        """Return `Scores.to_json`, and ``"tracking"`` where that is known: class to metrics.

        ``full``: ``"classes"`` to J, F and J&F, and ``"frames"``, by name (where frames share one,
        by number), to tracks to J and F, as well.
        """
        made = self.scores.to_json()
        if self.tracking:
            made["tracking"] = {name: dict(own) for name, own in self.tracking.items()}
        if full:
            names: Sequence[str] = self.frame_names
            if len(set(names)) < len(names):  # each by its number, then
                names = NumberedNames(len(names))
            made["classes"] = {
                name: {"J": j, "F": f, "JF": (j + f) / 2} for name, (j, f) in self.classes().items()
            }
            made["frames"] = {
                names[frame]: {str(i): {"J": s.j, "F": s.f} for i, s in own.items()}
                for frame, own in self.scores.by_frame.items()
            }
        return made

    def to_text(self, *, full: bool = False) -> str:
        """Return the tables for a terminal; ``full``: that of the classes' J and F as well."""
        parts = [self.scores.to_text()]
        if full:
            rows = [[name, _number(j), _number(f)] for name, (j, f) in self.classes().items()]
            parts.append(table(["class", "J", "F"], rows))
        if self.tracking:
            parts.append(table(["class", *TRACK_METRICS], self._tracking_rows()))
        return "\n\n".join(parts)

    def to_markdown(self) -> str:
        """Return the tables as Markdown, with one of the frames."""
        scores = self.scores
        tracks = [
            [str(i), self.label(i), _number(s.j), _number(s.f), _number(s.jf)]
            for i, s in scores.tracks.items()
        ]
        tracks.append(["mean", "", _number(scores.j), _number(scores.f), _number(scores.jf)])
        parts = [
            f"J and F over {scores.frames} frames with true masks.",
            _markdown(["track", "class", "J", "F", "J&F"], tracks, words=2),
        ]
        rows = [[n, _number(j), _number(f)] for n, (j, f) in self.classes().items()]
        parts.append(_markdown(["class", "J", "F"], rows))
        if self.tracking:
            parts.append(_markdown(["class", *TRACK_METRICS], self._tracking_rows()))
        ids = list(scores.tracks)
        frames = [
            [self.frame_names[t], *(_number(own[i].j) if i in own else "" for i in ids)]
            for t, own in scores.by_frame.items()
        ]
        parts.append(_markdown(["frame", *(f"J of track {i}" for i in ids)], frames))
        return "\n\n".join(parts) + "\n"

    def _tracking_rows(self) -> list[list[str]]:
        return [
            [name, *(_number(own[metric]) for metric in TRACK_METRICS)]
            for name, own in self.tracking.items()
        ]


def evaluate_tracks(
    read_prediction: Callable[[int], InstanceMasks | None],
    truth: str | os.PathLike[str] | TrueMasks,
    frame_names: Sequence[str],
    tracks: BoxTracks,
    *,
    void: int | None = None,
    tracking: bool = False,
    classes: bool = True,
) -> Evaluation:
    """Score predicted masks against true ones.

    Parameters
    ----------
    read_prediction, truth, frame_names, void
        As in `maskfree.metrics.evaluate`.
    tracks
        The boxes: a track's label is its class, that of a true track as well where the truth does
        not say it, and what lies in an ignore region does not count.
    tracking
        HOTA, IDF1, MOTSA and AP as well, which need TrackEval.
    classes
        Predicted tracks have classes; else all tracks are taken for one class there.

    Raises
    ------
    InputError
        As `maskfree.metrics.evaluate`, and where TrackEval is wanted and not installed.
    """
    ignored = IgnoreMasks(tracks).at
    given = read_truth(truth) if isinstance(truth, (str, os.PathLike)) else truth
    scores = evaluate(read_prediction, given, frame_names, ignored=ignored, void=void)
    labels = {track.id: track.label for track in tracks.tracks}
    true_labels = {**labels, **given.labels}
    metrics: Mapping[str, TrackMetrics] = {}
    if tracking:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", InputWarning)  # it was said above
            frames = (
                _frame(true, read_prediction(frame), ignored(frame))
                for frame, true in given.walk(frame_names, void)
            )
            own, true_own = (labels, true_labels) if classes else ({}, {})
            metrics = track_metrics(
                frames,
                lambda i: own.get(i, DEFAULT_LABEL),
                lambda i: true_own.get(i, DEFAULT_LABEL),
            )
    return Evaluation(scores, frame_names, true_labels, metrics)


def _frame(
    true: TrueFrame, prediction: InstanceMasks | None, ignored: np.ndarray | None
) -> FrameMasks:
    """Return what of a frame is scored: what is hidden is part of neither side."""
    truth, hidden = true.shown(ignored)
    if prediction is None:
        return FrameMasks(truth, {}, {})
    found = present(prediction)
    if hidden is not None:
        left = {i: mask & ~hidden for i, mask in found.items()}
        found = {i: mask for i, mask in left.items() if mask.any()}
    scores = dict(zip(prediction.track_ids, prediction.scores, strict=True))
    return FrameMasks(truth, found, scores)


def _number(value: float | None) -> str:
    return _UNKNOWN if value is None else f"{value:.3f}"


def _markdown(header: list[str], rows: list[list[str]], words: int = 1) -> str:
    """Return a table whose first ``words`` columns are words, the others numbers."""
    rule = ["---"] * words + ["---:"] * (len(header) - words)
    escaped = [[printable(cell).replace("|", "\\|") for cell in row] for row in rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in (header, rule, *escaped))
