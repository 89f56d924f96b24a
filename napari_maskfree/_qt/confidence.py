"""How sure the masks of the shown frame are: a list, a sentence, and their colours in the layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtWidgets import QCheckBox

from maskfree.errors import InputError
from napari_maskfree._qt.score_list import ScoreList, score_scale
from napari_maskfree._qt.section import Panel, explain, hint
from napari_maskfree._qt.wrapped import Wrapped
from napari_maskfree.constants import SCORE_ROWS
from napari_maskfree.frame_scores import frame_scores, open_scores, score_words
from napari_maskfree.score_colours import ScoreColours

if TYPE_CHECKING:
    from napari_maskfree._qt.main_widget import MaskFreeWidget
    from napari_maskfree.frame_scores import FrameScore

__all__ = ["ConfidencePanel"]

_TIP = (
    "Colour each mask of the shown frame by its score, as the timeline does. "
    "Painting goes on as usual"
)
_NO_SCORES = "There are no masks yet. Fine-tune first (section 3)."


class ConfidencePanel(Panel):
    """Follows the shown frame, the scores and the corrections."""

    def __init__(self, main: MaskFreeWidget) -> None:
        super().__init__()
        self.setObjectName("mfBody")
        self.main, self.state, self.project = main, main.state, main.project
        self._colours = ScoreColours()
        self.says = Wrapped()
        self.rows = ScoreList(self.state)
        self.more = hint()
        self.box = QCheckBox("Confidence")
        self.box.setProperty("tip", _TIP)
        self.box.toggled.connect(self.refresh)
        self.scale = score_scale()
        self.add(self.says, self.rows, self.more, self.box, self.scale)
        self._open: np.ndarray | None = None
        for signal in (
            self.state.frame_changed,
            self.state.tracks_changed,
            self.state.classes.colouring_changed,
        ):
            signal.connect(self.refresh)
        self.state.corrections.changed.connect(self._forget)
        self.state.selection_changed.connect(self.rows.show_selection)
        main.scores.changed.connect(self._forget)
        self.refresh()

    def refresh(self, *_: object) -> None:
        """Show the shown frame as it stands."""
        scores, book, frame = self.main.scores.scores, self.state.corrections, self.state.frame
        known = bool(scores) or len(book) > 0
        self.setVisible(known)
        explain(self.box, "" if known else _NO_SCORES)
        self.scale.setVisible(self.box.isChecked())
        found = self._found() if known else []
        self.rows.show_scores(found)
        hidden = len(found) - SCORE_ROWS
        self.more.setVisible(hidden > 0)
        self.more.setText(f"and {hidden} more, all as sure or surer")
        words = score_words(found, frame, self._name, self._less_sure)
        self.says.setText(words)
        self._colour(found)

    def stop(self) -> None:
        """Give the masks layer its own colours back."""
        self._colours.end(self.project.colour_masks)

    def _forget(self, *_: object) -> None:
        self._open = None
        self.refresh()

    def _less_sure(self, score: float) -> int:
        """Return how many masks that are to be reviewed have a lower score."""
        if self._open is None:
            self._open = open_scores(self.main.scores.scores, self.state.corrections)
        return int(np.count_nonzero(self._open < np.float32(score)))

    def _found(self) -> list[FrameScore]:
        frame = self.state.frame
        own = self.state.corrections[frame]
        left = None
        if any(not correction.has_object for correction in own.values()):
            left = self._left(frame)
        return frame_scores(self.main.scores.scores, own, frame, left=left)

    def _left(self, frame: int) -> set[int] | None:
        """Return the tracks that the layer shows a pixel of; None where that is not known."""
        layer = self.project.masks
        try:
            return None if layer is None else set(np.unique(layer.data.frame(frame)).tolist())
        except InputError:  # said where the masks are shown
            return None

    def _colour(self, found: list[FrameScore]) -> None:
        layer = self.project.masks
        if layer is not None and self.box.isChecked():
            self._colours.show(layer, found, self.state.tracks)
        else:
            self._colours.end(self.project.colour_masks)

    def _name(self, track_id: int) -> str:
        track = self.state.track(track_id)
        return f"track {track_id}" + (f" {track.label}" if track is not None else "")
