"""The masks layer in the colours of the scores: those of the timeline. No Qt here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_maskfree import constants as c
from napari_maskfree.timeline_rows import score_colours

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari.layers import Labels

    from maskfree.types import BoxTracks
    from napari_maskfree.frame_scores import FrameScore

__all__ = ["ScoreColours", "score_colormap"]


def score_colormap(found: Sequence[FrameScore], tracks: BoxTracks | None) -> Any:
    """Return the label colormap in which each id has its score's colour; without one it is grey."""
    from napari.utils.colormaps import DirectLabelColormap

    none = np.array([*(v / 255 for v in c.NO_SCORE_COLOUR), 1.0])
    colours: dict[int | None, Any] = {t.id: none for t in tracks.tracks} if tracks else {}
    for own, rgb in zip(found, score_colours(np.array([f.score for f in found])), strict=True):
        colours[own.track_id] = np.array([*(rgb / 255), 1.0])
    return DirectLabelColormap(color_dict={**colours, 0: "transparent", None: none})


class ScoreColours:
    """Colours a masks layer by score while that is wanted, and gives it its own colours back."""

    def __init__(self) -> None:
        self._layer: Labels | None = None
        self._made: Any = None
        self._of: object = None

    def show(self, layer: Labels, found: Sequence[FrameScore], tracks: BoxTracks | None) -> None:
        """Colour the layer, where it is not coloured so already."""
        of = (tuple(found), [t.id for t in tracks.tracks] if tracks else [])
        if self._layer is layer and layer.colormap is self._made and self._of == of:
            return
        layer.colormap = score_colormap(found, tracks)
        self._layer, self._made, self._of = layer, layer.colormap, of

    def end(self, restore: Callable[[], None]) -> None:
        """Call what gives the layer the colours of the tracks again, where it has the scores'."""
        if self._layer is not None and self._layer.colormap is self._made:
            restore()
        self._layer = self._made = self._of = None
