"""A picture of the differences to each group's reference, with their intervals, by matplotlib."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from maskfree.errors import InputError
from maskfree.storage import atomic_file

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from maskfree.ablation.comparison import Compared

__all__ = ["plot_compared"]

_MISSING = (
    "The picture needs matplotlib. Install it: pip install matplotlib. The page is written all the "
    "same."
)
_COLUMNS, _WIDTH, _ROW, _TITLE, _DPI = 2, 5.5, 0.34, 0.9, 120
"""Panels beside each other; inches of a panel's width, of a row, of a title; dots an inch."""
_BELOW = 0.25
"""How far below its row a clip's dot lies, rows."""
_COLOURS = {
    "agrees": "tab:green",
    "disagrees": "tab:red",
    "not told apart": "tab:gray",
    "not whole": "tab:gray",
    "": "tab:blue",
}
_MARKERS = {"agrees": "o", "disagrees": "X", "not told apart": "d", "not whole": "$?$", "": "s"}
_LEGEND = (
    "Green, round: the paper's order is seen. Red, cross: another order. Grey, diamond: not told "
    "apart (?: clips are missing).\nBlue, square: no claim. Dots: single clips. Line: the interval "
    "of the mean."
)


def plot_compared(compared: Sequence[Compared], path: Path) -> None:
    """Draw each row's mean difference and interval; green where the paper's order is seen.

    Raises
    ------
    InputError
        Where matplotlib is not installed, or the place cannot be written.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise InputError(_MISSING) from None
    columns = min(_COLUMNS, len(compared))
    lines = -(-len(compared) // columns)
    most = max(len(each.rows) for each in compared)
    size = (_WIDTH * columns, lines * (_TITLE + _ROW * most))
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(lines, columns, squeeze=False).flatten()
    for panel, each in zip(panels, compared, strict=False):
        _draw(panel, each)
    for panel in panels[len(compared) :]:
        panel.set_visible(False)
    figure.suptitle(_LEGEND, fontsize=8)
    with atomic_file(path) as staged:
        figure.savefig(staged, dpi=_DPI, format="png")


def _draw(panel: Any, compared: Compared) -> None:
    panel.axvline(0, color="black", linewidth=0.8)
    for number, row in enumerate(compared.rows):
        found = row.difference
        if found is None:
            continue
        colour = _COLOURS[row.verdict]
        for clip, j in row.by_clip.items():
            other = compared.rows[0].by_clip[clip]
            if j is not None and other is not None:
                panel.plot([j - other], [number + _BELOW], marker=".", color="black", alpha=0.4)
        panel.plot([found.mean], [number], marker=_MARKERS[row.verdict], color=colour)
        if found.low is not None and found.high is not None:
            panel.plot([found.low, found.high], [number, number], color=colour, linewidth=1.5)
    panel.set_yticks(range(len(compared.rows)), [row.name for row in compared.rows])
    panel.set_ylim(len(compared.rows) - 0.5, -0.5)
    reference = compared.rows[0]
    level = "" if reference.j is None else f" (J {reference.j:.3f})"
    panel.set_xlabel(f"J above that of: {reference.name}{level}")
    panel.set_title(compared.group.title, loc="left", fontsize=10)
    panel.grid(axis="x", alpha=0.3)
    panel.spines[["top", "right"]].set_visible(False)
