"""The list of tracks: colour, label, and what each is in the current frame."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt

from napari_maskfree._qt.row_tree import RowTree
from napari_maskfree._qt.swatch import swatch
from napari_maskfree.status import status_of

if TYPE_CHECKING:
    from qtpy.QtWidgets import QTreeWidgetItem, QWidget

    from napari_maskfree.state import State

__all__ = ["TrackList"]

_LOOKS = Qt.ItemDataRole.UserRole + 1
_ROW, _SWATCH, _MOST_ROWS, _ID_WIDTH = 26, 14, 6, 48


class TrackList(RowTree):
    """One row a track; the selected row is the track that the next box belongs to."""

    def __init__(self, state: State, parent: QWidget | None = None) -> None:
        super().__init__(
            "mfTracks", row=_ROW, icon=_SWATCH, first=_ID_WIDTH, editable=True, parent=parent
        )
        self.boxes_state = state
        self._filling = False
        self.setToolTip("Select the track to draw; double-click its label to change it")
        self.itemSelectionChanged.connect(self._on_select)
        self.itemDoubleClicked.connect(lambda item, _: self.editItem(item, 1))
        self.itemChanged.connect(self._on_edit)

    def refresh(self) -> None:
        """Show the state's tracks."""
        tracks = self.boxes_state.tracks.tracks if self.boxes_state.tracks else ()
        self._filling = True
        for item, track in zip(self.set_count(len(tracks)), tracks, strict=True):
            colour = self.boxes_state.classes.colour(track.id)
            looks = f"{track.id} {colour}"
            if item.data(0, _LOOKS) != looks:
                item.setData(0, Qt.ItemDataRole.UserRole, track.id)
                item.setData(0, _LOOKS, looks)
                item.setIcon(0, swatch(colour, _SWATCH))
                item.setText(0, str(track.id))
            item.setText(1, track.label)
            item.setText(2, status_of(track, self.boxes_state.frame))
            if track.id == self.boxes_state.selected:
                self.setCurrentItem(item)
        self._filling = False
        self.fit(min(max(len(tracks), 1), _MOST_ROWS))

    def _on_select(self) -> None:
        chosen = self.selectedItems()
        if not self._filling and chosen:
            self.boxes_state.select(chosen[0].data(0, Qt.ItemDataRole.UserRole))

    def _on_edit(self, item: QTreeWidgetItem, column: int) -> None:
        if not self._filling and column == 1:
            self.boxes_state.rename_track(item.data(0, Qt.ItemDataRole.UserRole), item.text(1))
            self.refresh()
