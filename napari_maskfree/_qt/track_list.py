"""The list of tracks: colour, label, and what each is in the current frame."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QTreeWidgetItem

from napari_maskfree._qt.row_tree import RowTree
from napari_maskfree._qt.swatch import swatch
from napari_maskfree.status import status_of

if TYPE_CHECKING:
    from qtpy.QtWidgets import QWidget

    from maskfree.types import Track
    from napari_maskfree.state import State

__all__ = ["TrackList"]

_LOOKS = Qt.ItemDataRole.UserRole + 1
_STATUS = 2
"""The column that says what a track is in the shown frame."""
_ROW, _SWATCH, _MOST_ROWS, _ID_WIDTH = 26, 14, 6, 48


class _Row(QTreeWidgetItem):
    """A track; what it is in the shown frame is worked out when Qt asks, so for rows in view."""

    def __init__(self, state: State) -> None:
        super().__init__()
        self._state = state
        self.track: Track | None = None

    def data(self, column: int, role: int) -> Any:
        """Return what Qt shows in a column."""
        if column == _STATUS and role == Qt.ItemDataRole.DisplayRole and self.track is not None:
            return status_of(self.track, self._state.frame)
        return super().data(column, role)


class TrackList(RowTree):
    """One row a track; the selected row is the track that the next box belongs to."""

    def __init__(self, state: State, parent: QWidget | None = None) -> None:
        super().__init__(
            "mfTracks", row=_ROW, icon=_SWATCH, first=_ID_WIDTH, editable=True, parent=parent
        )
        self.boxes_state = state
        self._filling = False
        self.setToolTip("Select the track to draw; double-click its label to change it")
        header, bar = self.header(), self.verticalScrollBar()
        assert header is not None and bar is not None
        header.setResizeContentsPrecision(0)  # the rows in view
        bar.valueChanged.connect(self._fit_status)
        self.itemSelectionChanged.connect(self._on_select)
        self.itemDoubleClicked.connect(lambda item, _: self.editItem(item, 1))
        self.itemChanged.connect(self._on_edit)

    def refresh(self) -> None:
        """Show the state's tracks."""
        tracks = self.boxes_state.tracks.tracks if self.boxes_state.tracks else ()
        self._filling = True
        for item, track in zip(self.set_count(len(tracks)), tracks, strict=True):
            assert isinstance(item, _Row)
            item.track = track
            colour = self.boxes_state.classes.colour(track.id)
            looks = f"{track.id} {colour}"
            if item.data(0, _LOOKS) != looks:
                item.setData(0, Qt.ItemDataRole.UserRole, track.id)
                item.setData(0, _LOOKS, looks)
                item.setIcon(0, swatch(colour, _SWATCH))
                item.setText(0, str(track.id))
            item.setText(1, track.label)
            if track.id == self.boxes_state.selected:
                self.setCurrentItem(item)
        self._filling = False
        self.fit(min(max(len(tracks), 1), _MOST_ROWS))
        self.show_frame()

    def new_row(self) -> QTreeWidgetItem:
        """Return a row of its own kind."""
        return _Row(self.boxes_state)

    def show_frame(self) -> None:
        """Show what the tracks are in the state's frame."""
        self._fit_status()
        view = self.viewport()
        assert view is not None
        view.update()

    def show_selected(self) -> None:
        """Mark the row of the selected track."""
        self._filling = True
        for item in self.all_rows():
            assert isinstance(item, _Row)
            if item.track is not None and item.track.id == self.boxes_state.selected:
                self.setCurrentItem(item)
        self._filling = False

    def _fit_status(self, *_: object) -> None:
        self.resizeColumnToContents(_STATUS)

    def _on_select(self) -> None:
        chosen = self.selectedItems()
        if not self._filling and chosen:
            self.boxes_state.select(chosen[0].data(0, Qt.ItemDataRole.UserRole))

    def _on_edit(self, item: QTreeWidgetItem, column: int) -> None:
        if not self._filling and column == 1:
            self.boxes_state.rename_track(item.data(0, Qt.ItemDataRole.UserRole), item.text(1))
            self.refresh()
