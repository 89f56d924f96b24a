"""``maskfree ap``: YouTube-VIS's average precision of a results file over a data set."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from maskfree.datasets.opening import open_dataset
from maskfree.errors import InputWarning
from maskfree.formats.base import list_names
from maskfree.inference.average_precision import AP_METRICS, AveragePrecision
from maskfree.inference.layouts import require_tracks
from maskfree.inference.results import ResultsFile
from maskfree.terminal import table

if TYPE_CHECKING:
    from maskfree.inference.average_precision import Precision

__all__ = ["average_precision"]

_UNKNOWN = "–"


def average_precision(
    results: str, data: str, *, kind: str, split: str, full: bool = False
) -> tuple[dict[str, Any], str]:
    """Score a results file and return the scores, in percent as text and in [0, 1] as JSON.

    Parameters
    ----------
    full
        The text has a line for each class.

    Raises
    ------
    InputError
        Where the data set cannot be read or has no masks, TrackEval is not installed, or the
        results are not of it.
    """
    require_tracks(kind)
    dataset = open_dataset(
        kind, Path(data), split, masks=True, without_boxes=True, pictures="unused"
    )
    scored, found = AveragePrecision(dataset), ResultsFile(Path(results), dataset)
    if bare := [v.name for v in dataset.videos if v.instances and not found.holds(v)]:
        warnings.warn(
            f"{results} has no result for {len(bare)} of the {len(dataset.videos)} videos, where "
            f"nothing counts as found: {list_names(bare)}.",
            InputWarning,
            stacklevel=2,
        )
    for video in dataset.videos:
        scored.add(video, found.of(video))
    scores = scored.scores()
    made = {"videos": len(dataset.videos), "all": scores.mean, "classes": scores.classes}
    return made, _text(scores, full=full)


def _text(scores: Precision, *, full: bool) -> str:
    rows: list[list[object]] = [["all", *(f"{100 * scores.mean[name]:.1f}" for name in AP_METRICS)]]
    for label, own in scores.classes.items() if full else ():
        values = (_UNKNOWN if own is None else f"{100 * own[name]:.1f}" for name in AP_METRICS)
        rows.append([label, *values])
    return table(["class", *AP_METRICS], rows)
