"""A picture of J over the frames of a video, a line a track, drawn by matplotlib."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from maskfree.errors import InputError
from maskfree.storage import atomic_file, make_folder

if TYPE_CHECKING:
    import os

    from maskfree.evaluation import Evaluation

__all__ = ["PLOT_SUFFIXES", "plot_scores"]

PLOT_SUFFIXES = (".pdf", ".png", ".svg")
_SIZE, _DPI = (9.0, 4.0), 120
"""Inches across and down; dots an inch of a PNG."""
_MOST_NAMED = 12
"""Tracks that the legend names; frames that are marked one by one."""
_MISSING = (
    "A plot needs matplotlib. Install it: pip install matplotlib. Without --plot the scores are "
    "printed all the same."
)


def plot_scores(found: Evaluation, path: str | os.PathLike[str]) -> None:
    """Draw J of each track in each scored frame into a file; its suffix says how.

    Raises
    ------
    InputError
        For another suffix, a place that cannot be written, and where matplotlib is not installed.
    """
    target = Path(path)
    if target.suffix.lower() not in PLOT_SUFFIXES:
        raise InputError(
            f"{target}: a plot is one of {', '.join(PLOT_SUFFIXES)}. Name the file so."
        )
    try:
        from matplotlib.figure import Figure
        from matplotlib.ticker import MaxNLocator
    except ImportError:
        raise InputError(_MISSING) from None
    figure = Figure(figsize=_SIZE, layout="constrained")
    axes = figure.add_subplot()
    frames = list(found.scores.by_frame)
    marker = "o" if len(frames) <= _MOST_NAMED else None
    for number, track_id in enumerate(found.scores.tracks):
        own = [found.scores.by_frame[frame].get(track_id) for frame in frames]
        values = [math.nan if score is None else score.j for score in own]
        label = found.label(track_id).replace("$", r"\$")  # else two of them enclose a formula
        name = f"{track_id} {label}" if number < _MOST_NAMED else None
        axes.plot(frames, values, label=name, marker=marker, linewidth=1.5)
    axes.set(xlabel="frame", ylabel="J", ylim=(-0.02, 1.02))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_title(f"J of each track, mean {found.scores.j:.3f}", loc="left")
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside right upper", title="track", frameon=False)
    make_folder(target.absolute().parent)
    with atomic_file(target) as staged:
        figure.savefig(staged, dpi=_DPI, format=target.suffix.lower()[1:])
